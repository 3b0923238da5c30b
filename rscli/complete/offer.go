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
	fetch   func(k program.Kind) []Candidate // from the server, or a cache
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
		return c.ofKind(program.KindOfFlag(c.root, c.given.Wants), begun)
	case c.given.Ended || !strings.HasPrefix(begun, "-"):
	case inline:
		o := c.ofKind(program.KindOfFlag(c.root, strings.TrimLeft(name, "-")), value)
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

func (c *completer) argumentKind(command *program.Command) program.Kind {
	kinds, n := command.Kinds, len(c.given.Rest)
	switch {
	case len(kinds) == 0 || command.Most >= 0 && n >= command.Most:
		return program.KindAny
	case kinds[0] == program.KindVerb && n == 1:
		return c.verbKind(c.given.Rest[0])
	case kinds[0] == program.KindVerb && n > 1:
		return program.KindAny
	}
	return kinds[min(n, len(kinds)-1)]
}

func (c *completer) verbKind(name string) program.Kind {
	for _, v := range c.program.Verbs {
		if strings.EqualFold(v.Word, name) {
			return v.Takes
		}
	}
	return program.KindAny
}

func (c *completer) verbs() []Candidate {
	var list []Candidate
	for _, v := range c.program.Verbs {
		list = append(list, v.Candidate)
	}
	return list
}

// ofKind lists what the word of a kind may be.
func (c *completer) ofKind(k program.Kind, begun string) offer {
	switch {
	case k == program.KindFile:
		return offer{files: true}
	case k == program.KindLog:
		return offer{candidates: literals(program.OneOf("syslog", "eventlog")), files: true}
	case k == program.KindServer:
		return offer{candidates: knownServers(c.e)}
	case k == program.KindVerb:
		return offer{candidates: c.verbs()}
	case k == program.KindPair:
		return pairs(c.fetch(program.KindVolume), begun)
	case k == program.KindEndpoint:
		return offer{candidates: slices.Concat(c.fetch(k), c.fetch(program.KindVolume))}
	case k == program.KindAny || len(k.Literals()) > 0:
		return offer{candidates: literals(k)}
	}
	return offer{candidates: c.fetch(k)}
}

func literals(k program.Kind) []Candidate {
	var list []Candidate
	for _, word := range k.Literals() {
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
		case k == program.KindFile:
			return offer{files: true}
		case k != program.KindAny:
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
