package rscli

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
)

// queryCompleteOptions are the flags of rsQueryComplete.
type queryCompleteOptions struct {
	connect.Flags
	timeout connect.Timeout
}

// QueryCompleteMain is rsQueryComplete.
func QueryCompleteMain() int { return program.Main(NewQueryComplete) }

// NewQueryComplete builds rsQueryComplete.
func NewQueryComplete(*program.Env) *program.Command {
	opts := &queryCompleteOptions{}
	return &program.Command{
		Name:     "rsQueryComplete",
		Synopsis: "TASK",
		Summary:  "Wait until every pair of a task has finished copying",
		Examples: []string{
			"rsQueryComplete VMWare_W2K_FC",
			"rsQueryComplete --timeout 0 VMWare_W2K_FC || echo still copying",
		},
		Flags: []cli.Flag{
			connect.TimeoutFlag(&opts.timeout, "end with code 7 after this time, 0: at once `D`"),
		},
		Shared: opts.Flags.Declare(),
		Kinds:  []program.Kind{program.KindTask},
		Least:  1, Most: 1,
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			return opts.run(ctx, e, args[0])
		},
	}
}

func (o *queryCompleteOptions) run(ctx context.Context, e *program.Env, task string) error {
	s, err := o.Connect(ctx, e)
	if err != nil {
		return err
	}
	limited, cancel := o.timeout.Context(ctx)
	defer cancel()
	c, err := o.await(limited, e, s, task)
	if err != nil {
		return taskError(err, task, nil)
	}
	return e.Result(c, func(w io.Writer) {
		fmt.Fprintf(w, "task %s is complete: %s\n", c.Task, program.Count(len(c.Pairs), "pair"))
	})
}

// await asks until the copies are complete: once without waiting, so that the
// bar stands at once and a timeout knows what it interrupts.
func (o *queryCompleteOptions) await(
	ctx context.Context, e *program.Env, s *connect.Session, task string,
) (api.Completion, error) {
	bar := e.NewProgress(task)
	defer bar.End()
	ctx = api.Patient(ctx)
	c, err := s.Completion(ctx, task, 0)
	for err == nil && !c.Complete {
		if o.timeout.Once() {
			return c, stillRunning(ctx, task, o.timeout)
		}
		bar.Update(int64(c.Percent), 100)
		c, err = s.Completion(ctx, task, o.timeout.PollWait(bar))
		if err != nil && ctx.Err() != nil {
			return c, stillRunning(ctx, task, o.timeout)
		}
	}
	return c, err
}
