package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chzyer/readline"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
)

const (
	shellPrompt  = ">>> "
	shellHistory = 200 // lines
)

// errDiscarded: the line was given up with Ctrl-C.
var errDiscarded = errors.New("the line was discarded")

// terminal reads lines with editing, history and completion. A password is
// shown as asterisks while it is typed, and is not in the history, which
// exists in memory only.
type terminal struct {
	rl      *readline.Instance
	stdin   *readline.CancelableStdin
	shell   *shell
	history []string
	hidden  atomic.Bool // the whole line is a password
	stop    func()      // ends the reading of lines; returns when it has ended
	restore func()
	unwatch func() bool
}

// newTerminal takes the terminal over until close. The end of ctx ends a read
// that is under way.
func newTerminal(ctx context.Context, s *shell) (*terminal, error) {
	t := &terminal{shell: s}
	// readline's own streams, for on Windows they translate escape sequences.
	t.stdin = readline.NewCancelableStdin(readline.Stdin)
	cfg := &readline.Config{
		Prompt: shellPrompt, Stdin: t.stdin, Stdout: readline.Stdout,
		HistoryLimit: shellHistory, DisableAutoSaveHistory: true,
		AutoComplete: t, Painter: t, EOFPrompt: "exit",
		FuncFilterInputRune: filterKey,
	}
	if !s.e.IsTerminal(s.e.Stdout) {
		cfg.Stdout = readline.Stderr
	}
	var err error
	if t.rl, err = readline.NewEx(cfg); err != nil {
		return nil, fault.New(fault.Failed, "cannot use the terminal: %w", err)
	}
	// What is typed or pasted while a command runs must not be echoed either.
	t.restore = program.EchoOff(os.Stdin)
	t.stop = sync.OnceFunc(func() {
		t.stdin.Close()
		t.rl.Close()
	})
	t.unwatch = context.AfterFunc(ctx, t.stop)
	return t, nil
}

// close gives the terminal back as it was.
func (t *terminal) close() {
	t.unwatch()
	t.stop()
	t.restore()
}

// filterKey drops Ctrl-Z, for which readline stops the parent process too,
// and Ctrl-Y, which would show a password that was deleted.
func filterKey(r rune) (rune, bool) {
	return r, r != readline.CharCtrlZ && r != readline.CharCtrlY
}

// read returns the next line, errDiscarded or, at the end, io.EOF.
func (t *terminal) read() (string, error) {
	t.rl.SetPrompt(shellPrompt)
	line, err := t.rl.Readline()
	t.remember(line, err)
	if errors.Is(err, readline.ErrInterrupt) {
		return "", errDiscarded
	}
	return line, err
}

// remember makes the history anew: readline has kept what was typed.
func (t *terminal) remember(line string, err error) {
	words, _ := splitWords([]rune(line))
	clean := t.shell.withoutSecret(words)
	last := len(t.history) - 1
	if err == nil && clean != "" && (last < 0 || t.history[last] != clean) {
		t.history = append(t.history, clean)
	}
	t.rewrite()
}

func (t *terminal) rewrite() {
	t.rl.ResetHistory()
	for _, line := range t.history[max(0, len(t.history)-shellHistory):] {
		// It fails for history in files only.
		_ = t.rl.SaveHistory(line)
	}
}

// ask reads a password.
func (t *terminal) ask(ctx context.Context, prompt string) (string, error) {
	t.hidden.Store(true)
	defer t.hidden.Store(false)
	t.rl.SetPrompt(prompt)
	t.rl.ResetHistory()
	secret, err := t.rl.Readline()
	t.rewrite()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, readline.ErrInterrupt), errors.Is(err, io.EOF):
		return "", fault.New(fault.Usage, "no password was typed, nothing was done")
	case err == nil && secret == "":
		return "", fault.New(fault.Usage, "no password was typed")
	}
	return secret, err
}

// Paint is what readline shows for a line.
func (t *terminal) Paint(line []rune, _ int) []rune {
	if t.hidden.Load() {
		return asterisks(line)
	}
	return t.shell.mask(line)
}

// Do completes the first word. It returns what can follow it and how much of
// it there is.
func (t *terminal) Do(line []rune, pos int) ([][]rune, int) {
	start := string(line[:pos])
	if t.hidden.Load() || strings.ContainsAny(start, " \t") {
		return nil, 0
	}
	var ends [][]rune
	for _, name := range t.shell.names() {
		if end, ok := strings.CutPrefix(name, strings.ToLower(start)); ok {
			ends = append(ends, []rune(end+" "))
		}
	}
	return ends, pos
}
