package copyserver

import (
	"cmp"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore/notation"
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
	memory int64  // set by Validate
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

// Validate returns o made usable. The error is of kind Usage.
func (o Options) Validate() (Options, error) {
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

// minMemory is the least that a server gets on with, in bytes.
const minMemory = 128 << 20

// parseMemory reads the option memory.
func parseMemory(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTiB")
	units := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
	unit, known := units[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !known || err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fault.New(fault.Usage, "%q is no amount of memory", text).
			WithHint("it is like 512MiB or 2GiB")
	}
	if n *= unit; n < minMemory {
		return 0, fault.New(fault.Usage, "%s of memory are too little", text).
			WithHint("the server needs 128MiB at least")
	}
	return n, nil
}
