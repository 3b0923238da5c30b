package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

func taskOf(name string, ends ...string) taskstore.Task {
	return taskstore.Task{Name: name, Type: taskstore.TaskEstablish, Pairs: pairs(ends...)}
}

// notStored wants t to be refused both as a new task and in place of another.
func (w *world) notStored(t taskstore.Task, text, hint string) {
	w.Helper()
	w.refused(fault.Usage, text, hint, func() error { return w.CreateTask(admin, t) })
	w.refused(fault.Usage, text, hint, func() error { return failed(w.PutTask(admin, t)) })
}

func TestTasksThatCannotBe(t *testing.T) {
	w := newWorldWithoutArray(t)
	odd, options := taskOf("fc", "vm:Disk1", "vm:Disk2"), taskOf("fc", "vm:Disk1", "vm:Disk2")
	odd.Type = "copy"
	options.Type, options.Options.NoCopy = taskstore.TaskWithdraw, true
	must(t, w.CreateTask(admin, taskOf("fc", "vm:Disk1", "vm:Disk3")))
	for _, c := range []struct {
		task       taskstore.Task
		text, hint string
	}{
		{taskOf("", "vm:Disk1", "vm:Disk2"), "a task needs a name", ""},
		{taskOf("-fc", "vm:Disk1", "vm:Disk2"), "does not begin with '-'", ""},
		{odd, `"copy" is no type of task`, "establish, withdraw"},
		{options, "only a task of type establish has options", ""},
		{taskOf("fc"), "no pairs", "a source and a target"},
		{taskOf("fc", "Disk1", "vm:Disk2"), `"Disk1"`, ""},
	} {
		w.notStored(c.task, c.text, c.hint)
	}
}

func TestTasksThatNoArrayCouldCarryOut(t *testing.T) {
	w := newWorldWithoutArray(t)
	for text, task := range map[string]taskstore.Task{
		"cannot be copied onto itself":  taskOf("fc", "vm:Disk1", "VM:Disk1"),
		"is the target of two pairs":    taskOf("fc", "vm:a", "vm:c", "vm:b", "vm:c"),
		"vm:b is both a source and a t": taskOf("fc", "vm:a", "vm:b", "vm:b", "vm:c"),
		"vm:a is both a source and a t": taskOf("fc", "vm:a", "vm:b", "vm:c", "vm:a"),
	} {
		w.notStored(task, text, "take that pair out")
	}
	chain := taskOf("chain", "vm:a", "vm:b", "vm:b", "vm:c")
	chain.Type = taskstore.TaskWithdraw
	must(t, w.CreateTask(admin, chain))
}

// TestTasksOfEarlierVersions stay readable, however infeasible, and are refused when
// they are run.
func TestTasksOfEarlierVersions(t *testing.T) {
	w := newWorld(t)
	v := string(w.volumes(1)[0])
	must(t, w.Store.Tasks().Put(taskOf("self", v, v)))
	task, err := w.Task(monitor, "self")
	must(t, err)
	if len(task.Pairs) != 1 {
		t.Errorf("task %+v", task)
	}
	w.refused(fault.Refused, v, "", func() error {
		return failed(w.DryRun(w.Context(), operator, runner.Request{Task: "self"}))
	})
}

// TestLargestTask is measured as an answer spells it, which may be longer than the
// request was.
func TestLargestTask(t *testing.T) {
	w := newWorldWithoutArray(t)
	largest := taskOfSize(t, taskstore.MaxTask)
	must(t, w.CreateTask(admin, largest))
	w.notStored(taskOfSize(t, taskstore.MaxTask+1),
		fmt.Sprintf("has %d bytes; a task has at most %d", taskstore.MaxTask+1, taskstore.MaxTask), "make two")
	read, err := w.Task(monitor, "big")
	must(t, err)
	if asJSON(t, read) != asJSON(t, largest) {
		t.Errorf("of %d pairs %d are there, or others", len(largest.Pairs), len(read.Pairs))
	}
}

// taskOfSize takes that many bytes as the line of JSON that an answer is, and a sixth
// of it where '<' is spelt as itself.
func taskOfSize(t *testing.T, size int) taskstore.Task {
	t.Helper()
	task := taskOf("big", "s:0", "t:0")
	left := size - len(asJSON(t, task)) - len("\n")
	for _, fill := range []string{strings.Repeat("<", 490), strings.Repeat("0", 490)} {
		each := len(",") + len(asJSON(t, pairs("s:0000"+fill, "t:0000"+fill)[0]))
		for ; left >= each; left -= each {
			n := fmt.Sprintf("%04d", len(task.Pairs))
			task.Pairs = append(task.Pairs, pairs("s:"+n+fill, "t:"+n+fill)...)
		}
	}
	task.Pairs[0].Source += strings.Repeat("0", left/2)
	task.Pairs[0].Target += strings.Repeat("0", left-left/2)
	return task
}

func TestTaskIsCreatedOnce(t *testing.T) {
	w := newWorldWithoutArray(t)
	must(t, w.CreateTask(admin, taskOf("Fc", "vm:Disk1", "vm:Disk2")))
	again := taskOf("fC", "vm:Disk3", "vm:Disk4")
	w.refused(fault.Usage, "a task named Fc exists already", "", func() error {
		err := w.CreateTask(admin, again)
		if !errors.Is(err, fault.ErrExists) {
			t.Errorf("%v is not ErrExists", err)
		}
		return err
	})
	again.Options = arrayclient.Options{Record: true}
	stored, err := w.PutTask(admin, again)
	must(t, err)
	again.Name = "Fc"
	read, err := w.Task(monitor, "fc")
	must(t, err)
	all, err := w.Tasks(monitor)
	must(t, err)
	for _, got := range append(all, stored, read) {
		if asJSON(t, got) != asJSON(t, again) {
			t.Errorf("task %+v, want %+v", got, again)
		}
	}
	if len(all) != 1 {
		t.Errorf("tasks %+v", all)
	}
}

func TestTasksThatAreNotThere(t *testing.T) {
	w := newWorldWithoutArray(t)
	const text, hint = `no task named "fc"`, "esscli list task"
	w.refused(fault.NotFound, text, hint, func() error { return failed(w.Task(monitor, "fc")) })
	w.refused(fault.NotFound, text, hint, func() error { return w.DeleteTask(admin, "fc") })
	must(t, failed(w.PutTask(admin, taskOf("FC", "vm:Disk1", "vm:Disk2"))))
	must(t, w.DeleteTask(admin, "fc"))
	w.refused(fault.NotFound, text, hint, func() error { return w.DeleteTask(admin, "fc") })
}
