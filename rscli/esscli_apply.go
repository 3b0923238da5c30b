package rscli

import (
	"context"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
)

func (x *essCLI) apply() *command {
	return x.leaf(command{
		name: "apply", summary: "Create or replace the task that a file describes",
		examples: []string{"esscli apply -f task.yaml", "esscli show task A | esscli apply -f -"},
		flags: []cli.Flag{&cli.StringFlag{Name: "file", Aliases: []string{"f"},
			Destination: &x.applyFile, Usage: "YAML, - for standard input `FILE`"}},
		run: func(ctx context.Context, e *Env, _ []string) error { return x.runApply(ctx, e) },
	})
}

// runApply reads and checks the whole file before it connects.
func (x *essCLI) runApply(ctx context.Context, e *Env) error {
	if x.applyFile == "" {
		return fault.New(fault.Usage, "no file is given").WithHint("esscli apply -f FILE")
	}
	if x.applyFile == "-" && x.passwordFile == "-" {
		return fault.New(fault.Usage, "standard input cannot have the password and the task")
	}
	task, err := readTaskFile(e, x.applyFile)
	if err != nil {
		return err
	}
	s, err := x.connect(ctx, e)
	if err != nil {
		return err
	}
	task, err = s.PutTask(ctx, task)
	if err != nil {
		return err
	}
	return e.done(task, "task %s applied", task.Name)
}
