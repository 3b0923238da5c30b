package rscli

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
)

// queryCompleteOptions are the flags of rsQueryComplete.
type queryCompleteOptions struct {
	connection
	timeout timeout
}

// QueryCompleteMain is rsQueryComplete.
func QueryCompleteMain() int { return mainOf(newQueryComplete) }

func newQueryComplete(*Env) *command {
	opts := &queryCompleteOptions{}
	return &command{
		name:     "rsQueryComplete",
		synopsis: "TASK",
		summary:  "Wait until every pair of a task has finished copying",
		examples: []string{
			"rsQueryComplete VMWare_W2K_FC",
			"rsQueryComplete --timeout 0 VMWare_W2K_FC || echo still copying",
		},
		flags: []cli.Flag{
			timeoutFlag(&opts.timeout, "end with code 7 after this time, 0: at once `D`"),
		},
		shared: opts.connection.flags(),
		least:  1, most: 1,
		run: func(ctx context.Context, e *Env, args []string) error {
			return opts.run(ctx, e, args[0])
		},
	}
}

func (o *queryCompleteOptions) run(ctx context.Context, e *Env, task string) error {
	s, err := o.connect(ctx, e)
	if err != nil {
		return err
	}
	limited, cancel := o.timeout.context(ctx)
	defer cancel()
	c, err := o.await(limited, e, s, task)
	if err != nil {
		return taskError(err, task, nil)
	}
	return e.result(c, func(w io.Writer) {
		fmt.Fprintf(w, "task %s is complete: %s\n", c.Task, count(len(c.Pairs), "pair"))
	})
}

// await asks until the copies are complete: once without waiting, so that the
// bar stands at once and a timeout knows what it interrupts.
func (o *queryCompleteOptions) await(
	ctx context.Context, e *Env, s *session, task string,
) (api.Completion, error) {
	bar := e.newProgress(task)
	defer bar.end()
	ctx = api.Patient(ctx)
	c, err := s.Completion(ctx, task, 0)
	for err == nil && !c.Complete {
		if o.timeout.once() {
			return c, stillRunning(ctx, task, o.timeout)
		}
		bar.update(int64(c.Percent), 100)
		c, err = s.Completion(ctx, task, o.timeout.pollWait(bar))
		if err != nil && ctx.Err() != nil {
			return c, stillRunning(ctx, task, o.timeout)
		}
	}
	return c, err
}
