package rscli

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// serveBusy lets the task be busy for so many requests.
func serveBusy(f *fakeServer, times int32) {
	var asked atomic.Int32
	f.handle(runsPath(taskName), func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= times {
			sendFault(w, http.StatusConflict, fault.New(fault.Busy,
				"task %s is already running", taskName))
			return
		}
		sendJSON(w, http.StatusCreated, sampleRun(taskstore.RunDone))
	})
}

func TestWaitingInLine(t *testing.T) {
	f := newFake(t)
	serveBusy(f, 2)
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--wait-lock", "1m", taskName, "-s", f.addr()), 0)
	_, keys := f.requests()
	if len(keys) != 3 || keys[0] == keys[1] || keys[1] == keys[2] {
		t.Errorf("idempotency keys %q: each question is a request of its own", keys)
	}
	if b.stderr.Len() > 0 {
		t.Errorf("it says %q", &b.stderr)
	}
}

func TestWaitingInVain(t *testing.T) {
	f := newFake(t)
	serveBusy(f, 1<<30)
	b := newBench(t)
	args := []string{taskName, "-s", f.addr()}
	for _, lock := range [][]string{nil, {"--wait-lock", "0"}} {
		before, _ := f.requests()
		b.expect(b.run(newExecuteTask, append(lock, args...)...), 11, "is already running\n")
		if after, _ := f.requests(); len(after) != len(before)+1 {
			t.Errorf("%q: %d requests", lock, len(after)-len(before))
		}
	}
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "300ms")...), 11,
		"is already running; waited 300ms for its end\n")
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "1h", "--timeout", "300ms")...), 7,
		"another run of task "+taskName+" still goes on after 300ms", "hint: this one was not started")
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "soon")...), 2, "not a duration")
}

func TestInterruptedInLine(t *testing.T) {
	f := newFake(t)
	ctx, interrupt := context.WithCancel(t.Context())
	f.handle(runsPath(taskName), func(w http.ResponseWriter, _ *http.Request) {
		sendFault(w, http.StatusConflict, fault.New(fault.Busy, "task is already running"))
		interrupt()
	})
	b := newBench(t)
	b.expect(b.runContext(ctx, newExecuteTask, "--wait-lock", "1h", taskName, "-s", f.addr()), 130,
		"interrupted")
}

// A run that started and failed for whatever reason was this command's turn.
func TestFailedRunIsNotRepeated(t *testing.T) {
	f := newFake(t)
	failed := sampleRun(taskstore.RunFailed)
	failed.Error = &fault.Detail{Kind: fault.Busy, Message: "the array is busy"}
	f.reply(runsPath(taskName), http.StatusCreated, failed)
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--wait-lock", "1h", taskName, "-s", f.addr()), 11, "array is busy")
	if seen, _ := f.requests(); len(seen) != 1 {
		t.Errorf("it asked %d times", len(seen))
	}
}
