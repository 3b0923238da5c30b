package taskstore

import (
	"io"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
)

// MaxTaskFile is the largest task file in bytes: room for thousands of pairs.
const MaxTaskFile = 4 << 20

// ReadTask reads one task file: one YAML document without unknown keys. The
// task is valid when the error is nil; the error is of kind Usage.
func ReadTask(r io.Reader) (Task, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxTaskFile+1))
	if err != nil {
		return Task{}, fault.New(fault.Failed, "cannot read the task: %w", err)
	}
	if len(data) > MaxTaskFile {
		return Task{}, fault.New(fault.Usage, "a task file has at most %d bytes", MaxTaskFile)
	}
	var t Task
	if err := decodeYAML(data, &t); err != nil {
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
