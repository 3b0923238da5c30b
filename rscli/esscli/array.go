package esscli

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// arrayOptions are the flags of "create array".
type arrayOptions struct {
	driver, user, passwordFile, alternate, fingerprint, id string
}

// flags returns the set. The user and the password are those of the array, while --user
// and --password-file are of whoever acts.
func (o *arrayOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "driver", Destination: &o.driver, Required: true,
			Usage: "what the array is, a word of the server `WORD`"},
		&cli.StringFlag{Name: "array-user", Destination: &o.user, Required: true,
			Usage: "the user who logs in there `NAME`"},
		&cli.StringFlag{Name: "array-password-file", Destination: &o.passwordFile,
			Category: program.KindFile, Usage: "that user's password, else asked for `FILE`"},
		&cli.StringFlag{Name: "alternate", Destination: &o.alternate,
			Usage: "tried where the first address does not answer `ADDRESS`"},
		&cli.StringFlag{Name: "fingerprint", Destination: &o.fingerprint,
			Usage: "of its certificate, if no authority signed it `SHA256`"},
		&cli.StringFlag{Name: "array", Category: program.KindArray, Destination: &o.id,
			Usage: "which array, where there are more `ID`"},
	}
}

func createArray(x *essCLI) *program.Command {
	o := &x.array
	return x.leaf(program.Command{
		Name: "array", Synopsis: "ADDRESS", Summary: "Register an array that the server then drives",
		Examples: []string{
			"esscli create array 10.0.0.5 --driver copyserver --array-user admin",
			"esscli create array ess2:8453 --driver copyserver --array-user admin",
		},
		Flags: o.flags(), Least: 1, Most: 1,
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			password, err := o.password(ctx, e)
			if err != nil {
				return err
			}
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			entry, err := s.CreateEntry(ctx, api.Entry{
				Kind: taskstore.EntryESS, Address: args[0], User: o.user, Password: password,
				Driver: o.driver, Array: o.id, Alternate: o.alternate, Fingerprint: o.fingerprint,
			})
			if err != nil {
				return err
			}
			return done(e, entry, "array %s registered at %s", entry.Array, entry.Address)
		},
	})
}

func (o *arrayOptions) password(ctx context.Context, e *program.Env) (string, error) {
	switch {
	case o.passwordFile != "":
		return connect.ReadPasswordFile(e, o.passwordFile)
	case !e.IsTerminal(e.Stdin):
		return "", fault.New(fault.Usage, "the password of %s is missing", o.user).
			WithHint("use --array-password-file")
	}
	return e.AskPassword(ctx, "Password of "+strings.TrimSpace(o.user)+" at the array: ")
}

// deleteArray removes the entry of the array with that id.
func deleteArray(c *api.Client, ctx context.Context, id string) error {
	entries, err := c.Entries(ctx, taskstore.EntryESS)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.EqualFold(e.Array, id) {
			return c.DeleteEntry(ctx, e.Kind, e.Address)
		}
	}
	return fault.New(fault.NotFound, "no array %s is registered", id).
		WithHint("the server's own array stays; esscli list array shows the others")
}
