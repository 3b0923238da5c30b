package rscli

import (
	"testing"
)

// A stored password is good for its user and server, and comes after everything
// else.
func TestStoredLoginComesLast(t *testing.T) {
	all := logins{{Server: "a:8452", User: "op", Password: "stored"}}
	for _, tt := range []struct{ given, want layer }{
		{layer{}, layer{server: "a:8452", user: "op", password: "stored", fromLogin: true}},
		{layer{server: "A"}, layer{server: "A", user: "op", password: "stored", fromLogin: true}},
		{layer{server: "b"}, layer{server: "b"}},
		{layer{server: "a:1"}, layer{server: "a:1"}},
		{layer{server: "a:b:c"}, layer{server: "a:b:c"}},
		{layer{user: "root"}, layer{server: "a:8452", user: "root"}},
		{layer{user: "op"}, layer{server: "a:8452", user: "op", password: "stored", fromLogin: true}},
		{layer{password: "mine"}, layer{server: "a:8452", user: "op", password: "mine"}},
		{layer{passwordFile: "f"}, layer{server: "a:8452", user: "op", passwordFile: "f"}},
	} {
		got := tt.given
		all.nameServer(&got, "local")
		all.nameUser(&got)
		if got != tt.want {
			t.Errorf("%+v became %+v", tt.given, got)
		}
	}
	got := layer{}
	all = append(all, login{Server: "127.0.0.1:8452", User: "me", Password: "here"})
	all.nameServer(&got, "127.0.0.1")
	all.nameUser(&got)
	if got.user != "me" || got.server != "127.0.0.1" || !got.assumed {
		t.Errorf("of two logins that of this machine is not taken: %+v", got)
	}
}
