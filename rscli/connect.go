package rscli

import (
	"context"

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
