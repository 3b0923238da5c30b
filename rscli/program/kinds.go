package program

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// Kind says what a word of a command line may be, for the completion: one of the kinds
// below, or some literal words (OneOf). Commands have it for their arguments; a flag
// has it in its Category, which the library uses for its own help only.
type Kind string

// The kinds of words.
const (
	KindAny          = ""
	KindFile         = ":file"
	KindLog          = ":log" // syslog, eventlog or a file
	KindServer       = ":server"
	KindVerb         = ":verb" // of setdevice and setuser
	KindTask         = ":task"
	KindVolume       = ":volume"
	KindPair         = ":pair"         // two volumes
	KindRelationship = ":relationship" // a pair that exists
	KindEndpoint     = ":endpoint"     // host:device, or a volume
	KindHost         = ":host"
	KindArray        = ":array"
	KindRun          = ":run"
	KindUser         = ":user"
)

// OneOf is the kind of these words, which have no blanks.
func OneOf[T ~string](words ...T) Kind {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return Kind(strings.Join(texts, " "))
}

// Literals are the words of OneOf, none of any other kind.
func (k Kind) Literals() []string {
	if strings.HasPrefix(string(k), ":") {
		return nil
	}
	return strings.Fields(string(k))
}

// KindOfFlag is the kind of the value of a flag, by any of its names: a name means the
// same in every branch of root.
func KindOfFlag(root *Command, name string) Kind { return treeFlags(root)[name].kind }

func kindOfFlag(f cli.Flag) Kind {
	if sorted, ok := f.(cli.CategorizableFlag); ok {
		return Kind(sorted.GetCategory())
	}
	return KindAny
}
