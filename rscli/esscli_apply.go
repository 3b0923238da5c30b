package rscli

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// maxTaskFile is the largest task file in bytes.
const maxTaskFile = 1 << 20

func (x *essCLI) apply() *command {
	return x.leaf(command{
		name: "apply", summary: "Create or replace the task that a file describes",
		examples: []string{"esscli apply -f task.yaml", "esscli show task A | esscli apply -f -"},
		flags: []cli.Flag{&cli.StringFlag{Name: "file", Aliases: []string{"f"},
			Destination: &x.applyFile, Usage: "YAML, - for standard input `FILE`"}},
		run: func(ctx context.Context, e *Env, _ []string) error { return x.runApply(ctx, e) },
	})
}

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

// readTaskFile reads and checks a task file; "-" is standard input. Its
// errors name the file.
func readTaskFile(e *Env, path string) (api.Task, error) {
	input, name := e.Stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return api.Task{}, fault.New(fault.Usage, "cannot read the task file: %w", err)
		}
		defer f.Close()
		input, name = f, path
	}
	text, err := io.ReadAll(io.LimitReader(input, maxTaskFile+1))
	switch {
	case err != nil:
		return api.Task{}, fault.New(fault.Usage, "cannot read the task file: %w", err)
	case len(text) > maxTaskFile:
		return api.Task{}, fault.New(fault.Usage, "%s is no task file: it is longer than %d MiB",
			name, maxTaskFile>>20)
	}
	task, err := taskstore.ReadTask(bytes.NewReader(text))
	if err != nil {
		return api.Task{}, fault.New(fault.Usage, "%s: %w", name, err).
			WithHint("%s", fault.HintOf(err))
	}
	return task, nil
}
