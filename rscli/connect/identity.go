package connect

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
	"copyservices/taskstore/userfile"
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
	file string // "" where there is no place for it

	mu  sync.Mutex
	ids map[string]string // by host:port
}

// readIdentities reads the file; a missing one is empty.
func readIdentities(e *program.Env) (*identities, error) {
	i := &identities{env: e, file: joinUnder(userDir(e), "server_ids"), ids: map[string]string{}}
	f, err := os.Open(i.file)
	if i.file == "" || isAbsent(i.file, err) {
		return i, nil
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the ids of servers: %w", err)
	}
	defer f.Close()
	text, err := userfile.Read(f, maxPins)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the ids of servers in %s: %w", i.file, err)
	}
	i.ids, err = parseIdentities(i.file, string(text))
	return i, err
}

// parseIdentities refuses what it does not understand: passing over it could make
// any server B pass for A.
func parseIdentities(path, text string) (map[string]string, error) {
	ids := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		addr, err := ParseAddress(fields[0])
		if err == nil && len(fields) != 2 {
			err = errors.New("there is one id for a server")
		}
		if err != nil {
			return nil, fault.New(fault.Usage, "%s: line %d is not a server and its id: %w", path, n, err).
				WithHint("remove the line, or the file: it is written again")
		}
		ids[addr] = fields[1]
	}
	return ids, nil
}

// known returns the id that a server told last, empty where it told none.
func (i *identities) known(addr string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ids[addr]
}

// met keeps the id of a server; where it cannot be kept it holds for this process.
func (i *identities) met(addr, id string) {
	id = result.OneLine(strings.Join(strings.Fields(id), "-"))
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ids[addr] == id {
		return
	}
	i.ids[addr] = id
	err := errors.New("the environment names no home folder to keep it in")
	if i.file != "" {
		err = storeIdentity(i.file, addr, id)
	}
	if err != nil {
		i.env.Log.Warn("the server's id is known this time only", "server", addr, "error", err)
	}
}

// storeIdentity changes or adds the line of a server; all others stay.
func storeIdentity(path, addr, id string) error {
	return userfile.Change(path, maxPins, func(old []byte) ([]byte, error) {
		if _, err := parseIdentities(path, string(old)); err != nil {
			return nil, err
		}
		var text strings.Builder
		for line := range strings.Lines(endedLine(string(old))) {
			fields := strings.Fields(line)
			if len(fields) == 2 && fields[0][0] != '#' {
				if name, _ := ParseAddress(fields[0]); name == addr {
					continue
				}
			}
			text.WriteString(line)
		}
		fmt.Fprintln(&text, addr, id)
		return []byte(text.String()), nil
	})
}
