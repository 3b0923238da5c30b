package program

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// treeCommand is a tree like that of esscli.
func treeCommand() *Command {
	leaf := func(name string, flags ...cli.Flag) *Command {
		return &Command{Name: name, Flags: flags, Most: -1}
	}
	size := func() cli.Flag { return &cli.StringFlag{Name: "size", Aliases: []string{"z"}} }
	create := &Command{Name: "create", Sub: []*Command{
		leaf("volume", size()), leaf("task", &cli.BoolFlag{Name: "nocopy"}),
	}}
	return &Command{Name: "tool", Sub: []*Command{create, leaf("list")}}
}

func TestParseArgs(t *testing.T) {
	tests := []struct {
		line, path, flags, rest string
	}{
		{"list", "tool list", "", ""},
		{"create volume --size 1", "tool create volume", "--size=1", ""},
		{"create --size 1 volume", "tool create volume", "--size=1", ""},
		{"-z 1 create volume a", "tool create volume", "--size=1", "a"},
		{"create volume a -size=1 b", "tool create volume", "--size=1", "a b"},
		{"create task --nocopy t", "tool create task", "--nocopy", "t"},
		{"create task -- --nocopy -q", "tool create task", "", "--nocopy -q"},
		{"create task - -q", "tool create task", "--quiet", "-"},
		{"list --size= x", "", "", ""},
		{"list --json -q create", "tool list", "--json --quiet", "create"},
		{"create volume --size -- x", "tool create volume", "--size=--", "x"},
		{"create volume --size=a=b", "tool create volume", "--size=a=b", ""},
		{"create", "", "", ""},
		{"make volume", "", "", ""},
		{"list --", "tool list", "", ""},
	}
	for _, tt := range tests {
		p, err := ParseArgs(treeCommand(), strings.Fields(tt.line))
		if (err != nil) != (tt.path == "") {
			t.Errorf("%q: error %v", tt.line, err)
		}
		if err != nil {
			continue
		}
		flags, rest := strings.Join(p.flags, " "), strings.Join(p.Rest, " ")
		if p.Words() != tt.path || flags != tt.flags || rest != tt.rest {
			t.Errorf("%q: path %q, flags %q, rest %q", tt.line, p.Words(), flags, rest)
		}
	}
}

func TestHelpOfABranch(t *testing.T) {
	for _, line := range []string{"--help", "create -h", "create volume -?", "list --bad -help"} {
		p, _ := ParseArgs(treeCommand(), strings.Fields(line))
		if !p.help {
			t.Errorf("%q does not ask for help", line)
		}
	}
	var text strings.Builder
	tree := treeCommand()
	if err := printHelp(&text, []*Command{tree, tree.Sub[0]}, &Env{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"usage: tool create [FLAGS] COMMAND ...\n", "\n  volume ",
		"\n  task "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, &text)
		}
	}
}

// FuzzParseArgs: no line panics; what is taken apart is still all there; and
// where the flags stand makes no difference.
func FuzzParseArgs(f *testing.F) {
	f.Add("create volume --size 1 a -- -b")
	f.Add("-q list -v=false x -- -- y")
	f.Add("create -z --json volume - -h")
	f.Add("create\x1f--size")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\x1f' })
		p, err := ParseArgs(treeCommand(), args)
		if err != nil || p.help || p.version {
			return
		}
		var again []string
		for _, c := range p.Path[1:] {
			again = append(again, c.Name)
		}
		before := slices.Concat(p.flags, again, []string{"--"}, p.Rest)
		after := slices.Concat(again, p.flags, []string{"--"}, p.Rest)
		for _, line := range [][]string{before, after} {
			q, err := ParseArgs(treeCommand(), line)
			if err != nil || q.Words() != p.Words() ||
				!slices.Equal(q.flags, p.flags) || !slices.Equal(q.Rest, p.Rest) {
				t.Errorf("%q became %q, and then %+v, %v", args, line, q, err)
			}
		}
	})
}
