package rscli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// session is what a command that talks to a server works with.
type session struct {
	*api.Client
	servers []string // host:port, A first
	user    string
	// password is what the user gave, or what is stored.
	password string
	trust    *trust
	ids      *identities // of servers A and B, with a CA file; else nil
	opts     api.Options // of Client
	assumed  bool        // nothing names the server: it is this machine's
}

// connect makes the session that flags, environment and configuration
// describe. Where there is a terminal it asks about an unknown certificate, and
// only then for a missing password; apart from that it sends nothing.
func (c *connection) connect(ctx context.Context, e *Env) (*session, error) {
	s, l, err := c.open(e)
	if err != nil {
		return nil, err
	}
	if err := s.trust.settle(ctx, s.servers); err != nil {
		return nil, err
	}
	return s, s.authenticate(ctx, e, l)
}

// pinAndConnect shows what certificates the servers present, asks, and pins them,
// so that connecting has nothing left to ask. It also returns what is pinned now, by
// address. A backup server that does not answer is only warned about: being down is
// what the other one is for.
func (c *connection) pinAndConnect(ctx context.Context, e *Env) (*session, map[string]string, error) {
	s, l, err := c.open(e)
	if err != nil {
		return nil, nil, err
	}
	pinned := map[string]string{}
	for _, addr := range s.servers {
		print, err := s.trust.repin(ctx, addr)
		switch {
		case err == nil:
			pinned[addr] = print
		case len(s.servers) == 1 || fault.KindOf(err) != fault.Connection:
			return nil, nil, err
		default:
			e.warn("%s", err)
		}
	}
	return s, pinned, s.authenticate(ctx, e, l)
}

// open is the first half of connect: it knows the servers and whom to trust. It
// also returns the settings, which authenticate needs.
func (c *connection) open(e *Env) (*session, layer, error) {
	l, err := c.settings(e)
	if err != nil {
		return nil, l, err
	}
	s := &session{assumed: l.assumed}
	if s.servers, err = l.addresses(); err != nil {
		return nil, l, err
	}
	if s.trust, err = newTrust(e, l); err != nil {
		return nil, l, err
	}
	if s.trust.cas != nil && len(s.servers) > 1 {
		s.ids, err = readIdentities(e)
	}
	return s, l, err
}

// authenticate is the second half of connect.
func (s *session) authenticate(ctx context.Context, e *Env, l layer) error {
	var err error
	if s.user, s.password, err = l.credentials(ctx, e); err != nil {
		return err
	}
	e.fromLogin = l.fromLogin
	e.Log.Debug("connecting", "servers", s.servers, "user", s.user)
	s.opts = api.Options{
		Servers: s.servers, User: s.user, Password: s.password,
		TLS: s.trust.config, UserAgent: e.Name + "/" + Version,
		Note:         func(text string) { e.Log.Warn(text) },
		Warn:         func(text string) { e.warn("%s", text) },
		Known:        s.trust.known,
		NoAnswerHint: s.noAnswerHint(),
	}
	if s.ids != nil {
		s.opts.KnownID, s.opts.Met = s.ids.known, s.ids.met
	}
	s.Client = api.New(s.opts)
	return nil
}

// clientOf returns a client of one of the servers alone. Close it after use.
func (s *session) clientOf(addr string) *api.Client {
	opts := s.opts
	opts.Servers = []string{addr}
	return api.New(opts)
}

// noAnswerHint is for who may not know that this machine's server was asked; empty
// where the server was named.
func (s *session) noAnswerHint() string {
	if !s.assumed {
		return ""
	}
	return "no server is named, so this machine's was tried: name one with -s, RSCLI_SERVER or " +
		"the key server of the configuration, or store it with esscli login -s"
}

// addresses returns server A and, where it is given, B.
func (l *layer) addresses() ([]string, error) {
	var servers []string
	for _, s := range []string{l.server, l.backup} {
		if s == "" {
			continue
		}
		addr, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		servers = append(servers, addr)
	}
	return servers, nil
}

// warnOfDefaultPassword tells who logged in with what everybody knows.
func (e *Env) warnOfDefaultPassword(server api.Server) {
	if !server.DefaultPassword {
		return
	}
	e.warn("%s still has the password of every new server, which works on the server's own machine only",
		server.User)
	e.hint("change it and log in again: setuser chuser %[1]s; esscli login -u %[1]s", server.User)
}

// pinnedServers are those whose certificate is pinned where nothing is configured,
// as people name them. No server is asked.
func pinnedServers(e *Env) []string {
	pins, err := readPins(joinUnder(e.userDir(), "known_servers"))
	if err != nil {
		return nil
	}
	var names []string
	for _, addr := range slices.Sorted(maps.Keys(pins)) {
		names = append(names, strings.TrimSuffix(addr, fmt.Sprint(":", DefaultPort)))
	}
	return names
}
