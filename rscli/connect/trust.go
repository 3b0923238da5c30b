package connect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/taskstore/notation"
	"copyservices/taskstore/userfile"
)

// Which server certificates are trusted. With --cacert those that the file
// holds or signs. Without it a certificate is pinned: the known_servers file
// in the user's folder (mode 0600) has one line for each server,
//
//	host:port sha256:64 hex digits
//
// in any spelling that means that, and the connection must show the certificate (its DER
// form) with that hash.
// A server without a line is pinned at once on the loopback address or with
// `trust: first-use`, after a question on a terminal, or by
// `rsTestConnection --trust`; else it is refused.

// probeTimeout bounds the connection that only looks at a certificate.
const probeTimeout = 5 * time.Second

// fingerprint returns how a certificate is written in known_servers.
func fingerprint(cert *x509.Certificate) string { return notation.Fingerprint(cert.Raw) }

// maxCertificates is the largest file of certificates in bytes.
const maxCertificates = 4 << 20

// trust decides about certificates. Its methods may be called from many
// goroutines.
type trust struct {
	env      *program.Env
	file     serverFile // known_servers
	firstUse bool
	cas      []*x509.Certificate // of --cacert; nil: pinning

	mu   sync.Mutex
	pins map[string]string // host:port to fingerprint
}

// newTrust reads the pins or the CA file that l names.
func newTrust(e *program.Env, l Settings) (*trust, error) {
	path := cmp.Or(l.knownServers, joinUnder(userDir(e), "known_servers"))
	t := &trust{env: e, firstUse: l.trust == trustFirstUse, file: pinsIn(path)}
	var err error
	if l.cacert != "" {
		t.cas, err = readCertificates(l.cacert)
	} else {
		t.pins, err = t.file.read()
	}
	return t, err
}

// config returns the TLS configuration for a connection to addr (host:port).
func (t *trust) config(addr string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, // in favour of the check below
		VerifyConnection: func(state tls.ConnectionState) error {
			if t.cas != nil {
				return t.verifySigned(addr, state.PeerCertificates)
			}
			return t.verifyPinned(addr, state.PeerCertificates[0])
		},
	}
}

// verifySigned accepts a chain to a certificate of the file, and one that is
// itself in the file, whatever name it bears.
func (t *trust) verifySigned(addr string, chain []*x509.Certificate) error {
	if slices.ContainsFunc(t.cas, chain[0].Equal) {
		return nil
	}
	host, _, _ := net.SplitHostPort(addr)
	opts := x509.VerifyOptions{
		DNSName: notation.WithoutZone(host), Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
	}
	for _, ca := range t.cas {
		opts.Roots.AddCert(ca)
	}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return fault.New(fault.Connection, "the certificate of %s is not to be trusted: %w", addr, err).
			WithHint("--cacert must name the CA of the server or the server's own certificate")
	}
	return nil
}

// verifyPinned compares a certificate with the pin of addr; without one it
// pins it where that needs no question.
func (t *trust) verifyPinned(addr string, cert *x509.Certificate) error {
	shown := fingerprint(cert)
	pinned, known := t.pin(addr)
	switch {
	case pinned == shown:
		return nil
	case known:
		return fault.New(fault.Connection,
			"%s shows the certificate %s, but %s is pinned: another server may pose as it",
			addr, shown, pinned).
			WithHint("if the server got a new certificate, compare and pin it: rsTestConnection -s %s --trust", addr)
	case t.firstUse || IsLoopback(addr):
		t.add(addr, shown)
		return nil
	}
	return unknownServer(addr, shown)
}

func unknownServer(addr, shown string) error {
	return fault.New(fault.Connection, "%s is unknown; it shows the certificate %s", addr, shown).
		WithHint("if that is the server's, pin it: rsTestConnection -s %s --trust", addr)
}

func (t *trust) pin(addr string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pinned, known := t.pins[addr]
	return pinned, known
}

// known returns the certificate that is pinned for addr, as api.Options wants it.
func (t *trust) known(addr string) (sum [sha256.Size]byte, ok bool) {
	pinned, ok := t.pin(addr)
	if digits, err := hex.DecodeString(strings.TrimPrefix(pinned, "sha256:")); ok && err == nil {
		copy(sum[:], digits)
		return sum, true
	}
	return sum, false
}

// add pins and keeps the pin; where it cannot be kept it holds for this
// process.
func (t *trust) add(addr, print string) {
	if err := t.keep(addr, print); err != nil {
		t.env.Log.Warn("the certificate is trusted this time only", "server", addr, "error", err)
	}
}

// keep pins, here and in the file.
func (t *trust) keep(addr, print string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pins[addr] = print
	if t.file.path == "" {
		return errors.New("the environment names no home folder to keep it in")
	}
	t.env.Log.Info("pinned", "server", addr, "certificate", print, "file", t.file.path)
	return t.file.store(addr, print)
}

// settle asks the user about the first of the servers that answers, if it is
// not pinned. The question has its own connection: a person may take longer
// than a server waits.
func (t *trust) settle(ctx context.Context, servers []string) error {
	if t.cas != nil || t.firstUse || !t.env.IsTerminal(t.env.Stdin) || !t.env.IsTerminal(t.env.Stderr) {
		return nil
	}
	for _, addr := range servers {
		if _, known := t.pin(addr); known || IsLoopback(addr) {
			return nil
		}
		cert, err := probe(ctx, addr)
		if err != nil {
			continue // the request itself will tell why
		}
		return t.ask(ctx, addr, fingerprint(cert))
	}
	return nil
}

// ask pins on a "yes"; any other answer leaves the server unknown.
func (t *trust) ask(ctx context.Context, addr, print string) error {
	yes, err := t.agreed(ctx, addr, print)
	switch {
	case err != nil:
		return err
	case !yes:
		return unknownServer(addr, print)
	}
	t.add(addr, print)
	return nil
}

// agreed shows a fingerprint and asks whether it is the server's.
func (t *trust) agreed(ctx context.Context, addr, print string) (bool, error) {
	state := "is unknown"
	if pinned, known := t.pin(addr); known {
		state = "shows another certificate than the pinned one,\n  " + pinned
	}
	fmt.Fprintf(t.env.Stderr, "%s %s.\nIts certificate has the fingerprint\n  %s\n"+
		"(copyserver logs its own when it starts). Pin it and go on (yes/no)? ", addr, state, print)
	answer, err := t.env.ReadLine(ctx)
	return err == nil && strings.EqualFold(answer, "yes"), err
}

// repin pins what addr shows now, in place of an older pin, and returns it. Who
// sits at a terminal is shown it and asked, unless it is pinned already; for
// everybody else --trust itself is the answer.
func (t *trust) repin(ctx context.Context, addr string) (string, error) {
	if t.cas != nil {
		return "", fault.New(fault.Usage, "with a CA file nothing is pinned").
			WithHint("use either --trust or --cacert")
	}
	cert, err := probe(ctx, addr)
	if err != nil {
		return "", fault.New(fault.Connection, "cannot get the certificate of %s: %w", addr, err)
	}
	print := fingerprint(cert)
	pinned, _ := t.pin(addr)
	if pinned != print && t.env.IsTerminal(t.env.Stdin) && t.env.IsTerminal(t.env.Stderr) {
		yes, err := t.agreed(ctx, addr, print)
		if err != nil {
			return "", err
		}
		if !yes {
			return "", fault.New(fault.Connection, "the certificate of %s is not pinned", addr).
				WithHint("answer yes if the fingerprint is the server's")
		}
	}
	if err := t.keep(addr, print); err != nil {
		return "", fault.New(fault.Failed, "cannot keep the certificate: %w", err)
	}
	return print, nil
}

// probe returns the certificate that addr shows, unverified; nothing is sent
// over that connection.
func probe(ctx context.Context, addr string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	var op *net.OpError
	if errors.As(err, &op) {
		return nil, op.Err // the caller names the address
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// readCertificates returns the certificates of a PEM file, at least one.
func readCertificates(path string) ([]*x509.Certificate, error) {
	rest, err := userfile.ReadFile(path, maxCertificates)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the CA file: %w", err)
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Usage, "the CA file %s is damaged: %w", path, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fault.New(fault.Usage, "the CA file %s holds no certificate in PEM form", path)
	}
	return certs, nil
}

// pinsIn is the file of pins at path.
func pinsIn(path string) serverFile {
	return serverFile{
		path: path, holds: "the pinned certificates", line: "a server and its fingerprint",
		known: "fingerprint", parse: notation.ParseFingerprint,
		hint: fmt.Sprintf("a line is like copyserver.example:%d sha256: and 64 hex digits", DefaultPort),
	}
}
