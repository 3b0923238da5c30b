package copyserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/auth"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore/atomicfile"
)

// How a server that accepts connections is found: by programs through the ready
// file, by the first administrator through the first lines of the log.

// Ready is what the ready file holds, as JSON.
type Ready struct {
	Address     string `json:"address"`
	NBDAddress  string `json:"nbd_address,omitempty"` // empty when off
	Fingerprint string `json:"fingerprint"`           // of the certificate: sha256:HEX
	PID         int    `json:"pid"`
	Array       string `json:"array"` // the embedded one: 2105.13698
}

func (s *Server) announce() error {
	if s.opts.ReadyFile == "" {
		return nil
	}
	data, err := json.Marshal(Ready{
		Address: s.Addr(), NBDAddress: s.NBDAddr(), Fingerprint: secrets.Fingerprint(s.cert),
		PID: os.Getpid(), Array: s.arrays.Names()[0],
	})
	if err != nil {
		return fault.New(fault.Failed, "cannot encode the ready file: %w", err)
	}
	path, err := filepath.Abs(s.opts.ReadyFile)
	if err != nil {
		return fault.New(fault.Failed, "ready file: %w", err)
	}
	if err := atomicfile.Write(atomicfile.OS(), path, append(data, '\n'), 0o644); err != nil {
		return err
	}
	s.onStop("ready file", func(context.Context) error { return s.removeReadyFile() })
	return nil
}

func (s *Server) removeReadyFile() error {
	if s.opts.ReadyFile == "" {
		return nil
	}
	if err := os.Remove(s.opts.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Failed, "cannot remove the ready file: %w", err)
	}
	return nil
}

// checkReadyFile refuses a name whose folder is not there.
func (s *Server) checkReadyFile() error {
	if s.opts.ReadyFile == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(s.opts.ReadyFile)); err != nil {
		return fault.New(fault.Failed, "the ready file has no folder: %w", err)
	}
	return nil
}

// announceFirstUser says who can log in to a new server and how, until the password
// that everybody knows is changed.
func (s *Server) announceFirstUser() error {
	all, err := s.store.Users().List()
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.DefaultPassword {
			login, change := firstLogin(s.Addr(), u.Name)
			s.logger.Warn("the first user has a password that everybody knows: log in on this machine "+
				"and change it", "user", u.Name, "password", auth.DefaultPassword,
				"login", login, "change", change)
		}
	}
	return nil
}

// firstLogin returns the commands by which user logs in to a server at addr and
// changes the default password, which is good from the loopback address only.
func firstLogin(addr, user string) (login, change string) {
	standard := netip.MustParseAddrPort(DefaultOptions().Listen)
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
