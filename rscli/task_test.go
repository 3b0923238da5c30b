package rscli

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

func TestExecute(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, rsclitest.SampleRun(taskstore.RunDone))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, rsclitest.TaskName, "-s", f.Addr()), 0)
	if got := b.Out.String(); got != "task VMWare_W2K_FC done: establish, 1 pair\n" {
		t.Errorf("printed %q", got)
	}
	_, keys := f.Requests()
	if len(keys) != 1 || len(keys[0]) < 16 {
		t.Errorf("idempotency keys %q", keys)
	}
	b.Expect(b.Run(NewExecuteTask, rsclitest.TaskName, "-s", f.Addr(), "--json"), 0)
	var doc executeReport
	b.Document(&doc)
	if len(doc.Runs) != 1 || doc.Runs[0].ID != "run-1" || doc.Error != nil {
		t.Errorf("document %+v", doc)
	}
}

func TestExecuteDryRun(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Handle(rsclitest.RunsPath(rsclitest.TaskName), func(w http.ResponseWriter, r *http.Request) {
		var req api.RunRequest
		if json.NewDecoder(r.Body).Decode(&req) != nil || !req.DryRun || req.Wait {
			t.Errorf("request %+v", req)
		}
		run := rsclitest.SampleRun(taskstore.RunDry)
		run.ID = ""
		rsclitest.SendJSON(w, http.StatusOK, run)
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "--dry-run", rsclitest.TaskName, "-s", f.Addr()), 0)
	want := "task VMWare_W2K_FC would do: establish, 1 pair\n" +
		"  20313698:20413698 (rich-w2k-os-1:Disk1 -> 20413698)\n"
	if got := b.Out.String(); got != want {
		t.Errorf("printed %q", got)
	}
}

func TestExecuteStopsAtTheFirstFailure(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply(rsclitest.RunsPath("one"), http.StatusCreated, api.Run{ID: "1", Task: "one",
		State: taskstore.RunDone})
	failed := api.Run{ID: "2", Task: "two", State: taskstore.RunFailed,
		Warnings: []string{"mind the gap"},
		Error: &fault.Detail{Kind: fault.Refused, Message: "20413698 is a target already",
			Hint: "withdraw it"}}
	f.Reply(rsclitest.RunsPath("two"), http.StatusCreated, failed)
	b := rsclitest.NewBench(t)
	args := []string{"one", "two", "three", "-s", f.Addr()}
	b.Expect(b.Run(NewExecuteTask, args...), 6, "warning: task two: mind the gap\n",
		"error: task two: 20413698 is a target already; not run: three\n", "hint: withdraw it\n")
	got := b.Out.String()
	if !strings.HasPrefix(got, "task one done") || strings.Contains(got, "two") {
		t.Errorf("printed %q", got)
	}
	b.Expect(b.Run(NewExecuteTask, append(args, "--json")...), 6)
	var doc executeReport
	b.Document(&doc)
	if len(doc.Runs) != 2 || doc.Error == nil || doc.Error.ExitCode != 6 ||
		doc.Error.Kind != fault.Refused ||
		len(doc.NotRun) != 1 || doc.NotRun[0] != "three" {
		t.Errorf("document %+v", doc)
	}
	if seen, _ := f.Requests(); strings.Contains(strings.Join(seen, " "), "three") {
		t.Errorf("asked for %q", seen)
	}
}

func TestExecuteCannotStart(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Refuse(rsclitest.RunsPath("busy"), http.StatusConflict, fault.New(fault.Busy,
		"task busy is running already"))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "busy", "-s", f.Addr()), 11,
		"error: task busy is running already\n")
	b.Expect(b.Run(NewExecuteTask, "none", "-s", f.Addr()), 10, "none")
	b.Expect(b.Run(NewExecuteTask, "..", "-s", f.Addr()), 2)
}

// serveProgress lets a waiting run advance at each poll.
func serveProgress(f *rsclitest.Server, last api.Run) *atomic.Int32 {
	polls := &atomic.Int32{}
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, rsclitest.SampleRun(taskstore.RunRunning))
	f.Handle("GET /v1/runs/run-1", func(w http.ResponseWriter, _ *http.Request) {
		run := rsclitest.SampleRun(taskstore.RunRunning)
		if polls.Add(1) >= 3 {
			run = last
		}
		rsclitest.SendJSON(w, http.StatusOK, run)
	})
	return polls
}

func TestExecuteWaits(t *testing.T) {
	f := rsclitest.NewServer(t)
	polls := serveProgress(f, rsclitest.SampleRun(taskstore.RunDone))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "--wait", rsclitest.TaskName, "-s", f.Addr()), 0)
	if polls.Load() != 3 || b.Err.Len() > 0 {
		t.Errorf("%d polls, stderr %q", polls.Load(), &b.Err)
	}
	polls.Store(0)
	b.Terminal = true
	b.Expect(b.Run(NewExecuteTask, "--wait", rsclitest.TaskName, "-s", f.Addr()), 0, "VMWare_W2K_FC [####",
		" 40 %", "\r")
	if !strings.HasSuffix(b.Err.String(), "\r") {
		t.Errorf("the bar stays on the screen: %q", &b.Err)
	}
}

func TestExecuteWaitFails(t *testing.T) {
	f := rsclitest.NewServer(t)
	last := rsclitest.SampleRun(taskstore.RunFailed)
	last.Error = &fault.Detail{Kind: fault.Refused, Message: "20413698 is full"}
	serveProgress(f, last)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "--wait", rsclitest.TaskName, "-s", f.Addr()), 6,
		"task VMWare_W2K_FC: 20413698 is full")
	serveProgress(f, rsclitest.SampleRun(taskstore.RunInterrupted))
	b.Expect(b.Run(NewExecuteTask, "--wait", rsclitest.TaskName, "-s", f.Addr()), 4, "cut off")
}

func TestExecuteTimeout(t *testing.T) {
	f := rsclitest.NewServer(t)
	polled := func() {}
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, rsclitest.SampleRun(taskstore.RunRunning))
	f.Handle("GET /v1/runs/run-1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") != "" {
			polled()
			<-r.Context().Done()
			return
		}
		rsclitest.SendJSON(w, http.StatusOK, rsclitest.SampleRun(taskstore.RunRunning))
	})
	b := rsclitest.NewBench(t)
	args := []string{"--wait", rsclitest.TaskName, "-s", f.Addr(), "--timeout"}
	b.Expect(b.Run(NewExecuteTask, append(args, "2s")...), 7,
		"task VMWare_W2K_FC is still copying after 2s",
		"hint: it goes on; wait for its end with: rsQueryComplete")
	b.Expect(b.Run(NewExecuteTask, append(args, "0")...), 7, "still copying after 0s")
	ctx, interrupt := context.WithCancel(t.Context())
	polled = interrupt
	b.Expect(b.RunContext(ctx, NewExecuteTask, args[:4]...), 130,
		"interrupted while task VMWare_W2K_FC is copying", "rsQueryComplete")
}

func TestLostAnswerIsAskedForWithTheSameKey(t *testing.T) {
	f := rsclitest.NewServer(t)
	var calls atomic.Int32
	f.Handle(rsclitest.RunsPath(rsclitest.TaskName), func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			rsclitest.DropConnection(w)
			return
		}
		rsclitest.SendJSON(w, http.StatusCreated, rsclitest.SampleRun(taskstore.RunDone))
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, rsclitest.TaskName, "-s", f.Addr(), "-b", rsclitest.ClosedPort(t)), 0)
	if _, keys := f.Requests(); len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("keys %q", keys)
	}
}

func TestBackupServer(t *testing.T) {
	up := rsclitest.NewServer(t)
	up.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, rsclitest.SampleRun(taskstore.RunDone))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewExecuteTask, "-v", rsclitest.TaskName, "-s", rsclitest.ClosedPort(t), "-b", up.Addr()), 0,
		"connection refused")
	b.Expect(b.Run(NewExecuteTask, rsclitest.TaskName, "-s", rsclitest.ClosedPort(t), "-b", rsclitest.ClosedPort(t)), 3,
		"no answer from")
	// After the request was sent, only a server with the same certificate may
	// see it again.
	for _, same := range []bool{true, false} {
		lost := rsclitest.NewServer(t)
		if same {
			lost = rsclitest.NewServer(t, up)
		}
		lost.Handle(rsclitest.RunsPath(rsclitest.TaskName), func(w http.ResponseWriter,
			_ *http.Request) {
			rsclitest.DropConnection(w)
		})
		before, _ := up.Requests()
		code := b.Run(NewExecuteTask, rsclitest.TaskName, "-s", lost.Addr(), "-b", up.Addr())
		after, _ := up.Requests()
		if same {
			b.Expect(code, 0)
		} else if b.Expect(code, 3, "may have been carried out", "hint:"); len(after) != len(before) {
			t.Errorf("another installation was asked %q", after[len(before):])
		}
	}
}

func TestWrongCertificateIsNoReasonToGoToB(t *testing.T) {
	a, b := rsclitest.NewServer(t), rsclitest.NewServer(t)
	w := rsclitest.NewBench(t)
	w.Write(".config/rscli/known_servers", 0o600, a.Addr()+" "+b.Fingerprint()+"\n")
	w.Expect(w.Run(NewTestConnection, "-s", a.Addr(), "-b", b.Addr()), 3, "is pinned")
	if seen, _ := b.Requests(); len(seen) > 0 {
		t.Errorf("server B was asked %q", seen)
	}
}

func TestQueryComplete(t *testing.T) {
	f := rsclitest.NewServer(t)
	path := "GET /v1/tasks/" + rsclitest.TaskName + "/completion"
	var polls atomic.Int32
	f.Handle(path, func(w http.ResponseWriter, _ *http.Request) {
		done := polls.Add(1) >= 3
		rsclitest.SendJSON(w, http.StatusOK, api.Completion{Task: rsclitest.TaskName, Complete: done, Percent: 50,
			Pairs: []api.PairCompletion{{Source: "20313698", Target: "20413698", Complete: done}}})
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewQueryComplete, rsclitest.TaskName, "-s", f.Addr()), 0)
	if got := b.Out.String(); got != "task VMWare_W2K_FC is complete: 1 pair\n" {
		t.Errorf("printed %q", got)
	}
	polls.Store(0)
	b.Terminal = true
	b.Expect(b.Run(NewQueryComplete, rsclitest.TaskName, "-s", f.Addr()), 0, " 50 %")
	b.Terminal = false
	polls.Store(0)
	b.Expect(b.Run(NewQueryComplete, "--timeout", "0", rsclitest.TaskName, "-s", f.Addr()), 7,
		"is still copying")
	b.Expect(b.Run(NewQueryComplete, "none", "-s", f.Addr()), 10, "none")
	f.Refuse(path, http.StatusUnprocessableEntity, fault.New(fault.Refused, "it never ran"))
	b.Expect(b.Run(NewQueryComplete, rsclitest.TaskName, "-s", f.Addr()), 6, "task VMWare_W2K_FC: it never ran")
}

func TestQueryCompleteTimeout(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Handle("GET /v1/tasks/"+rsclitest.TaskName+"/completion", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") != "" {
			<-r.Context().Done()
			return
		}
		rsclitest.SendJSON(w, http.StatusOK, api.Completion{Task: rsclitest.TaskName})
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewQueryComplete, rsclitest.TaskName, "-s", f.Addr(), "--timeout", "1ns"), 7,
		"task VMWare_W2K_FC: no answer before the time was up")
	b.Expect(b.Run(NewQueryComplete, "--json", rsclitest.TaskName, "-s", f.Addr(), "--timeout", "2s"), 7,
		"after 2s")
	var doc struct{ Error program.ErrorDetail }
	b.Document(&doc)
	if doc.Error.Kind != fault.TimedOut || doc.Error.Hint == "" {
		t.Errorf("document %+v", doc)
	}
}
