// Package esscli is esscli, which administers all that a server keeps: a tree of verbs
// (create, list, show, set, delete) and objects (volume, task, host, user ...), and a few
// verbs of their own, such as apply, status and login. Its package is above those of all
// other commands, so it has the list of them that the completion needs.
package esscli

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/complete"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
)

// esscli is a tree of verbs and objects. Every leaf checks what it was given
// before it connects, so that a usage error needs no server and no password,
// and prints one document with --json. The server has the last word on every
// rule: what is checked here is only what no server would take.

// essCLI holds the flags of all of esscli's commands, of which one runs.
type essCLI struct {
	connect.Flags
	volume  volumeOptions
	task    taskOptions
	pairs   pairOptions
	options arrayclient.Options
	host    hostOptions
	user    userOptions
	array   arrayOptions
	runs    runOptions
	set     setOptions

	credential credentialOptions
	applyFile  string

	forceImport bool
}

// Main is esscli.
func Main() int { return program.Main(New) }

// New builds esscli.
func New(*program.Env) *program.Command {
	x := &essCLI{}
	return &program.Command{
		Name:    "esscli",
		Summary: "Administer volumes, tasks, hosts, relationships and users",
		Examples: []string{
			"esscli create volume --size 64MiB --count 2",
			"esscli create task NIGHTLY --pair 20313698:20413698",
			"esscli apply -f task.yaml",
		},
		Sub: []*program.Command{
			x.branch("create", "Create a volume, task, relationship, host, user, array, ...",
				x.createVolume(), x.createTask(), x.createRelationship(), x.createHost(), x.createUser(), createArray(x),
				x.createCredential()),
			x.branch("list", "List what there is", x.lists()...),
			x.branch("show", "Show one thing; a task as apply takes it", x.shows()...),
			x.branch("set", "Change a volume, array, relationship or user", x.sets()...),
			x.branch("delete", "Delete things; a relationship is withdrawn", x.deletes()...),
			x.apply(), x.status(), x.login(), x.logout(),
			x.branch("import", "Write an image to a volume", x.importVolume()),
			x.branch("export", "Write a volume to an image", x.exportVolume()),
			complete.ScriptCommand(Programs()), complete.OfferCommand(Programs()),
		},
	}
}

// branch is a verb; its commands are the objects it takes.
func (x *essCLI) branch(name, summary string, sub ...*program.Command) *program.Command {
	return &program.Command{Name: name, Summary: summary, Sub: sub}
}

// leaf gives a command the flags of the connection.
func (x *essCLI) leaf(c program.Command) *program.Command {
	c.Shared = x.Flags.Declare()
	return &c
}

// objectKinds are the kinds of the words that name an object. Serials of credentials are
// not offered: nobody knows them by heart, nor tells one from another.
var objectKinds = map[string]program.Kind{
	"volume": program.KindVolume, "task": program.KindTask, "host": program.KindHost,
	"array": program.KindArray, "relationship": program.KindRelationship,
	"run": program.KindRun, "user": program.KindUser,
}

// examplesOf are those of a command that prints something: with an argument where
// it takes one, and for programs.
func examplesOf(words, argument string) []string {
	line := strings.TrimSpace("esscli " + words + " " + argument)
	return []string{line, line + " --json"}
}

// pairOptions name pairs.
type pairOptions struct {
	pairs, sources, targets cli.StringSlice
}

// flags returns the set. A device name may hold a colon or a comma, so a pair of
// host:device is two flags and no list is split at commas.
func (o *pairOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "pair", Category: program.KindPair, Destination: &o.pairs,
			Usage: "source and target volume, repeatable `S:T`"},
		&cli.StringSliceFlag{Name: "source", Category: program.KindEndpoint, Destination: &o.sources,
			Usage: "source volume or device, repeatable `HOST:DEV`"},
		&cli.StringSliceFlag{Name: "target", Category: program.KindEndpoint, Destination: &o.targets,
			Usage: "its target, in the same order `HOST:DEV`"},
	}
}

// get returns the pairs that the flags and the arguments S:T name, at least
// one.
func (o *pairOptions) get(args []string) ([]api.TaskPair, error) {
	var pairs []api.TaskPair
	for _, text := range append(o.pairs.Value(), args...) {
		p, err := arrayclient.ParsePair(text)
		if err != nil {
			return nil, fault.New(fault.Usage, "%w", err).
				WithHint("a pair is two serials, like 20313698:20413698; for devices use --source and --target")
		}
		pairs = append(pairs, api.TaskPair{Source: string(p.Source), Target: string(p.Target)})
	}
	sources, targets := o.sources.Value(), o.targets.Value()
	if len(sources) != len(targets) {
		return nil, fault.New(fault.Usage, "--source is given %s, --target %s",
			program.Count(len(sources), "time"), program.Count(len(targets), "time")).
			WithHint("each --source needs its --target, in the same order")
	}
	for i := range sources {
		pairs = append(pairs, api.TaskPair{Source: sources[i], Target: targets[i]})
	}
	if len(pairs) == 0 {
		return nil, fault.New(fault.Usage, "no pair is given").
			WithHint("name the volumes with --pair S:T, or --source and --target")
	}
	return pairs, nil
}

// optionFlags are the options of an establish.
func optionFlags(o *arrayclient.Options) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "nocopy", Destination: &o.NoCopy,
			Usage: "copy only tracks about to change"},
		&cli.BoolFlag{Name: "record", Destination: &o.Record,
			Usage: "remember changed tracks, for a resync"},
		&cli.BoolFlag{Name: "persist", Destination: &o.Persistent,
			Usage: "stay when the copy is complete"},
		&cli.BoolFlag{Name: "freeze", Destination: &o.Freeze,
			Usage: "hold the writes to the sources"},
		&cli.BoolFlag{Name: "target-inhibit", Destination: &o.TargetInhibit,
			Usage: "refuse writes to the targets"},
	}
}

// askNewPassword asks for a password twice.
func askNewPassword(ctx context.Context, e *program.Env, user string) (string, error) {
	prompt := "New password of " + strings.TrimSpace(user)
	password, err := e.AskPassword(ctx, prompt+": ")
	if err != nil {
		return "", err
	}
	return password, program.ConfirmSecret(ctx, e.AskPassword, prompt, password)
}
