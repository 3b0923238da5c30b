package copyserver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore/notation"
	"copyservices/taskstore/strictyaml"
	"copyservices/taskstore/userfile"
)

// Options of a server.
type Options struct {
	// State is the state folder. It must be given.
	State string `yaml:"state"`
	// Listen is the HTTPS address, HOST:PORT; port 0 picks a free one.
	Listen string `yaml:"listen"`
	// NBDListen is the address on which volumes are exported; NoNBD for none.
	NBDListen string `yaml:"nbd-listen"`
	// NBDInsecure allows NBD on an address other than loopback without client
	// certificates.
	NBDInsecure bool `yaml:"nbd-insecure"`
	// NBDTLS lets only hosts in that show a credential of this server, and
	// shows each the volumes that are assigned to it. The server's own
	// certificate is then of the same authority.
	NBDTLS bool `yaml:"nbd-tls"`
	// NBDTLSCert and NBDTLSKey are PEM files of the certificate that NBD
	// shows; empty with NBDTLSClientCA: the one of HTTPS.
	NBDTLSCert string `yaml:"nbd-tls-cert"`
	NBDTLSKey  string `yaml:"nbd-tls-key"`
	// NBDTLSClientCA is a PEM file with the authorities of the certificates
	// that NBD clients must show; empty: they need none.
	NBDTLSClientCA string `yaml:"nbd-tls-client-ca"`
	// ArraySerial is the serial of the embedded array when it is created;
	// empty: random. An array that exists must have it.
	ArraySerial string `yaml:"array-serial"`
	// ReadyFile is written when the server accepts connections and removed
	// when it stops; empty for none.
	ReadyFile string `yaml:"ready-file"`
	// Memory is how much the server may use, in bytes or like 512MiB.
	Memory string `yaml:"memory"`
	memory int64  // set by validate
	// LogFormat is text or json, LogLevel debug, info, warn or error. They
	// are for Main, which makes Logger of them.
	LogFormat string `yaml:"log-format"`
	LogLevel  string `yaml:"log-level"`
	// Logger may be nil.
	Logger *slog.Logger `yaml:"-"`
}

// NoNBD as Options.NBDListen turns the NBD export off.
const NoNBD = "none"

// DefaultOptions returns the options of a server without any configuration.
func DefaultOptions() Options {
	return Options{
		Listen: "127.0.0.1:8452", NBDListen: "127.0.0.1:10809",
		Memory: "512MiB", LogFormat: "text", LogLevel: "info",
	}
}

// maxConfig is the largest configuration file in bytes.
const maxConfig = 1 << 20

// readConfig sets in o what the YAML file at path sets. Its keys are the
// names of the flags; an unknown one is an error.
func (o *Options) readConfig(path string) error {
	data, err := userfile.ReadFile(path, maxConfig)
	if err != nil {
		return fault.New(fault.Usage, "cannot read the configuration: %w", err)
	}
	if err := noEmptyValues(data); err != nil {
		return fault.New(fault.Usage, "configuration %s: %w", path, err).
			WithHint("give it a value, or leave it out")
	}
	if err := strictyaml.Decode(data, o); err != nil && !errors.Is(err, strictyaml.ErrEmpty) {
		return fault.New(fault.Usage, "configuration %s: %s", path, configReason(err)).
			WithHint("its keys are the names of the flags, see copyserver --help")
	}
	return nil
}

// noEmptyValues refuses a key with an empty value in quotes, which may come from a
// variable that was not set. It leaves every other complaint to the decoder.
func noEmptyValues(data []byte) error {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	keys := doc.Content[0].Content
	for i := 0; i+1 < len(keys); i += 2 {
		if value := keys[i+1]; value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value == "" {
			return fmt.Errorf("line %d: the value of %s is empty", value.Line, keys[i].Value)
		}
	}
	return nil
}

// unknownKey and wrongType are how the library puts it: in words of Go.
var (
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType  = regexp.MustCompile("cannot unmarshal \\S+(?: `(.*)`)? into (\\S+)")
)

// configReason says in the words of the file what is wrong with it.
func configReason(err error) string {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		// Of an error in the first line the library leaves the line out.
		text := strings.Replace(err.Error(), "yaml: line ", "line ", 1)
		return strings.Replace(text, "yaml: ", "line 1: ", 1)
	}
	text := typed.Errors[0]
	text = unknownKey.ReplaceAllString(text, `there is no key "$1"`)
	if m := wrongType.FindStringSubmatch(text); m != nil {
		what := "it"
		if m[1] != "" {
			what = "'" + m[1] + "'"
		}
		want := map[string]string{"bool": "true or false", "string": "plain text"}[m[2]]
		text = wrongType.ReplaceAllLiteralString(text,
			what+" is not "+cmp.Or(want, "a mapping of keys to values"))
	}
	return text
}

// validate returns o made usable. The error is of kind Usage.
func (o Options) validate() (Options, error) {
	if o.State == "" {
		return o, fault.New(fault.Usage, "no state folder is given").WithHint("give one with --state")
	}
	abs, err := filepath.Abs(o.State)
	if err != nil {
		return o, fault.New(fault.Usage, "state folder %q: %w", o.State, err)
	}
	o.State = abs
	o.ArraySerial = strings.ToUpper(o.ArraySerial)
	if o.ArraySerial != "" && !arrayclient.ValidArraySerial(o.ArraySerial) {
		return o, fault.New(fault.Usage, "%q is not the serial of an array", o.ArraySerial).
			WithHint("it is five letters or digits, like 13698")
	}
	if (o.NBDTLSCert == "") != (o.NBDTLSKey == "") {
		return o, fault.New(fault.Usage, "a certificate for NBD needs its key, and the key its certificate").
			WithHint("give both --nbd-tls-cert and --nbd-tls-key")
	}
	if o.NBDTLS && (o.NBDTLSCert != "" || o.NBDTLSClientCA != "" || o.NBDInsecure) {
		return o, fault.New(fault.Usage, "hosts have credentials of this server for NBD, or of another").
			WithHint("give either --nbd-tls or the other options of NBD's security")
	}
	if o.memory, err = parseMemory(o.Memory); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, cmp.Or(notation.CheckListen(o.Listen), checkNBDAddress(o.NBDListen))
}

func checkNBDAddress(s string) error {
	if s == NoNBD {
		return nil
	}
	return notation.CheckListen(s)
}

// logger returns what LogFormat and LogLevel ask for, writing to w. It is for
// Main alone: a program that embeds the server has its own.
func (o Options) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, fault.New(fault.Usage, "%q is no log level", o.LogLevel).
			WithHint("the levels are debug, info, warn and error")
	}
	opts := &slog.HandlerOptions{Level: level}
	switch o.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fault.New(fault.Usage, "%q is no log format", o.LogFormat).
		WithHint("the formats are text and json")
}
