package shell

import (
	"context"
	"io"

	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// SetDeviceMain is setdevice.
func SetDeviceMain() int { return program.Main(NewSetDevice) }

// NewSetDevice builds setdevice.
func NewSetDevice(*program.Env) *program.Command {
	examples := []string{
		"setdevice addess 10.0.0.5 user password",
		"setdevice < commands.txt",
	}
	return (&setTool{}).command("setdevice",
		"Register storage arrays and Copy Services servers", examples, deviceVerbs())
}

// The words for an entry in the messages. "successfully added" after the
// first two is to the letter what the original tool says.
var entryWords = map[api.EntryKind]string{
	taskstore.EntryESS:       "A provider entry",
	taskstore.EntryESSServer: "An essserver entry",
}

// deviceVerbs are documented by the first of their spellings; the white paper
// has "server" with one s and with two.
func deviceVerbs() []verb {
	const ess, server = taskstore.EntryESS, taskstore.EntryESSServer
	return []verb{
		{name: "addess", synopsis: "IP USER PASS", summary: "register an array",
			least: 3, most: 3, secret: 3, run: addEntry(ess)},
		{name: "addessserver", alias: "addesserver", synopsis: "IP USER PASS [ALTIP]",
			summary: "register a Copy Services server", least: 3, most: 4, secret: 3,
			run: addEntry(server)},
		{name: "chess", synopsis: "IP USER PASS", summary: "change an array's entry",
			least: 3, most: 3, secret: 3, run: changeEntry(ess)},
		{name: "chessserver", alias: "chesserver", synopsis: "IP USER PASS [ALTIP]",
			summary: "change a server's entry", least: 3, most: 4, secret: 3,
			run: changeEntry(server)},
		{name: "rmess", synopsis: "IP", summary: "remove an array's entry",
			least: 1, most: 1, run: removeEntry(ess)},
		{name: "rmessserver", alias: "rmesserver", synopsis: "IP",
			summary: "remove a server's entry", least: 1, most: 1, run: removeEntry(server)},
		{name: "lsess", summary: "list the registered arrays", run: listEntries(ess)},
		{name: "lsessserver", alias: "lsesserver", summary: "list the registered servers",
			run: listEntries(server)},
	}
}

// entryOf makes an entry of the arguments IP USER PASS [ALTIP].
func entryOf(kind api.EntryKind, args []string) api.Entry {
	e := api.Entry{Kind: kind, Address: args[0], User: args[1], Password: args[2]}
	if len(args) > 3 {
		e.Alternate = args[3]
	}
	return e
}

type verbRun = func(ctx context.Context, s *connect.Session, args []string) (reply, error)

func addEntry(kind api.EntryKind) verbRun {
	return func(ctx context.Context, s *connect.Session, args []string) (reply, error) {
		_, err := s.CreateEntry(ctx, entryOf(kind, args))
		r := told("%s for IP %s successfully added", entryWords[kind], args[0])
		r.warning = args[0] + " is kept, no driver reaches it: tasks run on the server's own array only"
		return r, err
	}
}

// changeEntry leaves the alternate address as it is where none is given: an
// empty field means that to the server.
func changeEntry(kind api.EntryKind) verbRun {
	return func(ctx context.Context, s *connect.Session, args []string) (reply, error) {
		_, err := s.ChangeEntry(ctx, entryOf(kind, args))
		return told("%s for IP %s successfully changed", entryWords[kind], args[0]), err
	}
}

func removeEntry(kind api.EntryKind) verbRun {
	return func(ctx context.Context, s *connect.Session, args []string) (reply, error) {
		err := s.DeleteEntry(ctx, kind, args[0])
		return told("%s for IP %s successfully removed", entryWords[kind], args[0]), err
	}
}

func listEntries(kind api.EntryKind) verbRun {
	return func(ctx context.Context, s *connect.Session, _ []string) (reply, error) {
		entries, err := s.Entries(ctx, kind)
		doc := struct {
			Entries []api.Entry `json:"entries"`
		}{append([]api.Entry{}, entries...)}
		return reply{doc: doc, text: func(w io.Writer) { writeEntries(w, kind, entries) }}, err
	}
}

func writeEntries(w io.Writer, kind api.EntryKind, entries []api.Entry) {
	header := []string{"ip", "user", "added"}
	if kind == taskstore.EntryESSServer {
		header = append(header, "alternate-ip")
	}
	rows := make([][]string, len(entries))
	for i, e := range entries {
		rows[i] = []string{e.Address, e.User, program.FormatTime(e.Added)}
		if kind == taskstore.EntryESSServer {
			rows[i] = append(rows[i], e.Alternate)
		}
	}
	program.WriteTable(w, header, rows)
}
