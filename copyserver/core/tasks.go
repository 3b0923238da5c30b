package core

import (
	"encoding/json"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

const taskHint = "esscli list task shows which there are"

// Tasks returns the stored tasks.
func (c *Core) Tasks(by Caller) ([]taskstore.Task, error) {
	if err := by.May(Look); err != nil {
		return nil, err
	}
	return c.Store.Tasks().List()
}

// Task returns the task of that name.
func (c *Core) Task(by Caller, name string) (taskstore.Task, error) {
	if err := by.May(Look); err != nil {
		return taskstore.Task{}, err
	}
	t, err := c.Store.Tasks().Get(name)
	return t, noSuch(err, taskHint)
}

// CreateTask stores a task whose name must be free.
func (c *Core) CreateTask(by Caller, t taskstore.Task) error {
	if err := storable(by, t); err != nil {
		return err
	}
	return c.Store.Tasks().Create(t)
}

// PutTask creates or replaces a task and returns it as it is stored: its name stays
// as it was first written.
func (c *Core) PutTask(by Caller, t taskstore.Task) (taskstore.Task, error) {
	if err := storable(by, t); err != nil {
		return t, err
	}
	if err := c.Store.Tasks().Put(t); err != nil {
		return t, err
	}
	return c.Store.Tasks().Get(t.Name)
}

// storable refuses a task that could be stored and not be sent again, since a
// request may spell it shorter than any answer does, and one that could never run.
func storable(by Caller, t taskstore.Task) error {
	if err := by.May(WriteTask); err != nil {
		return err
	}
	if err := t.Validate(); err != nil {
		return err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return fault.New(fault.Server, "cannot encode task %q: %w", t.Name, err)
	}
	if n := len(text) + len("\n"); n > taskstore.MaxTask {
		return fault.New(fault.Usage, "task %q has %d bytes; a task has at most %d", t.Name, n, taskstore.MaxTask).
			WithHint("make two tasks of it")
	}
	return t.Feasible()
}

// DeleteTask deletes the task of that name.
func (c *Core) DeleteTask(by Caller, name string) error {
	if err := by.May(WriteTask); err != nil {
		return err
	}
	return noSuch(c.Store.Tasks().Delete(name), taskHint)
}
