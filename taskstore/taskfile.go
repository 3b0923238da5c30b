package taskstore

import (
	"io"

	"gopkg.in/yaml.v3"

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
	if err := strictyaml.Decode(data, &t); err != nil {
		return Task{}, fault.New(fault.Usage, "not a task: %w", err).
			WithHint("a task has the keys name, type, pairs and options")
	}
	return t, t.Validate()
}

// FormatTask returns t as ReadTask takes it.
func FormatTask(t Task) ([]byte, error) {
	data, err := yaml.Marshal(t)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot write task %q: %w", t.Name, err)
	}
	return data, nil
}
