package program

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
)

// CommandLine is a command line taken apart.
type CommandLine struct {
	Path          []*Command // the root command and the subcommands named
	flags         []string   // "--name" or "--name=value", by primary names
	Rest          []string   // the arguments
	help, version bool
	// Wants is the flag, by its primary name, whose value the line ends before.
	Wants string
	Ended bool // by "--": all that follows is an argument
}

// flagInfo is what the order of arguments depends on.
type flagInfo struct {
	name   string // the primary one
	valued bool   // takes a value
	blank  bool   // which may be empty
	kind   Kind   // of the value
}

var (
	helpNames   = []string{"h", "help", "?"}
	versionName = "version"
)

// ParseArgs sorts flags from arguments, which may stand in any order: the
// library takes whatever follows the first argument for an argument. "--"
// ends the flags. A flag may be spelt with one dash or two. With a command
// tree the words up to the last subcommand are its path. In an error, what
// has been recognised so far is returned as well.
func ParseArgs(root *Command, args []string) (CommandLine, error) {
	p := CommandLine{Path: []*Command{root}}
	known := treeFlags(root)
	var given []string // names of the flags as typed, in the order of p.flags
	var firstErr error
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			p.Ended = true
			p.Rest = append(p.Rest, args[i+1:]...)
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
func (p *CommandLine) takeWord(word string) error {
	cur := p.Path[len(p.Path)-1]
	if len(cur.Sub) == 0 {
		p.Rest = append(p.Rest, word)
		return nil
	}
	for _, sub := range cur.Sub {
		if sub.Name == word {
			p.Path = append(p.Path, sub)
			return nil
		}
	}
	switch {
	case len(p.Path) == 1 && word == "help":
		p.help = true
		return nil
	case len(p.Path) == 1 && word == versionName:
		p.version = true
		return nil
	}
	return fault.New(fault.Usage, "%s does not know %q", p.Words(), word).
		WithHint("it knows %s", strings.Join(subNames(cur), ", "))
}

// takeFlag takes a flag and returns how many of the following arguments
// belong to it.
func (p *CommandLine) takeFlag(known map[string]flagInfo, name, arg string, next []string) (int, error) {
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
		p.Wants = info.name
		return 0, fault.New(fault.Usage, "%s needs a value", arg)
	default:
		return 1, p.takeValue(info, next[0])
	}
	return 0, nil
}

// takeValue refuses an empty value: it comes from a variable that a script has not
// set, and to go on without the flag could mean another server.
func (p *CommandLine) takeValue(info flagInfo, value string) error {
	p.flags = append(p.flags, "--"+info.name+"="+value)
	if value == "" && !info.blank {
		return fault.New(fault.Usage, "--%s is empty", info.name).
			WithHint("give it a value, or leave it out")
	}
	return nil
}

// unknownFlag names the flag only: what follows "=" may be a secret.
func (p *CommandLine) unknownFlag(arg string) error {
	arg, _, _ = strings.Cut(arg, "=")
	return fault.New(fault.Usage, "%s has no flag %s", p.Words(), arg).
		WithHint("%s; after -- an argument may begin with a dash", seeHelp(p.Words()))
}

// checkFit refuses a path that ends before a command that does something, and
// flags of other branches of the tree.
func (p *CommandLine) checkFit(given []string) error {
	cur := p.Path[len(p.Path)-1]
	if len(p.Path) == 1 && len(cur.Sub) > 0 && len(given) == 0 && !p.version {
		p.help = true // nothing at all was asked for
	}
	if len(cur.Sub) > 0 && !p.help && !p.version {
		return fault.New(fault.Usage, "%s: a command is missing", p.Words()).
			WithHint("one of %s", strings.Join(subNames(cur), ", "))
	}
	known := map[string]flagInfo{}
	addFlags(known, cur.AllFlags(&Env{}))
	for i, text := range p.flags {
		name, _ := flagName(text)
		if _, ok := known[name]; !ok && len(cur.Sub) == 0 {
			return p.unknownFlag(given[i])
		}
	}
	return nil
}

// Words are the names of the command and the subcommands, as people type them.
func (p *CommandLine) Words() string {
	names := make([]string, len(p.Path))
	for i, c := range p.Path {
		names[i] = c.Name
	}
	return strings.Join(names, " ")
}

func subNames(c *Command) []string {
	var names []string
	for _, sub := range c.VisibleSub() {
		names = append(names, sub.Name)
	}
	return names
}

// treeFlags returns the flags of every branch by each of their names. A name
// that stands for a flag with a value in one branch must do so in all: which
// branch is meant may only show later in the line.
func treeFlags(c *Command) map[string]flagInfo {
	known := map[string]flagInfo{}
	addFlags(known, c.AllFlags(&Env{}))
	for _, sub := range c.Sub {
		for name, info := range treeFlags(sub) {
			known[name] = info
		}
	}
	return known
}

func addFlags(known map[string]flagInfo, flags []cli.Flag) {
	for _, f := range flags {
		names := f.Names()
		info := flagInfo{name: names[0], valued: takesValue(f), blank: mayBeBlank(f),
			kind: kindOfFlag(f)}
		for _, name := range names {
			known[name] = info
		}
	}
}

func takesValue(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

// A BlankValue is the value of a flag that means something when it is empty: that a label is
// taken away. Other flags refuse an empty value.
type BlankValue interface {
	cli.Generic
	MayBeBlank()
}

// mayBeBlank reports whether an empty value of f has a meaning, as that of a label.
func mayBeBlank(f cli.Flag) bool {
	generic, ok := f.(*cli.GenericFlag)
	if !ok {
		return false
	}
	_, ok = generic.Value.(BlankValue)
	return ok
}

// asksJSON reports whether --json was seen. It holds for command lines that
// are refused, too: their flags are all read all the same.
func (p *CommandLine) asksJSON() bool {
	return slices.Contains(p.flags, "--json") || slices.Contains(p.flags, "--json=true")
}

// Value returns what the flag of that primary name was given last, and whether
// it was given at all. It holds for refused command lines, too.
func (p *CommandLine) Value(name string) (string, bool) {
	for _, text := range slices.Backward(p.flags) {
		if value, ok := strings.CutPrefix(text, "--"+name+"="); ok {
			return value, true
		}
	}
	return "", false
}
