// Package connect is the way of a command to a server. Flags are those of every command
// that talks to one; together with the environment, the configuration files and what
// "esscli login" stored they give Settings: the servers A and B, the user, the
// password, and which certificates are trusted. Connect makes of them a Session, the
// client of the server's API with which the command works.
//
// A certificate that nobody has vouched for is pinned at its first sight only where
// that is safe, and asked about on a terminal; a password is never sent to a server
// that is not trusted.
package connect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
)

// Session is what a command that talks to a server works with.
type Session struct {
	*api.Client
	Servers []string // host:port, A first
	User    string
	// Password is what the user gave, or what is stored.
	Password string
	trust    *trust
	ids      *identities // of servers A and B, with a CA file; else nil
	opts     api.Options // of Client
	assumed  bool        // nothing names the server: it is this machine's
}

// Connect makes the session that flags, environment and configuration
// describe. Where there is a terminal it asks about an unknown certificate, and
// only then for a missing password; apart from that it sends nothing.
func (c *Flags) Connect(ctx context.Context, e *program.Env) (*Session, error) {
	s, l, err := c.open(e)
	if err != nil {
		return nil, err
	}
	if err := s.trust.settle(ctx, s.Servers); err != nil {
		return nil, err
	}
	return s, s.authenticate(ctx, e, l)
}

// PinAndConnect shows what certificates the servers present, asks, and pins them,
// so that connecting has nothing left to ask. It also returns what is pinned now, by
// address. A backup server that does not answer is only warned about: being down is
// what the other one is for.
func (c *Flags) PinAndConnect(ctx context.Context, e *program.Env) (*Session, map[string]string, error) {
	s, l, err := c.open(e)
	if err != nil {
		return nil, nil, err
	}
	pinned := map[string]string{}
	for _, addr := range s.Servers {
		print, err := s.trust.repin(ctx, addr)
		switch {
		case err == nil:
			pinned[addr] = print
		case len(s.Servers) == 1 || fault.KindOf(err) != fault.Connection:
			return nil, nil, err
		default:
			e.Warn("%s", err)
		}
	}
	return s, pinned, s.authenticate(ctx, e, l)
}

// open is the first half of connect: it knows the servers and whom to trust. It
// also returns the settings, which authenticate needs.
func (c *Flags) open(e *program.Env) (*Session, Settings, error) {
	l, err := c.Settings(e)
	if err != nil {
		return nil, l, err
	}
	s := &Session{assumed: l.Assumed}
	if s.Servers, err = l.addresses(); err != nil {
		return nil, l, err
	}
	if s.trust, err = newTrust(e, l); err != nil {
		return nil, l, err
	}
	if s.trust.cas != nil && len(s.Servers) > 1 {
		s.ids, err = readIdentities(e)
	}
	return s, l, err
}

// authenticate is the second half of connect.
func (s *Session) authenticate(ctx context.Context, e *program.Env, l Settings) error {
	var err error
	if s.User, s.Password, err = l.credentials(ctx, e); err != nil {
		return err
	}
	e.FromLogin = l.fromLogin
	e.Log.Debug("connecting", "servers", s.Servers, "user", s.User)
	s.opts = api.Options{
		Servers: s.Servers, User: s.User, Password: s.Password,
		TLS: s.trust.config, UserAgent: e.Name + "/" + program.Version,
		Note:         func(text string) { e.Log.Warn(text) },
		Warn:         func(text string) { e.Warn("%s", text) },
		Missing:      e.Lack,
		Known:        s.trust.known,
		NoAnswerHint: s.noAnswerHint(),
	}
	if s.ids != nil {
		s.opts.KnownID, s.opts.Met = s.ids.known, s.ids.met
	}
	s.Client = api.New(s.opts)
	return nil
}

// ClientOf returns a client of one of the servers alone. Close it after use.
func (s *Session) ClientOf(addr string) *api.Client {
	opts := s.opts
	opts.Servers = []string{addr}
	return api.New(opts)
}

// noAnswerHint is for who may not know that this machine's server was asked; empty
// where the server was named.
func (s *Session) noAnswerHint() string {
	if !s.assumed {
		return ""
	}
	return "no server is named, so this machine's was tried: name one with -s, RSCLI_SERVER or " +
		"the key server of the configuration, or store it with esscli login -s"
}

// addresses returns server A and, where it is given, B.
func (l *Settings) addresses() ([]string, error) {
	var servers []string
	for _, s := range []string{l.Server, l.Backup} {
		if s == "" {
			continue
		}
		addr, err := ParseAddress(s)
		if err != nil {
			return nil, err
		}
		servers = append(servers, addr)
	}
	return servers, nil
}

// WarnOfDefaultPassword tells who logged in with what everybody knows.
func WarnOfDefaultPassword(e *program.Env, server api.Server) {
	if !server.DefaultPassword {
		return
	}
	e.Warn("%s still has the password of every new server, which works on the server's own machine only",
		server.User)
	e.Hint("change it and log in again: setuser chuser %[1]s; esscli login -u %[1]s", server.User)
}

// PinnedServers are those whose certificate is pinned where nothing is configured,
// as people name them. No server is asked.
func PinnedServers(e *program.Env) []string {
	pins, err := pinsIn(joinUnder(userDir(e), "known_servers")).read()
	if err != nil {
		return nil
	}
	var names []string
	for _, addr := range slices.Sorted(maps.Keys(pins)) {
		names = append(names, strings.TrimSuffix(addr, fmt.Sprint(":", DefaultPort)))
	}
	return names
}
