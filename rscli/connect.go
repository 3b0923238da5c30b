package rscli

import (
	"context"

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
	s := &session{}
	if s.servers, err = l.addresses(); err != nil {
		return nil, l, err
	}
	s.trust, err = newTrust(e, l)
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
	s.Client = api.New(api.Options{
		Servers: s.servers, User: s.user, Password: s.password,
		TLS: s.trust.config, UserAgent: e.Name + "/" + Version,
		Note: func(text string) { e.Log.Warn(text) },
	})
	return nil
}

// addresses returns server A and, where it is given, B.
func (l *layer) addresses() ([]string, error) {
	if l.server == "" {
		return nil, fault.New(fault.Usage, "no server is given").
			WithHint("use -s, RSCLI_SERVER or the key server of the configuration; " +
				"esscli login stores it with a password")
	}
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
