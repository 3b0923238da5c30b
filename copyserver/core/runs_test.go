package core_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// run runs a task.
func (w *world) run(ask runner.Request) taskstore.Run {
	w.Helper()
	run, err := w.StartRun(w.Context(), operator, ask)
	must(w.T, err)
	return run
}

// running starts a run that outlasts the test.
func (w *world) running() taskstore.Run {
	w.Helper()
	must(w.T, failed(w.SetArrayCopyRate(w.Context(), admin, "", to(int64(64<<10)))))
	source, target := w.written(), w.volumes(1)[0]
	w.change(target, core.VolumeChange{Size: writtenSize})
	run := w.run(runner.Request{Task: w.task(source, target), Wait: true})
	if run.State != taskstore.RunRunning {
		w.Fatalf("run %+v", run)
	}
	return run
}

func TestRunIsTheCallers(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	name := w.task(v...)
	run := w.run(runner.Request{Task: strings.ToUpper(name), User: "superuser"})
	if run.State != taskstore.RunDone || run.User != "op" || run.Task != name || len(run.Pairs) != 1 ||
		run.Pairs[0].Target != string(v[1]) {
		t.Errorf("run %+v", run)
	}
	one, err := w.Core.Run(w.Context(), monitor, run.ID, time.Minute)
	must(t, err)
	if one.ID != run.ID || one.State != run.State || !one.Ended.Equal(run.Ended) {
		t.Errorf("run %+v, want %+v", one, run)
	}
	dry, err := w.DryRun(w.Context(), operator, runner.Request{Task: w.task(w.volumes(2)...), User: "superuser"})
	if err != nil || dry.State != taskstore.RunDry || dry.User != "op" {
		t.Errorf("dry run %+v, %v", dry, err)
	}
}

func TestNewestRunsFirst(t *testing.T) {
	w := newWorld(t)
	var ids []string
	names := []string{w.task(w.volumes(2)...), w.task(w.volumes(2)...)}
	for _, name := range append(names, names[0]) {
		ids = append(ids, w.run(runner.Request{Task: name}).ID)
	}
	for _, c := range []struct {
		task  string
		limit int
		want  []string
	}{
		{"", 10, []string{ids[2], ids[1], ids[0]}},
		{"", 1, []string{ids[2]}},
		{strings.ToUpper(names[0]), 10, []string{ids[2], ids[0]}},
		{"none", 10, nil},
	} {
		runs, err := w.Runs(w.Context(), monitor, c.task, c.limit)
		must(t, err)
		var got []string
		for _, run := range runs.Newest {
			got = append(got, run.ID)
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("runs of %q, at most %d: %q, want %q", c.task, c.limit, got, c.want)
		}
	}
}

// TestDryRunDoesNothing but say what a run would say.
func TestDryRunDoesNothing(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(3)
	good, bad := w.task(v[0], v[1]), w.task(v[1], v[2])
	device := taskOf("device", "vm:Disk1", "vm:Disk2")
	must(t, w.CreateTask(admin, device))
	before := w.everything()
	run, err := w.DryRun(w.Context(), operator, runner.Request{Task: good, Key: "key"})
	must(t, err)
	w.unchangedSince(before, "a dry run")
	if run.State != taskstore.RunDry || run.Pairs[0].Target != string(v[1]) {
		t.Errorf("run %+v", run)
	}
	w.establish(nocopy, v[0], v[1])
	for name, want := range map[string]struct {
		kind       fault.Kind
		text, hint string
	}{
		good:     {fault.Refused, string(v[1]), ""},
		bad:      {fault.Refused, string(v[1]), ""},
		"none":   {fault.NotFound, `no task named "none"`, "esscli list task"},
		"device": {fault.NotFound, `unknown host "vm"`, "rsPrimeServer"},
	} {
		w.refused(want.kind, want.text, want.hint, func() error {
			return failed(w.DryRun(w.Context(), operator, runner.Request{Task: name}))
		})
	}
	for _, name := range []string{"none", "device"} {
		w.refused(fault.NotFound, "", "", func() error {
			return failed(w.StartRun(w.Context(), operator, runner.Request{Task: name}))
		})
	}
	if run := w.run(runner.Request{Task: bad}); run.State != taskstore.RunFailed || run.Error.Kind != fault.Refused {
		t.Errorf("run %+v", run)
	}
}

func TestRunWarnsOfAttachedTargets(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	defer w.attach(v[1])()
	run := w.run(runner.Request{Task: w.task(v...)})
	if len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], "00113698, which gets other content") {
		t.Errorf("warnings %q", run.Warnings)
	}
}

// TestBusyTask is not run again, and its run not deleted, while it is running: not
// even what comes before the deletion is done.
func TestBusyTask(t *testing.T) {
	w := newWorld(t)
	run := w.running()
	_, err := w.StartRun(w.Context(), operator, runner.Request{Task: run.Task})
	wantFault(t, err, fault.Busy, "already running: run "+run.ID, "rsQueryComplete")
	_, err = w.DryRun(w.Context(), operator, runner.Request{Task: run.Task})
	wantFault(t, err, fault.Busy, "already running: run "+run.ID, "rsQueryComplete")
	queued := w.run(runner.Request{Task: run.Task, Key: "key", Line: time.Minute})
	if queued.State != taskstore.RunQueued {
		t.Fatalf("run %+v", queued)
	}
	for id, text := range map[string]string{
		run.ID: "run " + run.ID + " is still running", queued.ID: "run " + queued.ID + " stands in line",
	} {
		err := w.DeleteRun(admin, id, func(taskstore.Run) error {
			t.Errorf("what comes before the deletion of run %s is done", id)
			return nil
		})
		wantFault(t, err, fault.Busy, text, "")
	}
	if runs, err := w.Runs(w.Context(), monitor, "", 10); len(runs.Newest) != 2 || err != nil {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

func TestDeleteRun(t *testing.T) {
	w := newWorld(t)
	run := w.run(runner.Request{Task: w.task(w.volumes(2)...), Key: "key"})
	full := fault.New(fault.Server, "the disk is full")
	w.refused(fault.Server, "the disk is full", "", func() error {
		return w.DeleteRun(admin, run.ID, func(taskstore.Run) error { return full })
	})
	var told taskstore.Run
	must(t, w.DeleteRun(admin, run.ID, func(run taskstore.Run) error {
		told = run
		return failed(w.Core.Run(w.Context(), monitor, run.ID, 0))
	}))
	if told.ID != run.ID || told.Key != "key" {
		t.Errorf("told of %+v", told)
	}
	const text, hint = "no run named", "esscli list run"
	w.refused(fault.NotFound, text, hint, func() error { return failed(w.Core.Run(w.Context(), monitor, run.ID, 0)) })
	w.refused(fault.NotFound, text, hint, func() error {
		return w.DeleteRun(admin, run.ID, func(taskstore.Run) error { return errors.New("not called") })
	})
}

func TestCompletion(t *testing.T) {
	w := newWorld(t)
	name := w.task(w.volumes(2)...)
	const text, hint = `no task named "none"`, "esscli list task"
	w.refused(fault.NotFound, text, hint, func() error {
		return failed(w.Completion(w.Context(), monitor, "none", time.Minute))
	})
	w.refused(fault.Refused, "has not been run", "rsExecuteTask "+name, func() error {
		return failed(w.Completion(w.Context(), monitor, name, time.Minute))
	})
	w.run(runner.Request{Task: name})
	done, err := w.Completion(w.Context(), monitor, strings.ToUpper(name), time.Minute)
	if err != nil || !done.Complete || done.Percent != 100 || done.Task != name || len(done.Pairs) != 1 {
		t.Errorf("completion %+v, %v", done, err)
	}
	run := w.running()
	done, err = w.Completion(w.Context(), monitor, run.Task, time.Millisecond)
	if err != nil || done.Complete || done.Pairs[0].State != string(arrayclient.StateCopying) {
		t.Errorf("completion %+v, %v", done, err)
	}
	one, err := w.Core.Run(w.Context(), monitor, run.ID, time.Millisecond)
	if err != nil || one.State != taskstore.RunRunning {
		t.Errorf("run %+v, %v", one, err)
	}
	_, err = finish(w.Withdraw(admin, []taskstore.TaskPair{run.Pairs[0].From}))
	must(t, err)
	one, err = w.Core.Run(w.Context(), monitor, run.ID, time.Minute)
	if err != nil || one.State != taskstore.RunFailed {
		t.Errorf("run %+v, %v", one, err)
	}
	_, err = w.Completion(w.Context(), monitor, run.Task, 0)
	wantFault(t, err, fault.Refused, "", "")
}
