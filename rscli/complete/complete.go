// Package complete finds what a word on a command line may be, for the completion of
// bash, zsh, fish and PowerShell. It reads the flags and arguments of the commands, and
// asks the server for the names of tasks, volumes, hosts and users, no longer than a
// person waits after pressing a key.
//
// It stands below the commands: they are given to it as a list.
package complete

import (
	"context"
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
)

// The scripts that "esscli completion" prints know nothing of the commands but
// their names: they ask "esscli __complete" for every word. Its first line says
// how to go on:
//
//	words    the lines below are the candidates, for some shells with a tab and
//	         what each is
//	open     the same, and the word goes on behind them
//	files    the same, and names of files

//go:embed shells
var shellScripts embed.FS

var shellNames = []string{"bash", "zsh", "fish", "powershell"}

// ScriptCommand is "esscli completion". It prints a script and needs no server: it is run
// when a shell starts.
func ScriptCommand(programs []Program) *program.Command {
	return &program.Command{
		Name: "completion", Synopsis: strings.Join(shellNames, "|"), Least: 1, Most: 1,
		Kinds:   []program.Kind{program.OneOf(shellNames...)},
		Summary: "Print a script by which a shell completes all commands",
		Examples: []string{
			"esscli completion bash > /etc/bash_completion.d/copyservices",
			"esscli completion fish > ~/.config/fish/conf.d/copyservices.fish",
		},
		Run: func(_ context.Context, e *program.Env, args []string) error {
			return runCompletion(e, programs, args[0])
		},
	}
}

func runCompletion(e *program.Env, programs []Program, shell string) error {
	if !slices.Contains(shellNames, shell) {
		return fault.New(fault.Usage, "%q is none of the shells that can be completed in", shell).
			WithHint("they are %s", strings.Join(shellNames, ", "))
	}
	text, err := shellScripts.ReadFile("shells/" + shell)
	if err != nil {
		return err
	}
	script := strings.ReplaceAll(string(text), "@PROGRAMS@", strings.Join(programNames(programs), " "))
	doc := struct {
		Shell  string `json:"shell"`
		Script string `json:"script"`
	}{shell, script}
	return e.Result(doc, func(w io.Writer) { _, _ = io.WriteString(w, script) })
}

// OfferCommand is the command that the scripts run: "__complete bash -- LINE BREAKS"
// with the line up to the cursor, or "__complete SHELL -- =WORD WORDS..." with the
// word that is begun, behind a sign that keeps it from being empty, and those
// before it. It says nothing but candidates and never fails.
func OfferCommand(programs []Program) *program.Command {
	return &program.Command{
		Name: "__complete", Hidden: true, Least: 3, Most: -1,
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			if args[0] == "bash" {
				words, begun := splitBash(args[1], args[2])
				o := complete(ctx, e, programs, words, begun.text)
				return writeOffer(e.Stdout, o, bashWords(o.candidates, begun))
			}
			o := complete(ctx, e, programs, args[2:], strings.TrimLeft(args[1][1:], `"'`))
			var lines []string
			for _, c := range o.candidates {
				lines = append(lines, c.Word+"\t"+result.OneLine(c.Note))
			}
			return writeOffer(e.Stdout, o, lines)
		},
	}
}

func writeOffer(w io.Writer, o offer, lines []string) error {
	mode := "words"
	switch {
	case o.files:
		mode = "files"
	case o.open:
		mode = "open"
	}
	_, err := fmt.Fprintln(w, strings.Join(append([]string{mode}, lines...), "\n"))
	return err
}
