package rscli

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// printHelp prints the help of the last command in path: short enough for a
// screen of 24 lines; the whole is in the man page that it names.
func printHelp(w io.Writer, path []*command, e *Env) error {
	cmd := path[len(path)-1]
	words := (&parsed{path: path}).words()
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [FLAGS] %s\n\n%s.\n\n", words, cmd.usageTail(), cmd.summary)
	for _, sub := range cmd.sub {
		fmt.Fprintf(&b, "  %-14s %s\n", sub.name, sub.summary)
	}
	for _, f := range cmd.allFlags(e) {
		b.WriteString(flagLine(f))
	}
	fmt.Fprintf(&b, "  %-32s %s\n", "-h, --help; --version", "print this, or the version")
	label := "\nexamples:"
	for _, example := range cmd.examples {
		fmt.Fprintf(&b, "%-9s %s\n", label, example)
		label = ""
	}
	fmt.Fprintf(&b, "see also: man %s\n", path[0].name)
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), "] \n", "]\n"))
	return err
}

func (c *command) usageTail() string {
	if len(c.sub) > 0 {
		return "COMMAND ..."
	}
	return c.synopsis
}

// flagLine writes one flag with its short form and the placeholder of its
// value, which stands in backquotes at the end of the usage text.
func flagLine(f cli.Flag) string {
	short, long := "   ", ""
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = "-" + name + ","
		} else if long == "" {
			long = "--" + name
		}
	}
	text := ""
	if doc, ok := f.(cli.DocGenerationFlag); ok {
		text = doc.GetUsage()
	}
	if before, placeholder, found := strings.Cut(text, "`"); found {
		long += " " + strings.TrimSuffix(placeholder, "`")
		text = strings.TrimSpace(before)
	}
	return fmt.Sprintf("  %s %-28s %s\n", short, long, text)
}
