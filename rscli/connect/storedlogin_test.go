package connect

import (
	"testing"
)

// A stored password is good for its user and server, and comes after everything
// else.
func TestStoredLoginComesLast(t *testing.T) {
	all := Logins{{Server: "a:8452", User: "op", Password: "stored"}}
	for _, tt := range []struct{ given, want Settings }{
		{Settings{}, Settings{Server: "a:8452", User: "op", Password: "stored", fromLogin: true}},
		{Settings{Server: "A"}, Settings{Server: "A", User: "op", Password: "stored", fromLogin: true}},
		{Settings{Server: "b"}, Settings{Server: "b"}},
		{Settings{Server: "a:1"}, Settings{Server: "a:1"}},
		{Settings{Server: "a:b:c"}, Settings{Server: "a:b:c"}},
		{Settings{User: "root"}, Settings{Server: "a:8452", User: "root"}},
		{Settings{User: "op"}, Settings{Server: "a:8452", User: "op", Password: "stored", fromLogin: true}},
		{Settings{Password: "mine"}, Settings{Server: "a:8452", User: "op", Password: "mine"}},
		{Settings{PasswordFile: "f"}, Settings{Server: "a:8452", User: "op", PasswordFile: "f"}},
	} {
		got := tt.given
		all.nameServer(&got, "local")
		all.nameUser(&got)
		if got != tt.want {
			t.Errorf("%+v became %+v", tt.given, got)
		}
	}
	got := Settings{}
	all = append(all, Login{Server: "127.0.0.1:8452", User: "me", Password: "here"})
	all.nameServer(&got, "127.0.0.1")
	all.nameUser(&got)
	if got.User != "me" || got.Server != "127.0.0.1" || !got.Assumed {
		t.Errorf("of two logins that of this machine is not taken: %+v", got)
	}
}
