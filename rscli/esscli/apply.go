package esscli

import (
	"context"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
)

func (x *essCLI) apply() *program.Command {
	return x.leaf(program.Command{
		Name: "apply", Summary: "Create or replace the task that a file describes",
		Examples: []string{"esscli apply -f task.yaml", "esscli show task A | esscli apply -f -"},
		Flags: []cli.Flag{&cli.StringFlag{Name: "file", Category: program.KindFile, Aliases: []string{"f"},
			Destination: &x.applyFile, Usage: "YAML, - for standard input `FILE`"}},
		Run: func(ctx context.Context, e *program.Env, _ []string) error { return x.runApply(ctx, e) },
	})
}

// runApply reads and checks the whole file before it connects.
func (x *essCLI) runApply(ctx context.Context, e *program.Env) error {
	if x.applyFile == "" {
		return fault.New(fault.Usage, "no file is given").WithHint("esscli apply -f FILE")
	}
	if x.applyFile == "-" && x.PasswordFile == "-" {
		return fault.New(fault.Usage, "standard input cannot have the password and the task")
	}
	task, err := readTaskFile(e, x.applyFile)
	if err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	task, err = s.PutTask(ctx, task)
	if err != nil {
		return err
	}
	return done(e, task, "task %s applied", task.Name)
}
