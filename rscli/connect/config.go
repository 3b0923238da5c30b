package connect

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/hostdisk"
	"copyservices/rscli/program"
	"copyservices/taskstore/strictyaml"
	"copyservices/taskstore/userfile"
)

// A configuration file is one YAML mapping of the keys below to plain values, for
// models also a list of them; anything else in it is refused. So is an empty
// value in quotes: it would not take back what another file says, and may come
// from a variable that was not set. A key without a value says nothing, as does
// a variable of the environment that is set and empty. Where the files are:
//
//	user    $RSCLI_CONFIG, which must then exist, else
//	        $XDG_CONFIG_HOME/rscli/config.yaml, else ~/.config/rscli/config.yaml
//	        on Windows %APPDATA%\rscli\config.yaml
//	system  /etc/rscli.yaml
//	        on Windows %ProgramData%\rscli\config.yaml
//
// Relative file names in it count from its own folder; "~/" is the home, on
// Windows %USERPROFILE%, where it may be "~\" as well. On Windows every user may
// read what is in %ProgramData%, so the system's file must hold no password there.

// Settings is what one source of settings says: the flags, the environment or a
// configuration file. Empty fields say nothing.
type Settings struct {
	Server, Backup                          string
	User                                    string
	Password, PasswordFile, passwordCommand string
	cacert                                  string
	trust                                   string // trustFirstUse or trustAsk
	knownServers                            string // file of pinned certificates
	models                                  string // machine types, parted by commas
	origin                                  string // the file's name
	fromLogin                               bool   // the password is a stored login's
	Assumed                                 bool   // nothing names a server: this machine's
}

// Values of the key trust.
const (
	trustFirstUse = "first-use" // pin what an unknown server presents
	trustAsk      = "ask"       // ask on a terminal, else refuse
)

// fields returns where the value of each configuration key goes.
func (l *Settings) fields() map[string]*string {
	return map[string]*string{
		"server": &l.Server, "backup_server": &l.Backup, "user": &l.User,
		"password": &l.Password, "password_file": &l.PasswordFile,
		"password_command": &l.passwordCommand, "cacert": &l.cacert,
		"trust": &l.trust, "known_servers": &l.knownServers, "models": &l.models,
	}
}

// Settings are what all sources say together: for each key the first source
// that has it wins. The three ways to give a password are one key. Stored logins
// come after them, and the server on this machine last.
func (c *Flags) Settings(e *program.Env) (Settings, error) {
	sources := []Settings{
		{Server: c.Server, Backup: c.Backup, User: c.User, Password: c.Password,
			PasswordFile: c.PasswordFile, passwordCommand: c.PasswordCommand, cacert: c.Cacert},
		{Server: e.Getenv("RSCLI_SERVER"), Backup: e.Getenv("RSCLI_BACKUP_SERVER"),
			User: e.Getenv("RSCLI_USER"), PasswordFile: e.Getenv("RSCLI_PASSWORD_FILE"),
			cacert: e.Getenv("RSCLI_CACERT"), models: e.Getenv("RSCLI_MODELS")},
	}
	for _, file := range configFiles(e) {
		l, err := readConfig(e, file)
		if err != nil {
			return Settings{}, err
		}
		sources = append(sources, l)
	}
	var all Settings
	for _, l := range sources {
		all.fill(l)
	}
	stored, err := ReadLogins(e)
	if err != nil {
		return Settings{}, err
	}
	stored.nameServer(&all, e.LocalServer)
	if !c.IgnorePasswords {
		stored.nameUser(&all)
	}
	if c.Defaults != nil {
		c.Defaults(&all)
	}
	return all, nil
}

// fill takes from l what is still empty.
func (l *Settings) fill(from Settings) {
	if !l.HasPassword() {
		l.Password, l.PasswordFile, l.passwordCommand =
			from.Password, from.PasswordFile, from.passwordCommand
	}
	// A backup counts with the server of its own source or a later one only: a
	// test server named on the command line must not fall back on the
	// installation that the configuration describes.
	if l.Server == "" {
		l.Server = from.Server
		l.Backup = cmp.Or(l.Backup, from.Backup)
	}
	l.User = cmp.Or(l.User, from.User)
	l.cacert = cmp.Or(l.cacert, from.cacert)
	l.trust = cmp.Or(l.trust, from.trust)
	l.knownServers = cmp.Or(l.knownServers, from.knownServers)
	l.models = cmp.Or(l.models, from.models)
}

// configFile is a place where a configuration may be.
type configFile struct {
	path   string
	must   bool // a missing file is an error
	system bool
}

func configFiles(e *program.Env) []configFile {
	var files []configFile
	if named := e.Getenv("RSCLI_CONFIG"); named != "" {
		files = append(files, configFile{path: named, must: true})
	} else if dir := userDir(e); dir != "" {
		files = append(files, configFile{path: filepath.Join(dir, "config.yaml")})
	}
	if system := systemConfig(e); system != "" {
		files = append(files, configFile{path: system, system: true})
	}
	return files
}

// isAbsent reports whether err, of opening path, means that there is no such
// file. A folder that may not be entered, as another user's home after su,
// has none; a file in it that may not be read is there.
func isAbsent(path string, err error) bool {
	if errors.Is(err, fs.ErrPermission) {
		_, err = os.Stat(path)
		return errors.Is(err, fs.ErrPermission)
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// readConfig reads one file; a missing one says nothing, unless it must be
// there. One with a password that others may read is refused.
func readConfig(e *program.Env, file configFile) (Settings, error) {
	return readLayer(e, file, func(l Settings, f *os.File) error {
		switch {
		case l.Password == "":
			return nil
		case file.system && e.GOOS == "windows":
			return fault.New(fault.Usage, "%s holds a password and every user may read it", file.path).
				WithHint("use password_file and a file that only the right account may read")
		}
		return refuseShared(e, f, "holds a password")
	})
}

// readLayer is readConfig with a check of the open file, after it was read. Beside
// an error of a single key it returns what the others say.
func readLayer(e *program.Env, file configFile, check func(Settings, *os.File) error) (Settings, error) {
	f, err := os.Open(file.path)
	if !file.must && isAbsent(file.path, err) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, fault.New(fault.Usage, "cannot read the configuration: %w", err)
	}
	defer f.Close()
	text, err := userfile.Read(f, maxSmallFile)
	if err != nil {
		return Settings{}, fault.New(fault.Usage, "cannot read the configuration %s: %w", file.path, err)
	}
	l := Settings{origin: file.path}
	if err := l.parse(text); err != nil {
		return l, err
	}
	if err := check(l, f); err != nil {
		return Settings{}, err
	}
	l.anchorPaths(e)
	return l, nil
}

// parse reads the text of a configuration file into l.
func (l *Settings) parse(text []byte) error {
	top, err := strictyaml.Parse(text)
	switch {
	case errors.Is(err, strictyaml.ErrEmpty): // or comments only
		return nil
	case err != nil:
		return fault.New(fault.Usage, "%s: %w", l.origin, err)
	}
	return l.parseMapping(top)
}

func (l *Settings) parseMapping(m *yaml.Node) error {
	if m.Kind == yaml.ScalarNode && m.Tag == "!!null" {
		return nil
	}
	if m.Kind != yaml.MappingNode {
		return l.badLine(m, "not a mapping of keys to values")
	}
	var first error
	fields, seen := l.fields(), map[string]bool{}
	for i := 0; i < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		err := l.parseKey(key, value, fields[key.Value], seen[key.Value])
		if first == nil {
			first = err
		}
		seen[key.Value] = true
	}
	return first
}

// parseKey takes the value of one key into field, which is nil for a key that
// there is not.
func (l *Settings) parseKey(key, value *yaml.Node, field *string, seen bool) error {
	switch {
	case field == nil:
		return l.badLine(key, "unknown key %q", key.Value)
	case seen:
		return l.badLine(key, "the key %q for the second time", key.Value)
	case field == &l.models && value.Kind == yaml.SequenceNode:
		l.models = joinScalars(value)
	case value.Kind != yaml.ScalarNode:
		return l.badLine(value, "the value of %s is not plain text", key.Value)
	case value.Tag == "!!null": // as if the key were not there
	case value.Value == "":
		return l.badLine(value, "the value of %s is empty", key.Value)
	default:
		*field = value.Value
	}
	if field == &l.trust && l.trust != trustFirstUse && l.trust != trustAsk {
		return l.badLine(value, "trust is neither %q nor %q", trustFirstUse, trustAsk)
	}
	if _, err := hostdisk.ParseModels(l.models); err != nil && field == &l.models {
		return l.badLine(value, "%v", err)
	}
	return nil
}

func (l *Settings) badLine(n *yaml.Node, format string, args ...any) error {
	args = append([]any{l.origin, n.Line}, args...)
	return fault.New(fault.Usage, "%s: line %d: "+format, args...).
		WithHint("rscli-config(5) lists the keys")
}

// anchorPaths makes the file names of a configuration file independent of the
// current folder.
func (l *Settings) anchorPaths(e *program.Env) {
	for _, path := range []*string{&l.PasswordFile, &l.cacert, &l.knownServers} {
		rest, inHome := strings.CutPrefix(*path, "~/")
		if e.GOOS == "windows" && !inHome {
			rest, inHome = strings.CutPrefix(*path, `~\`)
		}
		switch home := home(e); {
		case inHome && home != "":
			*path = filepath.Join(home, rest)
		case *path != "" && !filepath.IsAbs(*path):
			*path = filepath.Join(filepath.Dir(l.origin), *path)
		}
	}
}
