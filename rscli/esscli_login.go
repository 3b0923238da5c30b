package rscli

import (
	"context"
	"fmt"

	"copyservices/arrayclient/fault"
)

func (x *essCLI) login() *command {
	return x.leaf(command{
		name: "login", summary: "Check a user's password and store it for all commands",
		examples: []string{
			"esscli login -s copyserver.example -u operator",
			"esscli login -s copyserver.example -u operator --password-file -",
		},
		run: func(ctx context.Context, e *Env, _ []string) error { return x.runLogin(ctx, e) },
	})
}

func (x *essCLI) logout() *command {
	return x.leaf(command{
		name: "logout", summary: "Forget what login stored for a server",
		examples: []string{"esscli logout", "esscli logout -s copyserver.example"},
		run:      func(_ context.Context, e *Env, _ []string) error { return x.runLogout(e) },
	})
}

// loginReport is what --json prints for login and logout.
type loginReport struct {
	Server string `json:"server"`
	User   string `json:"user"`
	File   string `json:"file"`
	// DefaultPassword: the server's first user still has the first password.
	DefaultPassword bool `json:"default_password,omitempty"`
}

// runLogin stores nothing that the server did not accept. A password that is stored
// already is not used: it may be what is to be replaced.
func (x *essCLI) runLogin(ctx context.Context, e *Env) error {
	if _, err := readLogins(e); err != nil {
		return err // before anybody is asked for a password
	}
	x.ignorePasswords = true
	if err := x.askUser(ctx, e); err != nil {
		return err
	}
	s, err := x.connect(ctx, e)
	if err != nil {
		return err
	}
	server, err := s.Server(ctx)
	if err != nil {
		return err
	}
	entry := login{Server: s.servers[0], User: server.User, Password: s.password}
	if len(s.servers) > 1 {
		entry.Backup = s.servers[1]
	}
	err = changeLogins(e, entry.Server, func(login) login { return entry })
	if err != nil {
		return fault.New(fault.Failed, "cannot store the login: %w", err).WithHint("%s", fault.HintOf(err))
	}
	report := loginReport{entry.Server, entry.User, e.loginsFile(), server.DefaultPassword}
	if err := e.done(report, "logged in to %s as %s (%s)", entry.Server, entry.User, server.Role); err != nil {
		return err
	}
	e.warnOfDefaultPassword(server)
	return nil
}

// askUser asks for a user that nothing names.
func (x *essCLI) askUser(ctx context.Context, e *Env) error {
	l, err := x.settings(e)
	if err != nil || l.user != "" || !e.IsTerminal(e.Stdin) {
		return err
	}
	fmt.Fprintf(e.Stderr, "User of %s: ", l.server)
	x.connection.user, err = e.readLine(ctx)
	return err
}

// runLogout asks no server: that one may be gone for good.
func (x *essCLI) runLogout(e *Env) error {
	all, err := readLogins(e)
	if err != nil {
		return err
	}
	l, err := x.settings(e)
	if err != nil {
		return err
	}
	if l.assumed && len(all) > 1 {
		return fault.New(fault.Usage, "logins for %s are stored", all.servers()).
			WithHint("choose one with -s")
	}
	i := all.index(l.server)
	if i < 0 && l.assumed {
		return fault.New(fault.NotFound, "no login is stored")
	}
	if i < 0 {
		return fault.New(fault.NotFound, "no login is stored for %s", l.server)
	}
	gone := login{Server: l.server}
	err = changeLogins(e, l.server, func(stored login) login {
		gone = stored
		return login{}
	})
	if err != nil {
		return fault.New(fault.Failed, "cannot remove the login: %w", err).WithHint("%s", fault.HintOf(err))
	}
	return e.done(loginReport{Server: gone.Server, User: gone.User, File: e.loginsFile()},
		"logged out of %s: the password of %s is forgotten here", gone.Server, gone.User)
}
