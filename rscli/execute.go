package rscli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// executeOptions are the flags of rsExecuteTask.
type executeOptions struct {
	connect.Flags
	wait     bool
	timeout  connect.Timeout
	waitLock connect.Timeout
	dryRun   bool
}

// ExecuteTaskMain is rsExecuteTask.
func ExecuteTaskMain() int { return program.Main(NewExecuteTask) }

// NewExecuteTask builds rsExecuteTask.
func NewExecuteTask(*program.Env) *program.Command {
	opts := &executeOptions{}
	return &program.Command{
		Name:     "rsExecuteTask",
		Synopsis: "TASK...",
		Summary:  "Run stored tasks in this order, up to the first that fails",
		Examples: []string{
			"rsExecuteTask VMWare_W2K_FC",
			"rsExecuteTask --wait --timeout 30m VMWare_W2K_FC",
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Destination: &opts.wait,
				Usage: "return when the background copy is complete"},
			connect.TimeoutFlag(&opts.timeout, "end with code 7 when it takes longer `D`"),
			&cli.GenericFlag{Name: "wait-lock", Value: &opts.waitLock,
				Usage: "wait so long for another run of a task `D`"},
			&cli.BoolFlag{Name: "dry-run", Destination: &opts.dryRun,
				Usage: "check and print what would be done"},
		},
		Shared: opts.Flags.Declare(),
		Kinds:  []program.Kind{program.KindTask},
		Least:  1, Most: -1,
		Run: opts.run,
	}
}

// executeReport is what --json prints, with success and with failure: the runs
// before the one that failed are not to be lost. Error is that of the last.
type executeReport struct {
	Runs   []api.Run            `json:"runs"`
	NotRun []string             `json:"not_run,omitempty"`
	Error  *program.ErrorDetail `json:"error,omitempty"`
}

func (o *executeOptions) run(ctx context.Context, e *program.Env, tasks []string) error {
	s, err := o.Connect(ctx, e)
	if err != nil {
		return err
	}
	limited, cancel := o.timeout.Context(ctx)
	defer cancel()
	report := executeReport{Runs: []api.Run{}}
	for i, task := range tasks {
		var run api.Run
		run, err = o.runOne(limited, e, s, task)
		if run.ID != "" || run.State == taskstore.RunDry {
			report.Runs = append(report.Runs, run)
		}
		if i > 0 && o.dryRun && fault.KindOf(err) == fault.Refused {
			e.Warn("task %s would be refused as things are now, before the tasks in front of it: %v", task, err)
			err = nil
			continue
		}
		if err != nil {
			report.NotRun = tasks[i+1:]
			err = taskError(err, task, report.NotRun)
			break
		}
		o.tell(e, run)
	}
	if e.JSON {
		if err != nil {
			d := program.DetailOf(err)
			report.Error = &d
		}
		return cmp.Or(err, program.WriteJSON(e.Stdout, report))
	}
	return err
}

// runOne runs a task and, with --wait, follows it to its end. The run is
// returned as far as it is known, also with an error.
func (o *executeOptions) runOne(
	ctx context.Context, e *program.Env, s *connect.Session, task string,
) (api.Run, error) {
	e.Log.Debug("running", "task", task)
	run, err := o.start(ctx, e, s, task)
	for _, w := range run.Warnings {
		e.Warn("task %s: %s", task, w)
	}
	if err != nil || !o.wait || run.State != taskstore.RunRunning {
		return run, err
	}
	return o.follow(ctx, e, s, run)
}

// follow waits for the end of a run. The server answers when the run has ended
// or the time it was given for waiting is over, so that nothing is polled
// faster than a person looks.
func (o *executeOptions) follow(
	ctx context.Context, e *program.Env, s *connect.Session, run api.Run,
) (api.Run, error) {
	bar := e.NewProgress(run.Task)
	defer bar.End()
	for run.State == taskstore.RunRunning {
		bar.Update(int64(run.Percent), 100)
		next, err := s.Run(api.Patient(ctx), run.ID, o.timeout.PollWait(bar))
		switch {
		case ctx.Err() != nil:
			return run, stillRunning(ctx, run.Task, o.timeout)
		case err != nil:
			return run, err
		case next.State == taskstore.RunRunning && o.timeout.Once():
			return next, stillRunning(ctx, run.Task, o.timeout)
		}
		run = next
	}
	return run, api.RunError(run)
}

// stillRunning is the error for a copy that goes on when the time is up or
// the user has had enough.
func stillRunning(ctx context.Context, task string, t connect.Timeout) error {
	hint := "it goes on; wait for its end with: rsQueryComplete " + task
	if ctx.Err() == context.Canceled {
		return fault.New(fault.Interrupted, "interrupted while task %s is copying", task).
			WithHint("%s", hint)
	}
	return fault.New(fault.TimedOut, "task %s is still copying after %s", task, t.Limit).
		WithHint("%s", hint)
}

// taskError makes err name its task and the tasks that were not run: whoever
// reads the mail of cron must see where the chain broke.
func taskError(err error, task string, notRun []string) error {
	d := fault.DetailOf(err)
	if !strings.Contains(d.Message, task) {
		d.Message = fmt.Sprintf("task %.80s: %s", task, d.Message)
	}
	if len(notRun) > 0 {
		d.Message += "; not run: " + strings.Join(notRun, ", ")
	}
	return d.Err()
}

// tell prints, and logs, one line about a run that went well.
func (o *executeOptions) tell(e *program.Env, run api.Run) {
	text := fmt.Sprintf("task %s done: %s, %s", run.Task, run.Type, program.Count(len(run.Pairs), "pair"))
	dry := run.State == taskstore.RunDry
	if !dry {
		e.Log.Info(text)
	}
	switch {
	case e.JSON || e.Quiet:
	case dry:
		writeDryRun(e.Stdout, run)
	default:
		fmt.Fprintln(e.Stdout, text)
	}
}

func writeDryRun(w io.Writer, run api.Run) {
	fmt.Fprintf(w, "task %s would do: %s, %s\n", run.Task, run.Type, program.Count(len(run.Pairs), "pair"))
	for _, p := range run.Pairs {
		fmt.Fprintf(w, "  %s\n", DescribePair(p))
	}
}
