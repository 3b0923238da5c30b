package esscli

import (
	"os"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// readTaskFile reads and checks a task file; "-" is standard input. Its
// errors name the file.
func readTaskFile(e *program.Env, path string) (api.Task, error) {
	input, name := e.Stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return api.Task{}, fault.New(fault.Usage, "cannot read the task file: %w", err)
		}
		defer f.Close()
		input, name = f, path
	}
	task, err := taskstore.ReadTask(input)
	if err != nil {
		return api.Task{}, fault.New(fault.Usage, "%s: %w", name, err).
			WithHint("%s", fault.HintOf(err))
	}
	return api.TaskOf(task), nil
}
