package taskstore

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore/strictyaml"
	"copyservices/taskstore/userfile"
)

// MaxTask is the largest task in bytes, as JSON: room for thousands of pairs. No
// larger one is sent or stored.
const MaxTask = 4 << 20

// MaxTaskFile is the largest task file in bytes. YAML needs more room than JSON,
// most where names have characters that it escapes, and the file of every task
// that is stored must be taken back.
const MaxTaskFile = 3 * MaxTask

// ReadTask reads one task file: one YAML document without unknown keys. The
// task is valid when the error is nil; the error is of kind Usage.
func ReadTask(r io.Reader) (Task, error) {
	data, err := userfile.Read(r, MaxTaskFile)
	if err != nil {
		return Task{}, fault.New(fault.Usage, "cannot read the task: %w", err)
	}
	t := Task{Type: TaskEstablish} // unless the file says else, as for esscli create task
	if err := taskWords.Decode(data, &t); err != nil {
		if !errors.As(err, new(strictyaml.Misplaced)) {
			err = fmt.Errorf("not a task: %w", err)
		}
		return Task{}, fault.New(fault.Usage, "%w", err).
			WithHint("a task has the keys name, type, pairs and options")
	}
	return t, t.Validate()
}

// taskWords are those of a task file.
var taskWords = strictyaml.Words{
	reflect.TypeFor[Task]():                {Is: "a task with name, type, pairs and options", In: "in a task"},
	reflect.TypeFor[[]TaskPair]():          {Is: "a list of pairs, each with source and target"},
	reflect.TypeFor[TaskPair]():            {Is: "a pair with source and target", In: "in a pair"},
	reflect.TypeFor[arrayclient.Options](): {Is: "a mapping of options to true or false", In: "among the options"},
}

// FormatTask returns t as ReadTask takes it.
func FormatTask(t Task) ([]byte, error) {
	data, err := yaml.Marshal(t)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot write task %q: %w", t.Name, err)
	}
	return data, nil
}
