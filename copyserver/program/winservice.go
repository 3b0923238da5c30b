package program

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/service"
)

// runAsService are the words with which the service manager starts the program;
// the flags follow. Nobody else needs them, and the help does not show them.
var runAsService = []string{"service", "run"}

// serviceMain is Main with the flags of a service.
func serviceMain(args []string) int {
	code, err := service.Run(program, func(events service.Events) service.Body {
		return asService(events, args)
	})
	if err != nil {
		report(os.Stderr, err)
		return fault.KindOf(err).ExitCode()
	}
	return code
}

// asService is the program as a service, which has no standard streams: what it
// would print there is an event, and so is each record of its log.
func asService(events service.Events, args []string) service.Body {
	return func(ctx context.Context, tell func(service.State)) int {
		s := surroundings{stdout: io.Discard, stderr: io.Discard, events: events, tell: tell}
		return s.run(ctx, args)
	}
}

// serviceCommand registers the program with the service manager of Windows. It is
// there on every system, so that the manual is one and the error says more than
// that an argument is unexpected.
func (s *surroundings) serviceCommand() *cli.Command {
	return &cli.Command{
		Name:               "service",
		CustomHelpTemplate: serviceHelp(),
		HideHelpCommand:    true,
		OnUsageError:       usageError,
		Action: func(c *cli.Context) error {
			return cmp.Or(plainFlags(c), usageError(c, fmt.Errorf("install or remove?"), true))
		},
		Subcommands: []*cli.Command{{
			Name:               "install",
			CustomHelpTemplate: installHelp(),
			Flags:              serverFlags(),
			OnUsageError:       usageError,
			Action:             s.installService,
		}, {
			Name:               "remove",
			CustomHelpTemplate: serviceHelp(),
			OnUsageError:       usageError,
			Action:             s.removeService,
		}},
	}
}

// installService refuses what the service would refuse when it starts, where
// nobody would see it.
func (s *surroundings) installService(c *cli.Context) error {
	if err := plainFlags(c); err != nil {
		return err
	}
	opts, err := options(c)
	if err != nil {
		return err
	}
	if opts, err = opts.Validate(); err != nil {
		return err
	}
	if _, err := logger(opts, s.stderr); err != nil {
		return err
	}
	spec := service.Spec{
		Name: program, Display: "Copy Services server",
		Description: "Runs stored FlashCopy tasks and exports the volumes of its array.",
		Folder:      opts.State,
	}
	if spec.Program, err = os.Executable(); err != nil {
		return err
	}
	if spec.Args, err = serviceArgs(c); err != nil {
		return err
	}
	if err := s.install(spec); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "The service %s is installed. It starts with Windows, and now with: "+
		"sc start %s\n", program, program)
	return err
}

// serviceArgs start the service with the flags that were given. Names of files are made absolute,
// because a service runs in a folder of the system.
func serviceArgs(c *cli.Context) ([]string, error) {
	args := slices.Clone(runAsService)
	for _, f := range serverFlags() {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		value := fmt.Sprint(c.Value(name))
		if fileFlags[name] && value != "" {
			var err error
			if value, err = filepath.Abs(value); err != nil {
				return nil, err
			}
		}
		args = append(args, "--"+name+"="+value)
	}
	return args, nil
}

// fileFlags are those that name a file or folder.
var fileFlags = map[string]bool{
	"state": true, "config": true, "ready-file": true,
	"nbd-tls-cert": true, "nbd-tls-key": true, "nbd-tls-client-ca": true,
}

func (s *surroundings) removeService(c *cli.Context) error {
	if err := plainFlags(c); err != nil {
		return err
	}
	if err := s.remove(program); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.stdout, "The service %s is removed; its state folder is kept.\n", program)
	return err
}
