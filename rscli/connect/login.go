package connect

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/strictyaml"
	"copyservices/taskstore/userfile"
)

// What "esscli login" remembers is in the file logins.yaml of the user's folder,
// mode 0600, one entry for each server. It says what flags, environment and
// configuration files leave open. People may edit it: what it says is compared
// by its meaning, and what is not understood is refused with its line.

// Login is the entry of one server.
type Login struct {
	Server   string `yaml:"server"` // host:port
	Backup   string `yaml:"backup_server,omitempty"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
}

// Logins are the entries of all servers, each once.
type Logins []Login

const loginsHead = "# Written by esscli login, with passwords: for nobody but the owner.\n"

// LoginsFile is where they are kept, "" where the environment names no home.
func LoginsFile(e *program.Env) string { return joinUnder(userDir(e), "logins.yaml") }

// ReadLogins reads the file; a missing one has no entries. One that others may
// read is refused.
func ReadLogins(e *program.Env) (Logins, error) {
	path := LoginsFile(e)
	f, err := os.Open(path)
	if path == "" || isAbsent(path, err) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the stored logins: %w", err)
	}
	defer f.Close()
	if err := refuseShared(e, f, "holds passwords"); err != nil {
		return nil, err
	}
	text, err := userfile.Read(f, maxSmallFile)
	if err != nil {
		err = badLogins("", ": "+err.Error())
	}
	var all Logins
	if err == nil {
		all, _, err = parseLogins(text)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "%s: %w", path, err).
			WithHint("remove it and log in again, or correct it")
	}
	return all, nil
}

// badLogins is what is wrong with a file. It quotes nothing: it could be a
// password.
func badLogins(line, why string) error {
	text := "it is not as esscli login writes it"
	if line != "" {
		text = "line " + line + " is not as esscli login writes it"
	}
	return errors.New(text + why)
}

// span is where an entry stands in a text: from a line up to another, counted
// from 0.
type span struct{ first, end int }

// parseLogins returns the entries of a file, with the lines of each.
func parseLogins(text []byte) (Logins, []span, error) {
	top, err := strictyaml.Parse(text)
	var syntax strictyaml.SyntaxError
	switch {
	case errors.Is(err, strictyaml.ErrEmpty), err == nil && top.Tag == "!!null":
		return nil, nil, nil
	case errors.As(err, &syntax):
		return nil, nil, badLogins(strconv.Itoa(syntax.Line), "")
	case err != nil:
		return nil, nil, badLogins("", ": "+err.Error())
	case top.Kind != yaml.SequenceNode:
		return nil, nil, badLogins("", "")
	}
	var all Logins
	var spans []span
	for _, item := range top.Content {
		l, err := parseLogin(item)
		if err == nil && all.Index(l.Server) >= 0 {
			err = badLogins(strconv.Itoa(item.Line), ": the server for the second time")
		}
		if err != nil {
			return nil, nil, err
		}
		all = append(all, l)
		spans = append(spans, span{item.Line - 1, lastLine(item)})
	}
	return all, spans, nil
}

func parseLogin(item *yaml.Node) (Login, error) {
	var l Login
	fields := map[string]*string{
		"server": &l.Server, "backup_server": &l.Backup, "user": &l.User, "password": &l.Password,
	}
	bad := func(n *yaml.Node, why string) (Login, error) {
		return Login{}, badLogins(strconv.Itoa(n.Line), why)
	}
	if item.Kind != yaml.MappingNode {
		return bad(item, "")
	}
	for i := 0; i < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		field := fields[key.Value]
		if field == nil || *field != "" || value.Kind != yaml.ScalarNode || value.Decode(field) != nil {
			return bad(key, "")
		}
		if field != &l.Server && field != &l.Backup {
			continue
		}
		var err error
		if *field, err = ParseAddress(*field); err != nil {
			return bad(key, ": it has no address")
		}
	}
	if l.Server == "" || l.User == "" || l.Password == "" {
		return bad(item, "")
	}
	return l, nil
}

// lastLine is the last line of what n holds, counted from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, inner := range n.Content {
		last = max(last, lastLine(inner))
	}
	return last
}

// ChangeLogins changes the entry of a server, under the lock of the file. The
// entry becomes what change makes of it; one without a server is taken away.
func ChangeLogins(e *program.Env, server string, change func(Login) Login) error {
	path := LoginsFile(e)
	if path == "" {
		return errors.New("the environment names no home folder to keep it in")
	}
	return userfile.Change(path, maxSmallFile, func(old []byte) ([]byte, error) {
		return editLogins(old, server, change)
	})
}

// editLogins changes the lines of one entry and leaves all others as they are.
// Where entries share lines that cannot be, and the file is written anew.
func editLogins(text []byte, server string, change func(Login) Login) ([]byte, error) {
	all, spans, err := parseLogins(text)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(endedLine(string(text)), "\n")
	at, where := all.Index(server), span{len(lines) - 1, len(lines) - 1}
	entry := Login{}
	if at >= 0 {
		entry, where = all[at], spans[at]
	}
	entry = change(entry)
	var entries Logins
	switch {
	case entry.Server == "" && at < 0: // somebody else took it away
		return text, nil
	case entry.Server == "":
		all = slices.Delete(all, at, at+1)
	case at >= 0:
		all[at], entries = entry, Logins{entry}
	default:
		all, entries = append(all, entry), Logins{entry}
	}
	head := ""
	if len(text) == 0 {
		head = loginsHead
	}
	edited := strings.Join(lines[:where.first], "") + head + entries.text() + strings.Join(lines[where.end:], "")
	if again, _, err := parseLogins([]byte(edited)); err != nil || !slices.Equal(again, all) {
		edited = loginsHead + all.text()
	}
	if len(all) == 0 && strings.TrimSpace(strings.TrimPrefix(edited, loginsHead)) == "" {
		return nil, nil
	}
	return []byte(edited), nil
}

// endedLine ends a last line that is not, so that another can follow.
func endedLine(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		return text + "\n"
	}
	return text
}

func (all Logins) text() string {
	if len(all) == 0 {
		return ""
	}
	text, _ := yaml.Marshal(all) // of strings only: does not fail
	return string(text)
}

// Index returns where the entry of a server is, -1 where there is none.
func (all Logins) Index(server string) int {
	addr, err := ParseAddress(server)
	if err != nil {
		return -1 // whoever connects will say so
	}
	return slices.IndexFunc(all, func(l Login) bool { return l.Server == addr })
}

// Servers lists the servers that have an entry.
func (all Logins) Servers() string {
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.Server
	}
	return strings.Join(names, ", ")
}

// nameServer fills in the server where l leaves it open: that of the only entry,
// or else local.
func (all Logins) nameServer(l *Settings, local string) {
	switch {
	case l.Server != "":
	case len(all) == 1:
		l.Server = all[0].Server
		l.Backup = cmp.Or(l.Backup, all[0].Backup)
	default:
		l.Server, l.Assumed = local, true
	}
}

// nameUser fills in the user and the password for the server of l. A password is
// never used for another user.
func (all Logins) nameUser(l *Settings) {
	i := all.Index(l.Server)
	if i < 0 || l.User != "" && taskstore.Key(l.User) != taskstore.Key(all[i].User) {
		return
	}
	l.User = all[i].User
	if !l.HasPassword() {
		l.Password, l.fromLogin = all[i].Password, true
	}
}

// HasPassword reports whether there is a password or a way to get one without asking.
func (l *Settings) HasPassword() bool {
	return l.Password != "" || l.PasswordFile != "" || l.passwordCommand != ""
}
