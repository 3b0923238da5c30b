package esscli

import (
	"context"
	"fmt"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
)

func (x *essCLI) login() *program.Command {
	return x.leaf(program.Command{
		Name: "login", Summary: "Check a user's password and store it for all commands",
		Examples: []string{
			"esscli login -s copyserver.example -u operator",
			"esscli login -s copyserver.example -u operator --password-file -",
		},
		Run: func(ctx context.Context, e *program.Env, _ []string) error { return x.runLogin(ctx, e) },
	})
}

func (x *essCLI) logout() *program.Command {
	return x.leaf(program.Command{
		Name: "logout", Summary: "Forget what login stored for a server",
		Examples: []string{"esscli logout", "esscli logout -s copyserver.example"},
		Run:      func(_ context.Context, e *program.Env, _ []string) error { return x.runLogout(e) },
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
func (x *essCLI) runLogin(ctx context.Context, e *program.Env) error {
	if _, err := connect.ReadLogins(e); err != nil {
		return err // before anybody is asked for a password
	}
	x.IgnorePasswords = true
	if err := x.askUser(ctx, e); err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	server, err := s.Server(ctx)
	if err != nil {
		return err
	}
	entry := connect.Login{Server: s.Servers[0], User: server.User, Password: s.Password}
	if len(s.Servers) > 1 {
		entry.Backup = s.Servers[1]
	}
	err = connect.ChangeLogins(e, entry.Server, func(connect.Login) connect.Login { return entry })
	if err != nil {
		return fault.New(fault.Failed, "cannot store the login: %w", err).WithHint("%s", fault.HintOf(err))
	}
	report := loginReport{entry.Server, entry.User, connect.LoginsFile(e), server.DefaultPassword}
	if err := done(e, report, "logged in to %s as %s (%s)", entry.Server, entry.User, server.Role); err != nil {
		return err
	}
	connect.WarnOfDefaultPassword(e, server)
	return nil
}

// askUser asks for a user that nothing names.
func (x *essCLI) askUser(ctx context.Context, e *program.Env) error {
	l, err := x.Settings(e)
	if err != nil || l.User != "" || !e.IsTerminal(e.Stdin) {
		return err
	}
	fmt.Fprintf(e.Stderr, "User of %s: ", l.Server)
	x.Flags.User, err = e.ReadLine(ctx)
	return err
}

// runLogout asks no server: that one may be gone for good.
func (x *essCLI) runLogout(e *program.Env) error {
	all, err := connect.ReadLogins(e)
	if err != nil {
		return err
	}
	l, err := x.Settings(e)
	if err != nil {
		return err
	}
	if l.Assumed && len(all) > 1 {
		return fault.New(fault.Usage, "logins for %s are stored", all.Servers()).
			WithHint("choose one with -s")
	}
	i := all.Index(l.Server)
	if i < 0 && l.Assumed {
		return fault.New(fault.NotFound, "no login is stored")
	}
	if i < 0 {
		return fault.New(fault.NotFound, "no login is stored for %s", l.Server)
	}
	gone := connect.Login{Server: l.Server}
	err = connect.ChangeLogins(e, l.Server, func(stored connect.Login) connect.Login {
		gone = stored
		return connect.Login{}
	})
	if err != nil {
		return fault.New(fault.Failed, "cannot remove the login: %w", err).WithHint("%s", fault.HintOf(err))
	}
	return done(e, loginReport{Server: gone.Server, User: gone.User, File: connect.LoginsFile(e)},
		"logged out of %s: the password of %s is forgotten here", gone.Server, gone.User)
}
