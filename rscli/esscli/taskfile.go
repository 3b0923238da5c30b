package esscli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

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
		return api.Task{}, fault.New(fault.Usage, "%s: %s", name, taskFileReason(err)).
			WithHint("%s", fault.HintOf(err))
	}
	return api.TaskOf(task), nil
}

// The library's errors name Go types, which tell the writer of a file nothing.
var (
	unknownKey = regexp.MustCompile(`^(line \d+): field (.*) not found in type \S+$`)
	wrongType  = regexp.MustCompile("^(line \\d+): cannot unmarshal \\S+( `.*`)? into (.*)$")
)

// maxReasons is how many wrong places of a task file an error names.
const maxReasons = 3

// taskFileReason says in the words of task files what is wrong with one.
func taskFileReason(err error) string {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		// Of an error in the first line the library leaves the line out.
		text := strings.Replace(err.Error(), "yaml: line ", "line ", 1)
		return strings.Replace(text, "yaml: ", "line 1: ", 1)
	}
	var reasons []string
	for i, text := range typed.Errors {
		if i == maxReasons {
			reasons = append(reasons, fmt.Sprintf("and %d more", len(typed.Errors)-i))
			break
		}
		text = unknownKey.ReplaceAllString(text, `$1: there is no key "$2" in a task`)
		if m := wrongType.FindStringSubmatch(text); m != nil {
			text = m[1] + ":" + strings.ReplaceAll(m[2], "`", "'") + " is not " + wantedType(m[3])
			if m[2] == "" {
				text = m[1] + ": the value is not " + wantedType(m[3])
			}
		}
		reasons = append(reasons, text)
	}
	return strings.Join(reasons, "; ")
}

// wantedType describes what a key of a task file takes, by its Go type.
func wantedType(name string) string {
	switch {
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "[]"):
		return "a list of pairs, each with source and target"
	case strings.HasSuffix(name, "TaskPair"):
		return "a pair with source and target"
	case strings.HasSuffix(name, "Options"):
		return "a mapping of options to true or false"
	case strings.HasSuffix(name, "Task"):
		return "a task with name, type, pairs and options"
	}
	return "plain text"
}
