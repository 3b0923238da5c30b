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
	trust   *trust
}

// connect makes the session that flags, environment and configuration
// describe. It asks for a missing password, and about an unknown certificate,
// where there is a terminal; apart from that it sends nothing.
func (c *connection) connect(ctx context.Context, e *Env) (*session, error) {
	s, err := c.open(ctx, e)
	if err != nil {
		return nil, err
	}
	return s, s.trust.settle(ctx, s.servers)
}

// open is connect without the question about the certificate.
func (c *connection) open(ctx context.Context, e *Env) (*session, error) {
	l, err := c.settings(e)
	if err != nil {
		return nil, err
	}
	s := &session{}
	if s.servers, err = l.addresses(); err != nil {
		return nil, err
	}
	if s.trust, err = newTrust(e, l); err != nil {
		return nil, err
	}
	user, password, err := l.credentials(ctx, e)
	if err != nil {
		return nil, err
	}
	e.Log.Debug("connecting", "servers", s.servers, "user", user)
	s.user = user
	s.Client = api.New(api.Options{
		Servers: s.servers, User: user, Password: password,
		TLS: s.trust.config, UserAgent: e.Name + "/" + Version,
		Note: func(text string) { e.Log.Warn(text) },
	})
	return s, nil
}

// addresses returns server A and, where it is given, B.
func (l *layer) addresses() ([]string, error) {
	if l.server == "" {
		return nil, fault.New(fault.Usage, "no server is given").
			WithHint("use -s, RSCLI_SERVER or the key server of the configuration")
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
