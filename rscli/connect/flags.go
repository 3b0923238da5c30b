package connect

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/taskstore/notation"
)

// Flags that mean the same in two commands are declared here once, as sets.
// A placeholder for the value stands in backquotes in the usage text.

// Flags holds the flags of every command that talks to a server. A field
// that is empty was not given.
type Flags struct {
	Server, Backup                          string
	User                                    string
	Password, PasswordFile, PasswordCommand string
	Cacert                                  string
	// Defaults, where not nil, completes what all the sources say together.
	Defaults func(*Settings)
	// IgnorePasswords leaves out the users and passwords that "esscli login" stored.
	IgnorePasswords bool
}

// Declare returns the flags, bound to c. Nothing here has a default: what is not given comes
// from the environment and the configuration files.
func (c *Flags) Declare() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", Aliases: []string{"s"}, Destination: &c.Server,
			Category: program.KindServer,
			Usage:    "Copy Services server `HOST[:PORT]`"},
		&cli.StringFlag{Name: "backup-server", Aliases: []string{"b"}, Destination: &c.Backup,
			Category: program.KindServer,
			Usage:    "tried when it does not answer `HOST[:PORT]`"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Destination: &c.User,
			Usage: "act as the user `NAME`"},
		&cli.StringFlag{Name: "password", Aliases: []string{"p"}, Destination: &c.Password,
			Usage: "for old scripts: others can see it `PASSWORD`"},
		&cli.StringFlag{Name: "password-file", Destination: &c.PasswordFile,
			Category: program.KindFile,
			Usage:    "read the password from a file, - for stdin `FILE`"},
		&cli.StringFlag{Name: "password-command", Destination: &c.PasswordCommand,
			Usage: "read the password from a command `CMD`"},
		&cli.StringFlag{Name: "cacert", Category: program.KindFile, Destination: &c.Cacert,
			Usage: "trust the certificates in a file `FILE`"},
	}
}

// TimeoutFlag declares --timeout.
func TimeoutFlag(t *Timeout, usage string) cli.Flag {
	return &cli.GenericFlag{Name: "timeout", Value: t, Usage: usage}
}

// Timeout is a flag's value: 90s, 5m, 1h30m, or a plain number of seconds. Not
// given, nothing limits the waiting; 0 means not to wait at all.
type Timeout struct {
	Limit time.Duration
	given bool
}

// Set reads s.
func (t *Timeout) Set(s string) error {
	limit, err := notation.ParseDuration(s)
	if err != nil {
		return err
	}
	*t = Timeout{limit, true}
	return nil
}

// String is for the library, which prints defaults with it.
func (t *Timeout) String() string { return t.Limit.String() }

// Context returns a context that ends when the time is up. With a limit of 0
// it does not: one answer is to be had even then.
func (t *Timeout) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.Limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.Limit)
}

// PollWait is how long one request may wait on the server: short where a
// progress bar is to move.
func (t *Timeout) PollWait(bar *program.Progress) time.Duration {
	switch {
	case t.given && t.Limit == 0:
		return 0
	case bar != nil:
		return time.Second
	}
	return api.MaxWait
}

// Once reports whether the answer to the first request is to be the last.
func (t *Timeout) Once() bool { return t.given && t.Limit == 0 }
