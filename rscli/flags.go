package rscli

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
	"copyservices/taskstore/notation"
)

// Flags that mean the same in two commands are declared here once, as sets.
// A placeholder for the value stands in backquotes in the usage text.

// connection holds the flags of every command that talks to a server. A field
// that is empty was not given.
type connection struct {
	server, backup                          string
	user                                    string
	password, passwordFile, passwordCommand string
	cacert                                  string
	// defaults, where not nil, completes what all the sources say together.
	defaults func(*layer)
	// ignorePasswords leaves out the users and passwords that "esscli login" stored.
	ignorePasswords bool
}

// flags returns the set. Nothing here has a default: what is not given comes
// from the environment and the configuration files.
func (c *connection) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", Aliases: []string{"s"}, Destination: &c.server,
			Usage: "Copy Services server `HOST[:PORT]`"},
		&cli.StringFlag{Name: "backup-server", Aliases: []string{"b"}, Destination: &c.backup,
			Usage: "tried when it does not answer `HOST[:PORT]`"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Destination: &c.user,
			Usage: "act as the user `NAME`"},
		&cli.StringFlag{Name: "password", Aliases: []string{"p"}, Destination: &c.password,
			Usage: "for old scripts: others can see it `PASSWORD`"},
		&cli.StringFlag{Name: "password-file", Destination: &c.passwordFile,
			Usage: "read the password from a file, - for stdin `FILE`"},
		&cli.StringFlag{Name: "password-command", Destination: &c.passwordCommand,
			Usage: "read the password from a command `CMD`"},
		&cli.StringFlag{Name: "cacert", Destination: &c.cacert,
			Usage: "trust the certificates in a file `FILE`"},
	}
}

// timeoutFlag declares --timeout.
func timeoutFlag(t *timeout, usage string) cli.Flag {
	return &cli.GenericFlag{Name: "timeout", Value: t, Usage: usage}
}

// timeout is a flag's value: 90s, 5m, 1h30m, or a plain number of seconds. Not
// given, nothing limits the waiting; 0 means not to wait at all.
type timeout struct {
	limit time.Duration
	given bool
}

// Set reads s.
func (t *timeout) Set(s string) error {
	limit, err := notation.ParseDuration(s)
	if err != nil {
		return err
	}
	*t = timeout{limit, true}
	return nil
}

// String is for the library, which prints defaults with it.
func (t *timeout) String() string { return t.limit.String() }

// context returns a context that ends when the time is up. With a limit of 0
// it does not: one answer is to be had even then.
func (t *timeout) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.limit)
}

// pollWait is how long one request may wait on the server: short where a
// progress bar is to move.
func (t *timeout) pollWait(bar *progress) time.Duration {
	switch {
	case t.given && t.limit == 0:
		return 0
	case bar != nil:
		return time.Second
	}
	return api.MaxWait
}

// once reports whether the answer to the first request is to be the last.
func (t *timeout) once() bool { return t.given && t.limit == 0 }
