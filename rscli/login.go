package rscli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

// What "esscli login" remembers is in the file logins.yaml of the user's folder,
// mode 0600, one entry for each server. It says what flags, environment and
// configuration files leave open.

// login is the entry of one server.
type login struct {
	Server   string `yaml:"server"` // host:port
	Backup   string `yaml:"backup_server,omitempty"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
}

type logins []login

const loginsHead = "# Written by esscli login, with passwords: for nobody but the owner.\n"

func (e *Env) loginsFile() string { return joinUnder(e.userDir(), "logins.yaml") }

// readLogins reads the file; a missing one has no entries. One that others may
// read is refused, as is one that login did not write.
func readLogins(e *Env) (logins, error) {
	path := e.loginsFile()
	f, err := os.Open(path)
	if path == "" || isAbsent(path, err) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the stored logins: %w", err)
	}
	defer f.Close()
	if err := refuseShared(e, f, "holds passwords"); err != nil {
		return nil, err
	}
	text, err := readLimited(f)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the stored logins in %s: %w", path, err)
	}
	var all logins
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if dec.Decode(&all) != nil || slices.ContainsFunc(all, login.isDamaged) {
		// The library's error may quote a password.
		return nil, fault.New(fault.Usage, "%s is not as esscli login writes it", path).
			WithHint("remove it and log in again")
	}
	return all, nil
}

func (l login) isDamaged() bool { return l.Server == "" || l.User == "" || l.Password == "" }

// write replaces the file; without entries there is none.
func (all logins) write(e *Env) error {
	path := e.loginsFile()
	if path == "" {
		return errors.New("the environment names no home folder to keep it in")
	}
	if len(all) == 0 {
		return atomicfile.Remove(atomicfile.OS(), path)
	}
	text, err := yaml.Marshal(all)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil && len(text) > maxSmallFile-len(loginsHead) {
		err = errTooLong
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(atomicfile.OS(), path, append([]byte(loginsHead), text...), 0o600)
}

// index returns where the entry of a server is, -1 where there is none.
func (all logins) index(server string) int {
	addr, err := parseAddress(server)
	if err != nil {
		return -1 // whoever connects will say so
	}
	return slices.IndexFunc(all, func(l login) bool { return l.Server == addr })
}

func (all logins) servers() string {
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.Server
	}
	return strings.Join(names, ", ")
}

// nameServer fills in the server where l leaves it open: that of the only entry,
// or else local.
func (all logins) nameServer(l *layer, local string) {
	switch {
	case l.server != "":
	case len(all) == 1:
		l.server = all[0].Server
		l.backup = firstNonEmpty(l.backup, all[0].Backup)
	default:
		l.server, l.assumed = local, true
	}
}

// nameUser fills in the user and the password for the server of l. A password is
// never used for another user.
func (all logins) nameUser(l *layer) {
	i := all.index(l.server)
	if i < 0 || l.user != "" && l.user != all[i].User {
		return
	}
	l.user = all[i].User
	if !l.hasPassword() {
		l.password, l.fromLogin = all[i].Password, true
	}
}

func (l *layer) hasPassword() bool {
	return l.password != "" || l.passwordFile != "" || l.passwordCommand != ""
}
