package announce

import "testing"

func TestFirstLoginFitsTheAddress(t *testing.T) {
	for addr, want := range map[string][2]string{
		"127.0.0.1:8452": {"esscli login -u u", "setuser chuser u"},
		"0.0.0.0:8452":   {"esscli login -u u", "setuser chuser u"},
		"[::]:8453":      {"esscli login -s 127.0.0.1:8453 -u u", "setuser -s 127.0.0.1:8453 chuser u"},
		"[::1]:8452":     {"esscli login -s [::1]:8452 -u u", "setuser -s [::1]:8452 chuser u"},
		"192.0.2.1:8452": {"start copyserver with --listen 127.0.0.1:8452 once, and log in then", ""},
	} {
		if login, change := firstLogin(addr, "127.0.0.1:8452", "u"); login != want[0] || change != want[1] {
			t.Errorf("%s: %q, %q", addr, login, change)
		}
	}
}
