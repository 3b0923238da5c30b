package connect

import "testing"

func TestParseAddress(t *testing.T) {
	good := map[string]string{
		"copyserver.example":   "copyserver.example:8452",
		"CopyServer:1":         "copyserver:1",
		"10.0.0.5":             "10.0.0.5:8452",
		"10.0.0.5:443":         "10.0.0.5:443",
		"::1":                  "[::1]:8452",
		"[::1]":                "[::1]:8452",
		"[fe80::1%eth0]:65535": "[fe80::1%eth0]:65535",
		"localhost.:99":        "localhost.:99",
	}
	for in, want := range good {
		if got, err := ParseAddress(in); got != want || err != nil {
			t.Errorf("parseAddress(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	bad := []string{
		"", ":", ":8452", "a:", "a:0", "a:65536", "a:-1", "a:http", "a:1:2", "[::1", "[a]b:1",
		"https://a", "a/b", "a b", "a@b:1", "a\n:1", "%eth0", "ü:1",
	}
	for _, in := range bad {
		if got, err := ParseAddress(in); err == nil {
			t.Errorf("parseAddress(%q) = %q, no error", in, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true,
		"10.0.0.5:1": false, "localhost.example:1": false, "[fe80::1]:1": false, "0.0.0.0:1": false,
	} {
		if IsLoopback(addr) != want {
			t.Errorf("isLoopback(%q) is not %v", addr, want)
		}
	}
}
