package rscli

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// serveLine lets a run stand in line for so many requests, and then begin. One
// that is not ready to wait is refused, as is one whose time in line is over.
func serveLine(f *fakeServer, times int32) {
	var asked atomic.Int32
	f.handle(runsPath(taskName), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of the client is seen only then
		line, _ := strconv.Atoi(r.URL.Query().Get("line"))
		hold := time.NewTimer(time.Duration(min(line, 100)) * time.Millisecond)
		defer hold.Stop()
		switch {
		case asked.Add(1) > times:
			sendJSON(w, http.StatusCreated, sampleRun(taskstore.RunDone))
			return
		case line > 0:
			select {
			case <-hold.C:
			case <-r.Context().Done():
			}
		}
		if line <= 100 {
			sendFault(w, http.StatusConflict, fault.New(fault.Busy, "task %s is already running", taskName))
			return
		}
		sendJSON(w, http.StatusAccepted, sampleRun(taskstore.RunQueued))
	})
}

func TestWaitingInLine(t *testing.T) {
	f := newFake(t)
	serveLine(f, 2)
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--wait-lock", "1m", taskName, "-s", f.addr()), 0)
	_, keys := f.requests()
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("idempotency keys %q: the server knows by one whose place in line it is", keys)
	}
	if b.stderr.Len() > 0 {
		t.Errorf("it says %q", &b.stderr)
	}
}

func TestWaitingInVain(t *testing.T) {
	f := newFake(t)
	serveLine(f, 1<<30)
	b := newBench(t)
	args := []string{taskName, "-s", f.addr()}
	for _, lock := range [][]string{nil, {"--wait-lock", "0"}} {
		before, _ := f.requests()
		b.expect(b.run(newExecuteTask, append(lock, args...)...), 11, "is already running\n")
		if after, _ := f.requests(); len(after) != len(before)+1 {
			t.Errorf("%q: %d requests", lock, len(after)-len(before))
		}
	}
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "1s")...), 11,
		"is already running; waited 1s for its end\n")
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "1h", "--timeout", "1s")...), 7,
		"another run of task "+taskName+" still goes on after 1s", "hint: this one was not started")
	b.expect(b.run(newExecuteTask, append(args, "--wait-lock", "soon")...), 2, "not a duration")
}

func TestInterruptedInLine(t *testing.T) {
	f := newFake(t)
	ctx, interrupt := context.WithCancel(t.Context())
	f.handle(runsPath(taskName), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(api.BeginHeader) == "0" {
			sendFault(w, http.StatusConflict, fault.New(fault.Busy, "it stands in line no longer"))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // the end of the client is seen only then
		interrupt()
		<-r.Context().Done()
	})
	b := newBench(t)
	b.expect(b.runContext(ctx, newExecuteTask, "--wait-lock", "1h", taskName, "-s", f.addr()), 130,
		"interrupted while another run of task")
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
