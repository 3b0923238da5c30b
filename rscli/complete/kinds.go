package complete

import (
	"path/filepath"
	"slices"
	"strings"

	"copyservices/rscli/connect"
	"copyservices/rscli/program"
)

// Program is a command of the suite whose words can be completed.
type Program struct {
	Name  string
	Build program.Builder
	// Verbs are the words that may be its first argument, where it has the kind KindVerb.
	Verbs []Verb
	// Defaults, where not nil, completes what its settings say.
	Defaults func(*connect.Settings)
}

// Verb is a command of the little shell.
type Verb struct {
	Candidate
	Takes program.Kind // its first argument
}

// copyserverFlags are the flags of the server with what they take. The server is
// no part of this package; a script holds the list to what it prints.
var copyserverFlags = map[string]program.Kind{
	"state": program.KindFile, "config": program.KindFile,
	"listen": program.KindAny, "nbd-listen": program.KindAny,
	"nbd-insecure": "", "nbd-tls": "", "nbd-tls-cert": program.KindFile, "nbd-tls-key": program.KindFile,
	"nbd-tls-client-ca": program.KindFile, "array-serial": program.KindAny,
	"ready-file": program.KindFile, "memory": program.KindAny,
	"log-format": "text json", "log-level": "debug info warn error", "help": "", "version": "",
}

const serverProgram = "copyserver"

// programNames are all names under which a program of the suite may be called:
// its own and, for old scripts, with an ending.
func programNames(programs []Program) []string {
	names := []string{serverProgram}
	for _, p := range programs {
		names = append(names, p.Name, p.Name+".sh")
	}
	slices.Sort(names)
	return names
}

// programName takes folder and ending from the word that calls a program.
func programName(word string) string {
	name := filepath.Base(strings.ReplaceAll(word, `\`, "/"))
	for _, ending := range []string{".sh", ".exe", ".bat", ".cmd"} {
		if short, ok := strings.CutSuffix(name, ending); ok {
			return short
		}
	}
	return name
}
