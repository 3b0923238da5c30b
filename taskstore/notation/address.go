package notation

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// Address is a host, by name or IP address, and a port.
type Address struct {
	// Host is in lower case, an IP address in its shortest form and without
	// brackets. The zone of an IPv6 address, which names an interface, keeps its
	// case.
	Host string
	Port int // 0 where none is given
}

// String returns host:port, with an IPv6 address in brackets, or the host alone
// where there is no port.
func (a Address) String() string {
	if a.Port == 0 {
		return a.Host
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// ParseAddress reads HOST, HOST:PORT, an IPv6 address or [IPv6]:PORT. An IPv6
// address may have a zone: fe80::1%eth0.
func ParseAddress(s string) (Address, error) {
	if host, ok := parseHost(unbracketed(s)); ok {
		return Address{Host: host}, nil
	}
	text, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, badAddress(s)
	}
	// Only an IPv6 address has brackets.
	host, ok := parseHost(text)
	n, portErr := ParseNumber(port, 1, 65535)
	if !ok || portErr != nil || s[0] == '[' && !strings.Contains(host, ":") {
		return Address{}, badAddress(s)
	}
	return Address{host, int(n)}, nil
}

func badAddress(s string) error {
	return fault.New(fault.Usage, "%.300q is not the address of a server", s).
		WithHint("use HOST, HOST:PORT or [IPV6]:PORT")
}

// unbracketed takes the brackets from an IPv6 address without a port.
func unbracketed(s string) string {
	if bare, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(bare, "]") && strings.Contains(bare, ":") {
		return strings.TrimSuffix(bare, "]")
	}
	return s
}

// parseHost returns the one spelling of a host.
func parseHost(s string) (string, bool) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String(), !strings.ContainsFunc(ip.Zone(), unfit)
	}
	name := strings.ToLower(s)
	// The last part of a host name is not all digits (RFC 3696, section 2): what
	// ends like that is meant for an IPv4 address.
	isName := !isDigits(name[strings.LastIndexByte(name, '.')+1:]) && !strings.Contains(name, "..")
	return name, isName && name != "" && !strings.ContainsRune(".-", rune(name[0])) &&
		len(name) < 256 && !strings.ContainsFunc(name, unfit)
}

// SameAddress reports whether two texts mean one address, however they are spelt.
// What is no address is the same as itself only, without case.
func SameAddress(a, b string) bool {
	x, errX := ParseAddress(a)
	y, errY := ParseAddress(b)
	if errX != nil || errY != nil {
		return strings.EqualFold(a, b)
	}
	return x == y
}

// unfit: a character that neither a host name nor the name of an interface
// has.
func unfit(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("/\\:@?#%[]<>\"'`", r)
}

// WithoutZone returns an IP address without its zone, which is known to this
// machine only and no part of what a certificate names; every other host as it
// is.
func WithoutZone(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.WithZone("").String()
	}
	return host
}

// IsLoopback reports whether host is this machine for certain. A name other than
// localhost is not: it may be resolved to anything.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// CheckListen checks an address to listen on, [HOST]:PORT: without a host it is
// every address of the machine, and port 0 picks a free one.
func CheckListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = ParseNumber(port, 0, 65535)
	}
	if _, ok := parseHost(host); err != nil || !ok && host != "" {
		return fault.New(fault.Usage, "%.300q is no address to listen on", s).
			WithHint("an address is HOST:PORT, like 127.0.0.1:8452")
	}
	return nil
}
