package connect

import (
	"fmt"
	"os"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/userfile"
)

// maxServerFile is the largest file with a line for each server, in bytes.
const maxServerFile = 1 << 20

// serverFile is a file in the user's folder, mode 0600, that has one line for each
// server: host:port and what is known of it. A comment stands in a line of its own or
// behind a server.
type serverFile struct {
	path  string // "" where there is no place for it
	holds string // what is in it: "the pinned certificates"
	line  string // what a line is: "a server and its fingerprint"
	hint  string // how to mend a line
	known string // what a line knows: "fingerprint"
	// parse reads what stands behind the server. It returns the one spelling of it.
	parse func(text string) (string, error)
}

// read returns what is known of each server. A missing file is empty.
func (f serverFile) read() (map[string]string, error) {
	file, err := os.Open(f.path)
	if f.path == "" || isAbsent(f.path, err) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read %s: %w", f.holds, err)
	}
	defer file.Close()
	text, err := userfile.Read(file, maxServerFile)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read %s in %s: %w", f.holds, f.path, err)
	}
	return f.parseAll(string(text))
}

// parseAll reads the lines. One that is not understood is an error: passing over it
// could turn a known server into an unknown one.
func (f serverFile) parseAll(text string) (map[string]string, error) {
	all := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		addr, known, _, err := f.parseLine(line)
		if err != nil {
			return nil, fault.New(fault.Usage, "%s: line %d is not %s: %w", f.path, n, f.line, err).
				WithHint("%s", f.hint)
		}
		if before, twice := all[addr]; twice && before != known {
			return nil, fault.New(fault.Usage, "%s: line %d: another %s for %s", f.path, n, f.known, addr).
				WithHint("remove the line that is not true")
		}
		if addr != "" {
			all[addr] = known
		}
	}
	return all, nil
}

// parseLine reads one line; an empty one, or a comment, has no address. A comment
// may also stand behind a server.
func (f serverFile) parseLine(line string) (addr, known, comment string, err error) {
	text := line
	if cut := strings.Index(" "+line, " #"); cut >= 0 {
		text, comment = line[:cut], strings.TrimSpace(line[cut:])
	}
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return "", "", comment, nil
	}
	if addr, err = ParseAddress(fields[0]); err == nil {
		known, err = f.parse(strings.Join(fields[1:], " "))
	}
	return addr, known, comment, err
}

// store changes or adds the line of a server; all others stay.
func (f serverFile) store(addr, known string) error {
	return userfile.Change(f.path, maxServerFile, func(old []byte) ([]byte, error) {
		if _, err := f.parseAll(string(old)); err != nil {
			return nil, err
		}
		var text strings.Builder
		stored := false
		for line := range strings.Lines(endedLine(string(old))) {
			if name, _, comment, _ := f.parseLine(line); name == addr {
				line = strings.TrimSpace(addr+" "+known+" "+comment) + "\n"
				stored = true
			}
			text.WriteString(line)
		}
		if !stored {
			fmt.Fprintln(&text, addr, known)
		}
		return []byte(text.String()), nil
	})
}
