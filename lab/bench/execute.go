package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

const (
	executeCase  = "execute"
	executeLimit = 0.050 // seconds, whole process
	serverLimit  = 0.005 // seconds in the server
	executeCalls = 15    // of each task in a round
)

func executeSection() section {
	return section{
		name: executeCase, title: "Running a stored task", cases: []string{executeCase},
		how: "`rsExecuteTask TASK`, the whole process with TLS handshake and authentication, " +
			"against a copyserver on the loopback address whose certificate is pinned. The task " +
			"establishes a nocopy relationship of a 64 MiB pair; another one withdraws it between " +
			"the calls. Each round starts the server anew: its first call pays for the argon2id " +
			"hash of the password, the following ones do not, because the server remembers for " +
			"ten minutes, in memory and under a key of the process, which password was right. " +
			"The time in the server is the duration in its own request log, from the header of " +
			"the request to the answer; it does not show the hash apart, so the figure beyond " +
			"the hash is that of the calls that pay for none.",
		measure: measureExecute,
	}
}

// executeFigures are the rounds' medians, in seconds.
type executeFigures struct {
	first, establish, withdraw                   []float64 // whole process
	serverFirst, serverEstablish, serverWithdraw []float64 // in the server
}

func measureExecute(ctx context.Context, l *lab) ([]row, error) {
	state := filepath.Join(l.disk, "execute")
	if err := prepareExecute(ctx, l, state); err != nil {
		return nil, err
	}
	var f executeFigures
	for range l.rounds {
		if err := f.round(ctx, l, state); err != nil {
			return nil, err
		}
	}
	whole := func(work string, values []float64) row {
		return figure(work, spanOf(values), milliseconds, atMost(executeLimit, "< 50 ms"))
	}
	server := func(work string, values []float64) row {
		return figure(work, spanOf(values), milliseconds, atMost(serverLimit, "≤ 5 ms"))
	}
	return []row{
		whole("rsExecuteTask, first call: with hash", f.first),
		whole("rsExecuteTask, establish, repeated", f.establish),
		whole("rsExecuteTask, withdraw, repeated", f.withdraw),
		figure("in the server, first call: with hash", spanOf(f.serverFirst), milliseconds, aim{}),
		server("in the server, establish, repeated", f.serverEstablish),
		server("in the server, withdraw, repeated", f.serverWithdraw),
	}, nil
}

// prepareExecute makes the volumes and the tasks.
func prepareExecute(ctx context.Context, l *lab, state string) (err error) {
	s, err := l.startServer(ctx, state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	v, err := s.createVolumes(ctx, "64MiB", 2)
	if err != nil {
		return err
	}
	pair := v[0] + ":" + v[1]
	if _, err := s.run(ctx, "esscli", "create", "task", "establish", "--type", "establish",
		"--nocopy", "--pair", pair); err != nil {
		return err
	}
	_, err = s.run(ctx, "esscli", "create", "task", "withdraw", "--type", "withdraw", "--pair", pair)
	return err
}

// round starts the server, makes the calls and adds their medians to f.
func (f *executeFigures) round(ctx context.Context, l *lab, state string) error {
	s, err := l.startServer(ctx, state)
	if err != nil {
		return err
	}
	calls, err := callTasks(ctx, s)
	served, logErr := s.stopAndRead()
	if err := errors.Join(err, logErr); err != nil {
		return err
	}
	inServer, err := runDurations(served, len(calls))
	if err != nil {
		return err
	}
	f.first = append(f.first, calls[0])
	f.serverFirst = append(f.serverFirst, inServer[0])
	establish, withdraw := alternate(calls)
	f.establish = append(f.establish, median(establish[1:]))
	f.withdraw = append(f.withdraw, median(withdraw))
	establish, withdraw = alternate(inServer)
	f.serverEstablish = append(f.serverEstablish, median(establish[1:]))
	f.serverWithdraw = append(f.serverWithdraw, median(withdraw))
	return nil
}

// callTasks establishes and withdraws in turns.
func callTasks(ctx context.Context, s *copyserver) ([]float64, error) {
	var calls []float64
	for range executeCalls + 1 {
		for _, task := range []string{"establish", "withdraw"} {
			took, err := s.timed(ctx, "rsExecuteTask", task)
			if err != nil {
				return nil, err
			}
			calls = append(calls, took)
		}
	}
	return calls, nil
}

// alternate takes apart values that were taken in turns.
func alternate(values []float64) (even, odd []float64) {
	for i, v := range values {
		if i%2 == 0 {
			even = append(even, v)
		} else {
			odd = append(odd, v)
		}
	}
	return even, odd
}

// runDurations returns in seconds how long the server worked for each of n
// calls. More than one request in a call would make the figures wrong.
func runDurations(served []request, n int) ([]float64, error) {
	if len(served) != n {
		return nil, fmt.Errorf("%d calls made %d requests", n, len(served))
	}
	out := make([]float64, n)
	for i, r := range served {
		if r.Method != "POST" || r.Status != 201 {
			return nil, fmt.Errorf("call %d: the server answered %s %s with %d",
				i, r.Method, r.Path, r.Status)
		}
		out[i] = r.Duration.Seconds()
	}
	return out, nil
}
