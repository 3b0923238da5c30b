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
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// serveLine lets a run stand in line for so many requests, and then begin. One
// that is not ready to wait is refused, as is one whose time in line is over.
func serveLine(f *rsclitest.Server, times int32) {
	var asked atomic.Int32
	f.Handle(rsclitest.RunsPath(rsclitest.TaskName), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of the client is seen only then
		line, _ := strconv.Atoi(r.URL.Query().Get("line"))
		hold := time.NewTimer(time.Duration(min(line, 100)) * time.Millisecond)
		defer hold.Stop()
		switch {
		case asked.Add(1) > times:
			rsclitest.SendJSON(w, http.StatusCreated, rsclitest.SampleRun(taskstore.RunDone))
			return
		case line > 0:
			select {
			case <-hold.C:
			case <-r.Context().Done():
			}
		}
		if line <= 100 {
			rsclitest.SendFault(w, http.StatusConflict, fault.New(fault.Busy, "task %s is already running", rsclitest.TaskName))
			return
		}
		rsclitest.SendJSON(w, http.StatusAccepted, rsclitest.SampleRun(taskstore.RunQueued))
	})
}

func TestWaitingInLine(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveLine(f, 2)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "--wait-lock", "1m", rsclitest.TaskName, "-s", f.Addr()), 0)
	_, keys := f.Requests()
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("idempotency keys %q: the server knows by one whose place in line it is", keys)
	}
	if b.Err.Len() > 0 {
		t.Errorf("it says %q", &b.Err)
	}
}

func TestWaitingInVain(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveLine(f, 1<<30)
	b := rsclitest.NewBench(t)
	args := []string{rsclitest.TaskName, "-s", f.Addr()}
	for _, lock := range [][]string{nil, {"--wait-lock", "0"}} {
		before, _ := f.Requests()
		b.Expect(b.Run(NewExecuteTask, append(lock, args...)...), 11, "is already running\n")
		if after, _ := f.Requests(); len(after) != len(before)+1 {
			t.Errorf("%q: %d requests", lock, len(after)-len(before))
		}
	}
	b.Expect(b.Run(NewExecuteTask, append(args, "--wait-lock", "1s")...), 11,
		"is already running; waited 1s for its end\n")
	b.Expect(b.Run(NewExecuteTask, append(args, "--wait-lock", "1h", "--timeout", "1s")...), 7,
		"another run of task "+rsclitest.TaskName+" still goes on after 1s", "hint: this one was not started")
	b.Expect(b.Run(NewExecuteTask, append(args, "--wait-lock", "soon")...), 2, "not a duration")
}

func TestInterruptedInLine(t *testing.T) {
	f := rsclitest.NewServer(t)
	ctx, interrupt := context.WithCancel(t.Context())
	f.Handle(rsclitest.RunsPath(rsclitest.TaskName), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(api.BeginHeader) == "0" {
			rsclitest.SendFault(w, http.StatusConflict, fault.New(fault.Busy, "it stands in line no longer"))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // the end of the client is seen only then
		interrupt()
		<-r.Context().Done()
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.RunContext(ctx, NewExecuteTask, "--wait-lock", "1h", rsclitest.TaskName, "-s", f.Addr()), 130,
		"interrupted while another run of task")
}

// A run that started and failed for whatever reason was this command's turn.
func TestFailedRunIsNotRepeated(t *testing.T) {
	f := rsclitest.NewServer(t)
	failed := rsclitest.SampleRun(taskstore.RunFailed)
	failed.Error = &fault.Detail{Kind: fault.Busy, Message: "the array is busy"}
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, failed)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "--wait-lock", "1h", rsclitest.TaskName, "-s", f.Addr()), 11, "array is busy")
	if seen, _ := f.Requests(); len(seen) != 1 {
		t.Errorf("it asked %d times", len(seen))
	}
}
