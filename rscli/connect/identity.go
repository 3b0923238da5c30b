package connect

import (
	"cmp"
	"errors"
	"strings"
	"sync"
	"unicode"

	"copyservices/rscli/program"
	"copyservices/taskstore/result"
)

// With a CA file nothing is pinned, and the certificate of a server may be another
// tomorrow. Whether server B is server A shows in their ids, then. The file
// server_ids in the user's folder has the id that each server told last, in lines
//
//	host:port id
//
// so that B can be told from another server also when A is away from the start. It
// is written for commands that know a server B.

// identities are the ids of servers. The methods may be called from many
// goroutines.
type identities struct {
	env  *program.Env
	file serverFile

	mu  sync.Mutex
	ids map[string]string // by host:port
}

// readIdentities reads the file; a missing one is empty.
func readIdentities(e *program.Env) (*identities, error) {
	i := &identities{env: e, file: serverFile{
		path: joinUnder(userDir(e), "server_ids"), holds: "the ids of servers",
		line: "a server and its id", known: "id", parse: parseID,
		hint: "remove the line, or the file: it is written again",
	}}
	var err error
	i.ids, err = i.file.read()
	return i, err
}

func parseID(text string) (string, error) {
	if len(strings.Fields(text)) != 1 {
		return "", errors.New("there is one id for a server")
	}
	return text, nil
}

// known returns the id that a server told last, empty where it told none.
func (i *identities) known(addr string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ids[addr]
}

// splitsID tells what no id in the file has: it would end there.
func splitsID(r rune) bool { return unicode.IsSpace(r) || r == '#' }

// met keeps the id of a server; where it cannot be kept it holds for this process.
func (i *identities) met(addr, id string) {
	id = cmp.Or(result.OneLine(strings.Join(strings.FieldsFunc(id, splitsID), "-")), "-")
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ids[addr] == id {
		return
	}
	i.ids[addr] = id
	err := errors.New("the environment names no home folder to keep it in")
	if i.file.path != "" {
		err = i.file.store(addr, id)
	}
	if err != nil {
		i.env.Log.Warn("the server's id is known this time only", "server", addr, "error", err)
	}
}
