package complete

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"copyservices/rscli/program"
)

// Candidate is one word that may stand at the cursor.
type Candidate struct {
	Word string `json:"word"`
	Note string `json:"note,omitempty"` // what it is
}

// offer is what may stand at the cursor.
type offer struct {
	candidates []Candidate
	files      bool // names of files, too
	open       bool // the word goes on behind the candidate
}

// completer finds out what may follow the words of a command line.
type completer struct {
	e       *program.Env
	program Program
	root    *program.Command
	given   program.CommandLine
	fetch   func(k kind) []Candidate // from the server, or a cache
}

// complete returns what the word that begins with begun may be after words, the
// first of which is the program. It never fails: at worst it offers nothing.
func complete(ctx context.Context, e *program.Env, programs []Program, words []string, begun string) offer {
	if len(words) == 0 {
		return offer{}
	}
	name := programName(words[0])
	if name == serverProgram {
		return completeServer(words[1:], begun).startingWith(begun)
	}
	i := slices.IndexFunc(programs, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return offer{}
	}
	c := &completer{e: e, program: programs[i], root: programs[i].Build(e)}
	c.given, _ = program.ParseArgs(c.root, words[1:])
	source := newSource(ctx, e, c.program, c.given)
	c.fetch = source.get
	return c.offer(begun).startingWith(begun)
}

// startingWith keeps what begins with text, in whatever case, and what is fit to
// stand in a command line.
func (o offer) startingWith(text string) offer {
	o.candidates = slices.DeleteFunc(o.candidates, func(c Candidate) bool {
		begins := len(c.Word) >= len(text) && strings.EqualFold(c.Word[:len(text)], text)
		return !begins || c.Word == "" || strings.ContainsFunc(c.Word, isUnfit)
	})
	return o
}

// isUnfit: a character that the terminal or the shell's scripts would obey.
func isUnfit(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }

func (c *completer) offer(begun string) offer {
	command := c.given.Path[len(c.given.Path)-1]
	name, value, inline := strings.Cut(begun, "=")
	switch {
	case c.given.Wants != "":
		return c.ofKind(flagKinds[c.given.Wants], begun)
	case c.given.Ended || !strings.HasPrefix(begun, "-"):
	case inline:
		flag := program.PrimaryName(c.root, strings.TrimLeft(name, "-"))
		o := c.ofKind(flagKinds[flag], value)
		return o.after(name + "=")
	default:
		return offer{candidates: flagCandidates(command)}
	}
	if len(command.Sub) > 0 {
		return offer{candidates: subCandidates(command)}
	}
	return c.ofKind(c.argumentKind(command), begun)
}

// after puts the part of the word that stands already in front.
func (o offer) after(head string) offer {
	for i := range o.candidates {
		o.candidates[i].Word = head + o.candidates[i].Word
	}
	return o
}

func (c *completer) argumentKind(command *program.Command) kind {
	kinds, n := argumentKinds[c.given.Words()], len(c.given.Rest)
	switch {
	case len(kinds) == 0 || command.Most >= 0 && n >= command.Most:
		return kindAny
	case kinds[0] == kindVerb && n == 1:
		return verbKinds[strings.ToLower(c.given.Rest[0])]
	case kinds[0] == kindVerb && n > 1:
		return kindAny
	}
	return kinds[min(n, len(kinds)-1)]
}

// ofKind lists what the word of a kind may be.
func (c *completer) ofKind(k kind, begun string) offer {
	switch {
	case k == kindFile:
		return offer{files: true}
	case k == kindLog:
		return offer{candidates: literals("syslog eventlog"), files: true}
	case k == kindServer:
		return offer{candidates: knownServers(c.e)}
	case k == kindVerb:
		return offer{candidates: c.program.Verbs}
	case k == kindPair:
		return pairs(c.fetch(kindVolume), begun)
	case k == kindEndpoint:
		return offer{candidates: slices.Concat(c.fetch(k), c.fetch(kindVolume))}
	case k == kindAny || k[0] != ':':
		return offer{candidates: literals(k)}
	}
	return offer{candidates: c.fetch(k)}
}

func literals(k kind) []Candidate {
	var list []Candidate
	for word := range strings.FieldsSeq(string(k)) {
		list = append(list, Candidate{Word: word})
	}
	return list
}

// pairs offers the first volume of a pair, then the second.
func pairs(volumes []Candidate, begun string) offer {
	first, _, second := strings.Cut(begun, ":")
	o := offer{candidates: slices.Clone(volumes)}
	if second {
		o.candidates = slices.DeleteFunc(o.candidates, func(v Candidate) bool {
			return strings.EqualFold(v.Word, first)
		})
		return o.after(first + ":")
	}
	for i := range o.candidates {
		o.candidates[i].Word += ":"
	}
	o.open = true
	return o
}

func flagCandidates(command *program.Command) []Candidate {
	var list []Candidate
	flags := append(command.AllFlags(&program.Env{}), &cli.BoolFlag{Name: "help", Usage: "print a summary"},
		&cli.BoolFlag{Name: "version", Usage: "print the version"})
	for _, f := range flags {
		_, _, note := program.FlagParts(f)
		list = append(list, Candidate{"--" + f.Names()[0], note})
	}
	return list
}

func subCandidates(command *program.Command) []Candidate {
	var list []Candidate
	for _, sub := range command.VisibleSub() {
		list = append(list, Candidate{sub.Name, sub.Summary})
	}
	return list
}

// completeServer does for copyserver what the tree of a command does for others.
func completeServer(words []string, begun string) offer {
	if len(words) > 0 {
		last := words[len(words)-1]
		switch k := copyserverFlags[strings.TrimLeft(last, "-")]; {
		case !strings.HasPrefix(last, "-"):
		case k == kindFile:
			return offer{files: true}
		case k != kindAny:
			return offer{candidates: literals(k)}
		}
	}
	o := offer{}
	if !strings.HasPrefix(begun, "-") {
		return offer{candidates: serverVerbs(words)}
	}
	for name := range copyserverFlags {
		o.candidates = append(o.candidates, Candidate{Word: "--" + name})
	}
	slices.SortFunc(o.candidates, func(a, b Candidate) int { return strings.Compare(a.Word, b.Word) })
	return o
}

// serverVerbs are what may follow the words of copyserver and is no flag.
func serverVerbs(words []string) []Candidate {
	switch {
	case len(words) > 0 && words[len(words)-1] == "service":
		return []Candidate{
			{"install", "register a service that runs with these flags"},
			{"remove", "stop the service and remove it"},
		}
	case slices.Contains(words, "check") || slices.Contains(words, "service"):
		return nil
	}
	return []Candidate{
		{"check", "verify a state folder"}, {"service", "install or remove the Windows service"},
	}
}
