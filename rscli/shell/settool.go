package shell

import (
	"cmp"
	"context"
	"errors"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// What setdevice and setuser have in common: on the server's own machine they act as
// its first user unless they are told otherwise.

// setTool are the flags of both tools.
type setTool struct {
	connect.Flags
	byDefault bool // the default password is in use
}

// command returns the tool's command.
func (o *setTool) command(name, summary string, examples []string, verbs []verb) *program.Command {
	o.Defaults = func(l *connect.Settings) { o.byDefault = localUser(l) }
	return &program.Command{
		Name:     name,
		Synopsis: "[COMMAND ARGUMENT...]",
		Summary:  summary,
		Examples: examples,
		Shared:   o.Flags.Declare(),
		Kinds:    []program.Kind{program.KindVerb},
		Most:     -1,
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			if len(args) == 0 && o.PasswordFile == "-" && !e.IsTerminal(e.Stdin) {
				return fault.New(fault.Usage, "standard input cannot have the password and the commands").
					WithHint("put the password into a file for --password-file")
			}
			s := &shell{e: e, verbs: verbs, explain: o.explain}
			s.connect = func(ctx context.Context, check bool) (*connect.Session, error) {
				return o.login(ctx, e, check)
			}
			return s.main(ctx, args)
		},
	}
}

// localUser fills in what is not configured for this machine: where neither user nor
// password is given, the default ones. It reports whether they are in use.
func localUser(l *connect.Settings) bool {
	for _, server := range []string{l.Server, cmp.Or(l.Backup, l.Server)} {
		addr, err := connect.ParseAddress(server)
		if err != nil || !connect.IsLoopback(addr) {
			return false
		}
	}
	if l.User != "" || l.HasPassword() {
		return false
	}
	l.User, l.Password = taskstore.DefaultUser, taskstore.DefaultPassword
	return true
}

// login connects. With check it makes sure that the server knows the user.
func (o *setTool) login(ctx context.Context, e *program.Env, check bool) (*connect.Session, error) {
	s, err := o.Connect(ctx, e)
	if err != nil || !check {
		return s, err
	}
	if _, err := s.Server(ctx); err != nil {
		return nil, o.explain(err)
	}
	return s, nil
}

// explain gives the error about a default password that is no longer in force
// the hint that helps.
func (o *setTool) explain(err error) error {
	var own *fault.Error
	if o.byDefault && errors.As(err, &own) && own.Kind == fault.Denied {
		return fault.New(fault.Denied, "%w", err).
			WithHint("no user was given and the default one was refused: use -u and --password-file")
	}
	return err
}
