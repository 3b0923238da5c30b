package program

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A help fits a screen of 24 lines with the prompt below it; the whole is in the
// man page that it names.
const (
	helpLines   = 23
	helpColumns = 80
)

// printHelp prints the help of the last command in path. Where it would not fit,
// the flags that every command has are named only.
func printHelp(w io.Writer, path []*Command, e *Env) error {
	text := helpText(path, e, false)
	if strings.Count(text, "\n") > helpLines {
		text = helpText(path, e, true)
	}
	_, err := io.WriteString(w, text)
	return err
}

func helpText(path []*Command, e *Env, brief bool) string {
	cmd := path[len(path)-1]
	words := (&CommandLine{Path: path}).Words()
	var b strings.Builder
	fmt.Fprintln(&b, strings.TrimSpace("usage: "+words+" [FLAGS] "+cmd.usageTail()))
	fmt.Fprintf(&b, "%s.\n\n", cmd.Summary)
	for _, sub := range cmd.VisibleSub() {
		fmt.Fprintf(&b, "  %-14s %s\n", sub.Name, sub.Summary)
	}
	shared := cmd.sharedFlagNames()
	var common []cli.Flag
	for _, f := range cmd.AllFlags(e) {
		if brief && slices.Contains(shared, f.Names()[0]) {
			common = append(common, f)
			continue
		}
		b.WriteString(flagLine(f))
	}
	if brief {
		b.WriteString(flagNames(common))
	} else {
		fmt.Fprintf(&b, "  %-32s %s\n", "-h, --help; --version", "print this, or the version")
	}
	label := "\nexamples:"
	for _, example := range cmd.helpExamples() {
		fmt.Fprintf(&b, "%-9s %s\n", label, example)
		label = ""
	}
	fmt.Fprintf(&b, "see also: man %s\n", path[0].Name)
	return b.String()
}

func (c *Command) usageTail() string {
	if len(c.Sub) > 0 {
		return "COMMAND ..."
	}
	return c.Synopsis
}

// helpExamples of a branch without its own are one of each of its first two
// commands, or those of its only one.
func (c *Command) helpExamples() []string {
	if len(c.Sub) == 1 {
		return c.Sub[0].helpExamples()
	}
	examples := c.Examples
	for _, sub := range c.Sub[:min(len(c.Sub), 2)] {
		if len(c.Examples) == 0 && len(sub.Examples) > 0 {
			examples = append(examples, sub.Examples[0])
		}
	}
	return examples
}

// sharedFlagNames are the primary names of the flags that need no word about a
// single command.
func (c *Command) sharedFlagNames() []string {
	var names []string
	for _, f := range append(slices.Clone(c.Shared), (&Env{}).outputFlags()...) {
		names = append(names, f.Names()[0])
	}
	return names
}

// flagNames writes flags without what they are for, as many to a line as fit.
func flagNames(flags []cli.Flag) string {
	var b strings.Builder
	b.WriteString("and, as for every command:\n")
	line := " "
	for _, f := range append(flags, &cli.BoolFlag{Name: "help", Aliases: []string{"h"}},
		&cli.BoolFlag{Name: "version"}) {
		short, long, _ := FlagParts(f)
		item := " " + strings.TrimSpace(short+" "+long)
		if len(line)+1+len(item) > helpColumns {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = " "
		}
		line += item + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// flagLine writes one flag with its short form and the placeholder of its value.
func flagLine(f cli.Flag) string {
	short, long, text := FlagParts(f)
	if short == "" {
		short = "   "
	}
	return fmt.Sprintf("  %s %-28s %s\n", short, long, text)
}

// FlagParts returns "-s,", "--server HOST" and what the flag is for. The
// placeholder stands in backquotes at the end of the usage text.
func FlagParts(f cli.Flag) (short, long, text string) {
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = "-" + name + ","
		} else if long == "" {
			long = "--" + name
		}
	}
	if doc, ok := f.(cli.DocGenerationFlag); ok {
		text = doc.GetUsage()
	}
	if before, placeholder, found := strings.Cut(text, "`"); found {
		long += " " + strings.TrimSuffix(placeholder, "`")
		text = strings.TrimSpace(before)
	}
	return short, long, text
}
