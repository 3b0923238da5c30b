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
	"copyservices/taskstore"
)

func TestExecute(t *testing.T) {
	f := newFake(t)
	f.reply(runsPath(taskName), http.StatusCreated, sampleRun(taskstore.RunDone))
	b := newBench(t)
	b.expect(b.run(newExecuteTask, taskName, "-s", f.addr()), 0)
	if got := b.stdout.String(); got != "task VMWare_W2K_FC done: establish, 1 pair\n" {
		t.Errorf("printed %q", got)
	}
	_, keys := f.requests()
	if len(keys) != 1 || len(keys[0]) < 16 {
		t.Errorf("idempotency keys %q", keys)
	}
	b.expect(b.run(newExecuteTask, taskName, "-s", f.addr(), "--json"), 0)
	var doc executeReport
	b.document(&doc)
	if len(doc.Runs) != 1 || doc.Runs[0].ID != "run-1" || doc.Error != nil {
		t.Errorf("document %+v", doc)
	}
}

func TestExecuteDryRun(t *testing.T) {
	f := newFake(t)
	f.handle(runsPath(taskName), func(w http.ResponseWriter, r *http.Request) {
		var req api.RunRequest
		if json.NewDecoder(r.Body).Decode(&req) != nil || !req.DryRun || req.Wait {
			t.Errorf("request %+v", req)
		}
		run := sampleRun(taskstore.RunDry)
		run.ID = ""
		sendJSON(w, http.StatusOK, run)
	})
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--dry-run", taskName, "-s", f.addr()), 0)
	want := "task VMWare_W2K_FC would do: establish, 1 pair\n" +
		"  20313698:20413698 (rich-w2k-os-1:Disk1 -> 20413698)\n"
	if got := b.stdout.String(); got != want {
		t.Errorf("printed %q", got)
	}
}

func TestExecuteStopsAtTheFirstFailure(t *testing.T) {
	f := newFake(t)
	f.reply(runsPath("one"), http.StatusCreated, api.Run{ID: "1", Task: "one",
		State: taskstore.RunDone})
	failed := api.Run{ID: "2", Task: "two", State: taskstore.RunFailed,
		Warnings: []string{"mind the gap"},
		Error: &fault.Detail{Kind: fault.Refused, Message: "20413698 is a target already",
			Hint: "withdraw it"}}
	f.reply(runsPath("two"), http.StatusCreated, failed)
	b := newBench(t)
	args := []string{"one", "two", "three", "-s", f.addr()}
	b.expect(b.run(newExecuteTask, args...), 6, "warning: task two: mind the gap\n",
		"error: task two: 20413698 is a target already; not run: three\n", "hint: withdraw it\n")
	got := b.stdout.String()
	if !strings.HasPrefix(got, "task one done") || strings.Contains(got, "two") {
		t.Errorf("printed %q", got)
	}
	b.expect(b.run(newExecuteTask, append(args, "--json")...), 6)
	var doc executeReport
	b.document(&doc)
	if len(doc.Runs) != 2 || doc.Error == nil || doc.Error.ExitCode != 6 ||
		doc.Error.Kind != fault.Refused ||
		len(doc.NotRun) != 1 || doc.NotRun[0] != "three" {
		t.Errorf("document %+v", doc)
	}
	if seen, _ := f.requests(); strings.Contains(strings.Join(seen, " "), "three") {
		t.Errorf("asked for %q", seen)
	}
}

func TestExecuteCannotStart(t *testing.T) {
	f := newFake(t)
	f.refuse(runsPath("busy"), http.StatusConflict, fault.New(fault.Busy,
		"task busy is running already"))
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "busy", "-s", f.addr()), 11,
		"error: task busy is running already\n")
	b.expect(b.run(newExecuteTask, "none", "-s", f.addr()), 10, "none")
	b.expect(b.run(newExecuteTask, "..", "-s", f.addr()), 2)
}

// serveProgress lets a waiting run advance at each poll.
func serveProgress(f *fakeServer, last api.Run) *atomic.Int32 {
	polls := &atomic.Int32{}
	f.reply(runsPath(taskName), http.StatusCreated, sampleRun(taskstore.RunRunning))
	f.handle("GET /v1/runs/run-1", func(w http.ResponseWriter, _ *http.Request) {
		run := sampleRun(taskstore.RunRunning)
		if polls.Add(1) >= 3 {
			run = last
		}
		sendJSON(w, http.StatusOK, run)
	})
	return polls
}

func TestExecuteWaits(t *testing.T) {
	f := newFake(t)
	polls := serveProgress(f, sampleRun(taskstore.RunDone))
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--wait", taskName, "-s", f.addr()), 0)
	if polls.Load() != 3 || b.stderr.Len() > 0 {
		t.Errorf("%d polls, stderr %q", polls.Load(), &b.stderr)
	}
	polls.Store(0)
	b.terminal = true
	b.expect(b.run(newExecuteTask, "--wait", taskName, "-s", f.addr()), 0, "VMWare_W2K_FC [####",
		" 40 %", "\r")
	if !strings.HasSuffix(b.stderr.String(), "\r") {
		t.Errorf("the bar stays on the screen: %q", &b.stderr)
	}
}

func TestExecuteWaitFails(t *testing.T) {
	f := newFake(t)
	last := sampleRun(taskstore.RunFailed)
	last.Error = &fault.Detail{Kind: fault.Refused, Message: "20413698 is full"}
	serveProgress(f, last)
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "--wait", taskName, "-s", f.addr()), 6,
		"task VMWare_W2K_FC: 20413698 is full")
	serveProgress(f, sampleRun(taskstore.RunInterrupted))
	b.expect(b.run(newExecuteTask, "--wait", taskName, "-s", f.addr()), 4, "cut off")
}

func TestExecuteTimeout(t *testing.T) {
	f := newFake(t)
	polled := func() {}
	f.reply(runsPath(taskName), http.StatusCreated, sampleRun(taskstore.RunRunning))
	f.handle("GET /v1/runs/run-1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") != "" {
			polled()
			<-r.Context().Done()
			return
		}
		sendJSON(w, http.StatusOK, sampleRun(taskstore.RunRunning))
	})
	b := newBench(t)
	args := []string{"--wait", taskName, "-s", f.addr(), "--timeout"}
	b.expect(b.run(newExecuteTask, append(args, "2s")...), 7,
		"task VMWare_W2K_FC is still copying after 2s",
		"hint: it goes on; wait for its end with: rsQueryComplete")
	b.expect(b.run(newExecuteTask, append(args, "0")...), 7, "still copying after 0s")
	ctx, interrupt := context.WithCancel(t.Context())
	polled = interrupt
	b.expect(b.runContext(ctx, newExecuteTask, args[:4]...), 130,
		"interrupted while task VMWare_W2K_FC is copying", "rsQueryComplete")
}

func TestLostAnswerIsAskedForWithTheSameKey(t *testing.T) {
	f := newFake(t)
	var calls atomic.Int32
	f.handle(runsPath(taskName), func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			dropConnection(w)
			return
		}
		sendJSON(w, http.StatusCreated, sampleRun(taskstore.RunDone))
	})
	b := newBench(t)
	b.expect(b.run(newExecuteTask, taskName, "-s", f.addr(), "-b", closedPort(t)), 0)
	if _, keys := f.requests(); len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("keys %q", keys)
	}
}

func TestBackupServer(t *testing.T) {
	up := newFake(t)
	up.reply(runsPath(taskName), http.StatusCreated, sampleRun(taskstore.RunDone))
	b := newBench(t)
	b.expect(b.run(newExecuteTask, "-v", taskName, "-s", closedPort(t), "-b", up.addr()), 0,
		"connection refused")
	b.expect(b.run(newExecuteTask, taskName, "-s", closedPort(t), "-b", closedPort(t)), 3,
		"no answer from")
	// After the request was sent, only a server with the same certificate may
	// see it again.
	for _, same := range []bool{true, false} {
		lost := newFake(t)
		if same {
			lost = newFake(t, up)
		}
		lost.handle(runsPath(taskName), func(w http.ResponseWriter,
			_ *http.Request) {
			dropConnection(w)
		})
		before, _ := up.requests()
		code := b.run(newExecuteTask, taskName, "-s", lost.addr(), "-b", up.addr())
		after, _ := up.requests()
		if same {
			b.expect(code, 0)
		} else if b.expect(code, 3, "may have been carried out", "hint:"); len(after) != len(before) {
			t.Errorf("another installation was asked %q", after[len(before):])
		}
	}
}

func TestWrongCertificateIsNoReasonToGoToB(t *testing.T) {
	a, b := newFake(t), newFake(t)
	w := newBench(t)
	w.write(".config/rscli/known_servers", 0o600, a.addr()+" "+b.fingerprint()+"\n")
	w.expect(w.run(newTestConnection, "-s", a.addr(), "-b", b.addr()), 3, "is pinned")
	if seen, _ := b.requests(); len(seen) > 0 {
		t.Errorf("server B was asked %q", seen)
	}
}

func TestQueryComplete(t *testing.T) {
	f := newFake(t)
	path := "GET /v1/tasks/" + taskName + "/completion"
	var polls atomic.Int32
	f.handle(path, func(w http.ResponseWriter, _ *http.Request) {
		done := polls.Add(1) >= 3
		sendJSON(w, http.StatusOK, api.Completion{Task: taskName, Complete: done, Percent: 50,
			Pairs: []api.PairCompletion{{Source: "20313698", Target: "20413698", Complete: done}}})
	})
	b := newBench(t)
	b.expect(b.run(newQueryComplete, taskName, "-s", f.addr()), 0)
	if got := b.stdout.String(); got != "task VMWare_W2K_FC is complete: 1 pair\n" {
		t.Errorf("printed %q", got)
	}
	polls.Store(0)
	b.terminal = true
	b.expect(b.run(newQueryComplete, taskName, "-s", f.addr()), 0, " 50 %")
	b.terminal = false
	polls.Store(0)
	b.expect(b.run(newQueryComplete, "--timeout", "0", taskName, "-s", f.addr()), 7,
		"is still copying")
	b.expect(b.run(newQueryComplete, "none", "-s", f.addr()), 10, "none")
	f.refuse(path, http.StatusUnprocessableEntity, fault.New(fault.Refused, "it never ran"))
	b.expect(b.run(newQueryComplete, taskName, "-s", f.addr()), 6, "task VMWare_W2K_FC: it never ran")
}

func TestQueryCompleteTimeout(t *testing.T) {
	f := newFake(t)
	f.handle("GET /v1/tasks/"+taskName+"/completion", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") != "" {
			<-r.Context().Done()
			return
		}
		sendJSON(w, http.StatusOK, api.Completion{Task: taskName})
	})
	b := newBench(t)
	b.expect(b.run(newQueryComplete, taskName, "-s", f.addr(), "--timeout", "1ns"), 7,
		"task VMWare_W2K_FC: no answer before the time was up")
	b.expect(b.run(newQueryComplete, "--json", taskName, "-s", f.addr(), "--timeout", "2s"), 7,
		"after 2s")
	var doc struct{ Error errorDetail }
	b.document(&doc)
	if doc.Error.Kind != fault.TimedOut || doc.Error.Hint == "" {
		t.Errorf("document %+v", doc)
	}
}
