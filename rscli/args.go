package rscli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
)

// parsed is a command line taken apart.
type parsed struct {
	path          []*command // the root command and the subcommands named
	flags         []string   // "--name" or "--name=value", by primary names
	rest          []string   // the arguments
	help, version bool
	// wants is the flag, by its primary name, whose value the line ends before.
	wants string
	ended bool // by "--": all that follows is an argument
}

// flagInfo is what the order of arguments depends on.
type flagInfo struct {
	name   string // the primary one
	valued bool   // takes a value
	blank  bool   // which may be empty
}

var (
	helpNames   = []string{"h", "help", "?"}
	versionName = "version"
)

// parseArgs sorts flags from arguments, which may stand in any order: the
// library takes whatever follows the first argument for an argument. "--"
// ends the flags. A flag may be spelt with one dash or two. With a command
// tree the words up to the last subcommand are its path. In an error, what
// has been recognised so far is returned as well.
func parseArgs(root *command, args []string) (parsed, error) {
	p := parsed{path: []*command{root}}
	known := treeFlags(root)
	var given []string // names of the flags as typed, in the order of p.flags
	var firstErr error
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			p.ended = true
			p.rest = append(p.rest, args[i+1:]...)
			break
		}
		name, isFlag := flagName(arg)
		if !isFlag {
			firstErr = cmp.Or(firstErr, p.takeWord(arg))
			continue
		}
		used, err := p.takeFlag(known, name, arg, args[i+1:])
		if err == nil && len(p.flags) > len(given) {
			given = append(given, arg)
		}
		firstErr = cmp.Or(firstErr, err)
		i += used
	}
	if firstErr == nil {
		firstErr = p.checkFit(given)
	}
	return p, firstErr
}

// flagName returns the name in "-name", "--name" and "--name=value". A lone
// "-" is an argument.
func flagName(arg string) (string, bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return "", false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	return name, true
}

// takeWord takes an argument: the name of a subcommand where there are some.
func (p *parsed) takeWord(word string) error {
	cur := p.path[len(p.path)-1]
	if len(cur.sub) == 0 {
		p.rest = append(p.rest, word)
		return nil
	}
	for _, sub := range cur.sub {
		if sub.name == word {
			p.path = append(p.path, sub)
			return nil
		}
	}
	switch {
	case len(p.path) == 1 && word == "help":
		p.help = true
		return nil
	case len(p.path) == 1 && word == versionName:
		p.version = true
		return nil
	}
	return fault.New(fault.Usage, "%s does not know %q", p.words(), word).
		WithHint("it knows %s", strings.Join(subNames(cur), ", "))
}

// takeFlag takes a flag and returns how many of the following arguments
// belong to it.
func (p *parsed) takeFlag(known map[string]flagInfo, name, arg string, next []string) (int, error) {
	info, ok := known[name]
	switch _, value, inline := strings.Cut(arg, "="); {
	case slices.Contains(helpNames, name):
		p.help = true
	case name == versionName:
		p.version = true
	case !ok:
		return 0, p.unknownFlag(arg)
	case inline && info.valued:
		return 0, p.takeValue(info, value)
	case inline:
		p.flags = append(p.flags, "--"+info.name+"="+value)
	case !info.valued:
		p.flags = append(p.flags, "--"+info.name)
	case len(next) == 0:
		p.wants = info.name
		return 0, fault.New(fault.Usage, "%s needs a value", arg)
	default:
		return 1, p.takeValue(info, next[0])
	}
	return 0, nil
}

// takeValue refuses an empty value: it comes from a variable that a script has not
// set, and to go on without the flag could mean another server.
func (p *parsed) takeValue(info flagInfo, value string) error {
	p.flags = append(p.flags, "--"+info.name+"="+value)
	if value == "" && !info.blank {
		return fault.New(fault.Usage, "--%s is empty", info.name).
			WithHint("give it a value, or leave it out")
	}
	return nil
}

// unknownFlag names the flag only: what follows "=" may be a secret.
func (p *parsed) unknownFlag(arg string) error {
	arg, _, _ = strings.Cut(arg, "=")
	return fault.New(fault.Usage, "%s has no flag %s", p.words(), arg).
		WithHint("%s; after -- an argument may begin with a dash", seeHelp(p.words()))
}

// checkFit refuses a path that ends before a command that does something, and
// flags of other branches of the tree.
func (p *parsed) checkFit(given []string) error {
	cur := p.path[len(p.path)-1]
	if len(p.path) == 1 && len(cur.sub) > 0 && len(given) == 0 && !p.version {
		p.help = true // nothing at all was asked for
	}
	if len(cur.sub) > 0 && !p.help && !p.version {
		return fault.New(fault.Usage, "%s: a command is missing", p.words()).
			WithHint("one of %s", strings.Join(subNames(cur), ", "))
	}
	known := map[string]flagInfo{}
	addFlags(known, cur.allFlags(&Env{}))
	for i, text := range p.flags {
		name, _ := flagName(text)
		if _, ok := known[name]; !ok && len(cur.sub) == 0 {
			return p.unknownFlag(given[i])
		}
	}
	return nil
}

func (p *parsed) words() string {
	names := make([]string, len(p.path))
	for i, c := range p.path {
		names[i] = c.name
	}
	return strings.Join(names, " ")
}

func subNames(c *command) []string {
	var names []string
	for _, sub := range c.visibleSub() {
		names = append(names, sub.name)
	}
	return names
}

// treeFlags returns the flags of every branch by each of their names. A name
// that stands for a flag with a value in one branch must do so in all: which
// branch is meant may only show later in the line.
func treeFlags(c *command) map[string]flagInfo {
	known := map[string]flagInfo{}
	addFlags(known, c.allFlags(&Env{}))
	for _, sub := range c.sub {
		for name, info := range treeFlags(sub) {
			known[name] = info
		}
	}
	return known
}

// primaryName returns the first name of the flag that some branch of root has under
// name, "" where none has.
func primaryName(root *command, name string) string { return treeFlags(root)[name].name }

func addFlags(known map[string]flagInfo, flags []cli.Flag) {
	for _, f := range flags {
		names := f.Names()
		info := flagInfo{name: names[0], valued: takesValue(f), blank: mayBeBlank(f)}
		for _, name := range names {
			known[name] = info
		}
	}
}

func takesValue(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

// mayBeBlank reports whether an empty value of f has a meaning, as that of a label.
func mayBeBlank(f cli.Flag) bool {
	generic, ok := f.(*cli.GenericFlag)
	if !ok {
		return false
	}
	_, ok = generic.Value.(interface{ mayBeBlank() })
	return ok
}

// asksJSON reports whether --json was seen. It holds for command lines that
// are refused, too: their flags are all read all the same.
func (p *parsed) asksJSON() bool {
	return slices.Contains(p.flags, "--json") || slices.Contains(p.flags, "--json=true")
}

// value returns what the flag of that primary name was given last, and whether
// it was given at all. It holds for refused command lines, too.
func (p *parsed) value(name string) (string, bool) {
	for _, text := range slices.Backward(p.flags) {
		if value, ok := strings.CutPrefix(text, "--"+name+"="); ok {
			return value, true
		}
	}
	return "", false
}
