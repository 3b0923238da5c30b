// Package announce tells how a server that accepts connections is found: programs by
// the ready file, the first administrator by the first lines of the log.
package announce

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// Ready is what the ready file holds, as JSON.
type Ready struct {
	Address     string `json:"address"`
	NBDAddress  string `json:"nbd_address,omitempty"` // empty when off
	Fingerprint string `json:"fingerprint"`           // of the certificate: sha256:HEX
	PID         int    `json:"pid"`
	Array       string `json:"array"` // the embedded one: 2105.13698
}

// ReadyFile is the path of a ready file; empty for none.
type ReadyFile string

// Write replaces the file.
func (f ReadyFile) Write(ready Ready) error {
	if f == "" {
		return nil
	}
	data, err := json.Marshal(ready)
	if err != nil {
		return fault.New(fault.Failed, "cannot encode the ready file: %w", err)
	}
	path, err := filepath.Abs(string(f))
	if err != nil {
		return fault.New(fault.Failed, "ready file: %w", err)
	}
	return atomicfile.Write(atomicfile.OS(), path, append(data, '\n'), 0o644)
}

// Remove removes the file if it is there.
func (f ReadyFile) Remove() error {
	if f == "" {
		return nil
	}
	if err := os.Remove(string(f)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Failed, "cannot remove the ready file: %w", err)
	}
	return nil
}

// Check refuses a name whose folder is not there.
func (f ReadyFile) Check() error {
	if f == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(string(f))); err != nil {
		return fault.New(fault.Failed, "the ready file has no folder: %w", err)
	}
	return nil
}

// FirstUser says who can log in to a new server at addr and how, until the password
// that everybody knows is changed. standard is where commands look for a server that is
// not named.
func FirstUser(log *slog.Logger, users taskstore.Collection[taskstore.User], addr, standard string) error {
	all, err := users.List()
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.DefaultPassword {
			login, change := firstLogin(addr, standard, u.Name)
			log.Warn("the first user has a password that everybody knows: log in on this machine "+
				"and change it", "user", u.Name, "password", access.DefaultPassword,
				"login", login, "change", change)
		}
	}
	return nil
}

// firstLogin returns the commands by which user logs in to a server at addr and
// changes the default password, which is good from the loopback address only.
func firstLogin(addr, usual, user string) (login, change string) {
	standard := netip.MustParseAddrPort(usual)
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() && !at.Addr().IsUnspecified() {
		return "start copyserver with --listen " + standard.String() + " once, and log in then", ""
	}
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(standard.Addr(), at.Port())
	}
	on := " -s " + at.String()
	if at == standard {
		on = ""
	}
	return "esscli login" + on + " -u " + user, "setuser" + on + " chuser " + user
}
