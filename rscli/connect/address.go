package connect

import (
	"cmp"

	"copyservices/taskstore/notation"
)

// DefaultPort is the port of a Copy Services server named without one: the
// one on which the consoles of the DS8000 answer over HTTPS.
const DefaultPort = 8452

// ParseAddress reads HOST, HOST:PORT, an IPv6 address or [IPv6]:PORT and
// returns the one spelling of host:port.
func ParseAddress(s string) (string, error) {
	a, err := notation.ParseAddress(s)
	a.Port = cmp.Or(a.Port, DefaultPort)
	return a.String(), err
}

// IsLoopback reports whether addr (host:port) is this machine for certain.
func IsLoopback(addr string) bool {
	a, err := notation.ParseAddress(addr)
	return err == nil && notation.IsLoopback(a.Host)
}
