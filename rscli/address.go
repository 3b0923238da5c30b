package rscli

import (
	"net"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// DefaultPort is the port of a Copy Services server named without one: the
// one on which the consoles of the DS8000 answer over HTTPS.
const DefaultPort = "8452"

// localServer is this machine's server.
const localServer = "127.0.0.1"

// parseAddress reads HOST, HOST:PORT, an IPv6 address or [IPv6]:PORT and
// returns host:port.
func parseAddress(s string) (string, error) {
	host, port := s, DefaultPort
	if bare, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(bare, "]") {
		host = strings.TrimSuffix(bare, "]")
	}
	switch {
	case isIP(host):
	case strings.Contains(s, ":"):
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", badAddress(s)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !isHostName(host) {
		return "", badAddress(s)
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

func badAddress(s string) error {
	return fault.New(fault.Usage, "%q is not the address of a server", s).
		WithHint("use HOST, HOST:PORT or [IPV6]:PORT")
}

// isIP also knows link-local addresses with their zone.
func isIP(s string) bool {
	addr, zone, zoned := strings.Cut(s, "%")
	return net.ParseIP(addr) != nil && (!zoned || zone != "")
}

func isHostName(s string) bool {
	return isIP(s) || s != "" && len(s) < 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("/\\:@?#%[]<>\"'`", r)
	})
}

// isLoopback reports whether addr (host:port) is this machine for certain. A
// name other than localhost is not: it may be resolved to anything.
func isLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
