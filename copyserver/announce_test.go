package copyserver

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
)

// Until the first password is changed, the log begins with who can log in, and a
// user who logs in is told.
func TestFirstUserIsAnnounced(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	before, _, _ := strings.Cut(w.log.String(), "msg=serving")
	on := "-s " + w.Addr()
	for _, want := range []string{
		"user=superuser password=passw0rd", `login="esscli login ` + on + ` -u superuser"`,
		`change="setuser ` + on + ` chuser superuser"`,
	} {
		if !strings.Contains(before, want) {
			t.Errorf("the log begins without %s:\n%s", want, before)
		}
	}
	var server api.Server
	w.do("GET", "/v1/server", nil, 200, &server)
	if !server.DefaultPassword {
		t.Error("the user is not told that the password is the default one")
	}
	w.refused("PATCH", "/v1/users/superuser", api.UserChange{Password: access.DefaultPassword},
		400, fault.Usage, "which everybody knows")
	w.do("PATCH", "/v1/users/superuser", api.UserChange{Password: "own"}, 200, nil)
	w.as("superuser", "own").do("GET", "/v1/server", nil, 200, &server)
	w.end()
	w = start(t, dir)
	if strings.Contains(w.log.String(), "everybody") {
		t.Errorf("a password that was changed is announced:\n%s", w.log)
	}
}

// What is refused leaves no state folder behind, whose array would have a serial
// for good.
func TestRefusedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	folder := t.TempDir()
	for name, change := range map[string]func(*Options){
		"listen":      func(o *Options) { o.Listen = taken.Addr().String() },
		"NBD":         func(o *Options) { o.NBDListen = taken.Addr().String() },
		"NBD open":    func(o *Options) { o.NBDListen = "0.0.0.0:0" },
		"certificate": func(o *Options) { o.NBDTLSCert, o.NBDTLSKey = "none", "none" },
		"authorities": func(o *Options) { o.NBDTLSClientCA = "none" },
		"ready file":  func(o *Options) { o.ReadyFile = filepath.Join(folder, "none", "ready") },
	} {
		opts := testOptions(filepath.Join(folder, "state"))
		opts.NBDListen = "127.0.0.1:0"
		change(&opts)
		if s, err := newServer(opts, testSeams); err == nil {
			must(t, s.Stop(t.Context()))
			t.Errorf("%s: taken", name)
		}
		if _, err := os.Stat(opts.State); err == nil {
			t.Fatalf("%s: refused, and the state folder is there", name)
		}
	}
}
