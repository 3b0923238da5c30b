// Package shell has setdevice and setuser. Both are the same little shell with other
// verbs: it runs one verb from the arguments, many from a pipe, or what is typed at a
// prompt, where it edits lines, completes words and shows no password.
package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
	"copyservices/taskstore/userfile"
)

// verb is one command of setdevice or setuser.
type verb struct {
	name     string
	alias    string // another spelling; may be empty
	synopsis string // of the arguments
	summary  string
	takes    program.Kind // its first argument, for the completion
	// least and most are how many arguments it takes, the password included.
	least, most int
	// secret is which argument, counted from 1, is a password; 0 for none.
	// It may be left out when no other argument follows: then it is asked for.
	secret int
	twice  bool // ask for it twice: it is a new one
	run    func(ctx context.Context, s *connect.Session, args []string) (reply, error)
}

// reply is what a verb found: a document for --json and its text. One that
// changed something has a line for the log too, and may have a warning.
type reply struct {
	doc     any
	text    func(w io.Writer)
	note    string
	warning string
}

// told is the reply of a verb that did something to a thing.
func told(format string, args ...any) reply {
	text := fmt.Sprintf(format, args...)
	doc := struct {
		Message string `json:"message"`
	}{text}
	note := result.OneLine(text)
	return reply{doc: doc, text: func(w io.Writer) { fmt.Fprintln(w, note) }, note: note}
}

// shell runs verbs: one from the arguments, many from a pipe, or what is
// typed at a prompt.
type shell struct {
	e     *program.Env
	verbs []verb
	// connect makes the session; check: with a request that tells whether the
	// user is known.
	connect func(ctx context.Context, check bool) (*connect.Session, error)
	// explain adds to an error of the server what the tool knows about it.
	explain func(err error) error
	session *connect.Session
	// ask reads a password without showing it; nil where nobody can be asked.
	ask func(ctx context.Context, prompt string) (string, error)
	// many: more than one command is to be expected.
	many bool
}

// errExit ends a shell that was told to.
var errExit = errors.New("exit")

const maxShellLine = 64 << 10

func (s *shell) main(ctx context.Context, args []string) error {
	stdin := s.e.IsTerminal(s.e.Stdin)
	if stdin {
		s.ask = s.e.AskPassword
	}
	s.many = len(args) == 0
	switch {
	case len(args) > 0:
		return s.once(ctx, args)
	case stdin && (s.e.IsTerminal(s.e.Stdout) || s.e.IsTerminal(s.e.Stderr)):
		return s.interactive(ctx)
	}
	return s.batch(ctx)
}

// once runs the command that the arguments are.
func (s *shell) once(ctx context.Context, args []string) error {
	r, err := s.do(ctx, args)
	if errors.Is(err, errExit) {
		r, err = told("nothing to do"), nil
	}
	if err != nil {
		return err
	}
	return s.e.Result(r.doc, r.text)
}

// interactive runs what is typed at the prompt. What fails is reported and
// does not count: whoever sits there has seen it.
func (s *shell) interactive(ctx context.Context) error {
	if s.e.JSON {
		return fault.New(fault.Usage, "--json is not for the prompt").
			WithHint("give one command as arguments, or commands through a pipe")
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	t, err := newTerminal(ctx, s)
	if err != nil {
		return err
	}
	defer t.close()
	s.ask = t.ask
	for {
		line, err := t.read()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errDiscarded):
			continue
		case err != nil:
			return nil // the end of the input
		}
		r, err := s.doLine(ctx, []rune(line))
		switch {
		case errors.Is(err, errExit):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.e.Complain("", program.DetailOf(err))
		case r.text != nil:
			r.text(s.e.Stdout)
		}
	}
}

// doLine runs a line; an empty one has an empty reply.
func (s *shell) doLine(ctx context.Context, line []rune) (reply, error) {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return reply{}, err
	}
	return s.do(ctx, texts(words))
}

// do runs one command. The error is errExit when it was exit.
func (s *shell) do(ctx context.Context, words []string) (reply, error) {
	name, args := words[0], words[1:]
	v := s.find(name)
	switch {
	case strings.EqualFold(name, "help") || name == "?":
		return s.help(), nil
	case strings.EqualFold(name, "exit"), strings.EqualFold(name, "quit"):
		return reply{}, errExit
	case v == nil:
		return reply{}, fault.New(fault.Usage, "unknown command %q", name).
			WithHint("the commands are %s", strings.Join(s.names(), ", "))
	}
	args, err := s.complete(ctx, v, args)
	if err != nil {
		return reply{}, err
	}
	if err := s.open(ctx); err != nil {
		return reply{}, err
	}
	r, err := v.run(ctx, s.session, args)
	if err != nil {
		return reply{}, s.explain(err)
	}
	if r.note != "" {
		s.e.Log.Info(r.note)
	}
	if r.warning != "" {
		s.e.Warn("%s", r.warning)
	}
	return r, nil
}

// open connects, once.
func (s *shell) open(ctx context.Context) (err error) {
	if s.session == nil {
		s.session, err = s.connect(ctx, s.many)
	}
	return err
}

// complete checks how many arguments there are and asks for a password that
// was left out.
func (s *shell) complete(ctx context.Context, v *verb, args []string) ([]string, error) {
	if len(args) == v.least-1 && v.secret == v.least && s.ask != nil {
		password, err := s.askNew(ctx, v, args)
		return append(args, password), err
	}
	if len(args) < v.least || len(args) > v.most {
		return nil, fault.New(fault.Usage, "%s takes other arguments", v.name).
			WithHint("%s", strings.TrimSpace(v.name+" "+v.synopsis))
	}
	return args, nil
}

func (s *shell) askNew(ctx context.Context, v *verb, args []string) (string, error) {
	prompt := "Password of " + args[len(args)-1]
	password, err := s.ask(ctx, prompt+": ")
	if err != nil || !v.twice {
		return password, err
	}
	return password, program.ConfirmSecret(ctx, s.ask, prompt, password)
}

// find returns the verb of that name in any case, nil where there is none.
func (s *shell) find(name string) *verb {
	for i := range s.verbs {
		v := &s.verbs[i]
		if strings.EqualFold(name, v.name) || v.alias != "" && strings.EqualFold(name, v.alias) {
			return v
		}
	}
	return nil
}

// names lists the verbs in the order in which they are documented.
func (s *shell) names() []string {
	var names []string
	for _, v := range s.verbs {
		names = append(names, v.name)
	}
	return append(names, "help", "exit")
}

func (s *shell) help() reply {
	type item struct {
		Command string `json:"command"`
		Summary string `json:"summary"`
	}
	var items []item
	for _, v := range s.verbs {
		items = append(items, item{strings.TrimSpace(v.name + " " + v.synopsis), v.summary})
	}
	items = append(items, item{"help", "print this"}, item{"exit", "end"})
	return reply{doc: items, text: func(w io.Writer) {
		for _, it := range items {
			fmt.Fprintf(w, "%-44s %s\n", it.Command, it.Summary)
		}
	}}
}

// lines sends the lines of r until it ends or ctx does; the error comes last.
func lines(ctx context.Context, r io.Reader) (<-chan string, <-chan error) {
	out, failure := make(chan string), make(chan error, 1)
	go func() {
		defer close(out)
		scanner := bufio.NewScanner(userfile.NewReader(r))
		scanner.Buffer(nil, maxShellLine)
		for scanner.Scan() {
			select {
			case out <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
		failure <- scanner.Err()
	}()
	return out, failure
}
