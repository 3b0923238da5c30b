package copyserver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copyservices/copyserver/state"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
)

// Options of the NBD handshake, and the replies to them.
const (
	nbdList, nbdStartTLS, nbdGo      = 3, 5, 7
	nbdAck, nbdServer, nbdInfo       = 1, 2, 3
	nbdRequired, nbdUnknown     uint = 1<<31 | 5, 1<<31 | 6
)

// nbdHost is a client of the NBD export in its handshake.
type nbdHost struct {
	net.Conn
	err error // the first
}

func (w *world) host() *nbdHost {
	w.Helper()
	conn, err := net.Dial("tcp", w.NBDAddr())
	must(w.T, err)
	w.Cleanup(func() { conn.Close() })
	must(w.T, conn.SetDeadline(time.Now().Add(20*time.Second)))
	h := &nbdHost{Conn: conn}
	h.get(18)
	h.put([]byte{0, 0, 0, 3})
	return h
}

func (h *nbdHost) get(n uint32) []byte {
	p := make([]byte, n)
	if h.err == nil {
		_, h.err = io.ReadFull(h.Conn, p)
	}
	return p
}

func (h *nbdHost) put(p []byte) {
	if h.err == nil {
		_, h.err = h.Write(p)
	}
}

// option sends an option and returns the kind of the last reply to it and what
// the others held; 0 for a connection that broke.
func (h *nbdHost) option(code uint32, data []byte) (last uint, all []string) {
	p := binary.BigEndian.AppendUint32([]byte("IHAVEOPT"), code)
	p = binary.BigEndian.AppendUint32(p, uint32(len(data)))
	h.put(append(p, data...))
	for h.err == nil {
		head := h.get(20)
		last = uint(binary.BigEndian.Uint32(head[12:]))
		body := h.get(binary.BigEndian.Uint32(head[16:]))
		if last != nbdServer && last != nbdInfo {
			break
		}
		all = append(all, string(body))
	}
	if h.err != nil {
		return 0, nil
	}
	return last, all
}

// list returns the names of the exports that the host sees.
func (h *nbdHost) list(t *testing.T) []string {
	t.Helper()
	last, all := h.option(nbdList, nil)
	if last != nbdAck {
		t.Fatalf("the list ended with %#x, %v", last, h.err)
	}
	for i, entry := range all {
		all[i] = entry[4:12]
	}
	return all
}

// attach asks for an export and returns the kind of the last reply, and the
// transmission flags.
func (h *nbdHost) attach(serial string) (last uint, flags uint16) {
	data := binary.BigEndian.AppendUint32(nil, uint32(len(serial)))
	last, all := h.option(nbdGo, append(append(data, serial...), 0, 0))
	if last == nbdAck && len(all) == 1 {
		flags = binary.BigEndian.Uint16([]byte(all[0][10:]))
	}
	return last, flags
}

// gone reports whether the server has ended the connection.
func (h *nbdHost) gone() bool {
	_, err := io.Copy(io.Discard, h.Conn)
	e, ok := err.(net.Error)
	return !ok || !e.Timeout()
}

// issued is a host's certificate with its key.
type issued struct {
	api.CredentialIssued
	pair tls.Certificate
	key  []byte // PEM
}

func (w *world) credential(host string) issued {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w.T, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(w.T, err)
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	var out issued
	w.do("POST", "/v1/credentials", api.CredentialRequest{Host: host, Request: string(request)},
		201, &out.CredentialIssued)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(w.T, err)
	out.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	out.pair, err = tls.X509KeyPair([]byte(out.Certificate), out.key)
	must(w.T, err)
	return out
}

// hostAs starts TLS with a credential. The server's certificate is verified.
func (w *world) hostAs(c issued) *nbdHost {
	w.Helper()
	h := w.host()
	if last, _ := h.option(nbdStartTLS, nil); last != nbdAck {
		w.Fatalf("STARTTLS: %#x, %v", last, h.err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(c.Authority)) {
		w.Fatal("no authority")
	}
	h.Conn = tls.Client(h.Conn, &tls.Config{
		RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{c.pair},
	})
	return h
}

func startTLS(t *testing.T, dir string) *world {
	t.Helper()
	return startOptions(t, testSeams, dir, func(o *Options) { o.NBDTLS = true })
}

func (w *world) assign(serial string, hosts ...api.HostAccess) {
	w.Helper()
	hosts = append([]api.HostAccess{}, hosts...) // never null, which is no change
	w.do("PATCH", "/v1/volumes/"+serial, api.VolumeChange{Assigned: &hosts}, 200, nil)
}

func TestHostsSeeWhatIsAssigned(t *testing.T) {
	dir := t.TempDir()
	w := startTLS(t, dir)
	v := w.volumes(3)
	a, b := w.credential("alpha"), w.credential("Beta")
	w.assign(v[0], api.HostAccess{Host: "alpha"}, api.HostAccess{Host: "BETA", ReadOnly: true})
	w.assign(v[1], api.HostAccess{Host: "beta"})
	see := func(c issued, want ...string) {
		t.Helper()
		if got := w.hostAs(c).list(t); !slices.Equal(got, want) {
			t.Errorf("host %s sees %q, want %q", c.Host, got, want)
		}
	}
	attach := func(c issued, serial string, want uint, readOnly bool) {
		t.Helper()
		last, flags := w.hostAs(c).attach(serial)
		if last != want || last == nbdAck && (flags&2 != 0) != readOnly {
			t.Errorf("host %s, volume %s: %#x, flags %#x", c.Host, serial, last, flags)
		}
	}
	see(a, v[0])
	see(b, v[0], v[1])
	attach(a, v[0], nbdAck, false)
	attach(b, v[0], nbdAck, true)
	attach(b, v[1], nbdAck, false)
	for _, serial := range []string{v[1], v[2], "0FF13698", "x"} {
		attach(a, serial, nbdUnknown, false)
	}
	var vol api.Volume
	w.do("GET", "/v1/volumes/"+v[0], nil, 200, &vol)
	if len(vol.Assigned) != 2 || !vol.Assigned[1].ReadOnly {
		t.Errorf("assigned %+v", vol.Assigned)
	}
	w.end()

	// All of it outlives a restart, and the authority is the same.
	w = startTLS(t, dir)
	see(a, v[0])
	w.assign(v[0])
	see(a)
	see(b, v[1])
	wantInOrderAfter(w, dir)
}

func wantInOrderAfter(w *world, dir string) {
	w.Helper()
	w.end()
	wantInOrder(w.T, dir)
}

// TestLockedOutHostsAreCutOff, and the others are not.
func TestLockedOutHostsAreCutOff(t *testing.T) {
	w := startTLS(t, t.TempDir())
	v := w.volumes(2)
	hosts := map[string]*nbdHost{}
	credentials := map[string]issued{}
	both := []api.HostAccess{{Host: "a"}, {Host: "b"}}
	w.assign(v[0], both...)
	for _, name := range []string{"a", "b"} {
		credentials[name] = w.credential(name)
		hosts[name] = w.hostAs(credentials[name])
		if last, _ := hosts[name].attach(v[0]); last != nbdAck {
			t.Fatalf("attach: %#x", last)
		}
	}
	w.refused("DELETE", "/v1/volumes/"+v[0], nil, 422, fault.Refused, v[0])
	w.assign(v[0], both[0], api.HostAccess{Host: "b", ReadOnly: true})
	if !hosts["b"].gone() {
		t.Error("a host that may no longer write is still connected")
	}
	var list []api.Credential
	w.do("GET", "/v1/credentials", nil, 200, &list)
	if len(list) != 2 || list[0].Host != "a" || list[1].Host != "b" || !list[1].Revoked.IsZero() {
		t.Errorf("credentials %+v", list)
	}
	hosts["a"].get(0)
	w.do("DELETE", "/v1/credentials/"+strings.ToUpper(list[0].Serial), nil, 204, nil)
	if !hosts["a"].gone() {
		t.Error("a host whose credential is revoked is still connected")
	}
	w.do("DELETE", "/v1/credentials/"+list[0].Serial, nil, 204, nil)
	if last, _ := w.hostAs(credentials["a"]).option(nbdList, nil); last != 0 {
		t.Errorf("a revoked credential: %#x", last)
	}
	if got := w.hostAs(w.credential("a")).list(t); len(got) != 1 {
		t.Errorf("with a new credential it sees %q", got)
	}
	w.refused("DELETE", "/v1/credentials/00", nil, 404, fault.NotFound, "00")
}

func TestStrangersSeeNothing(t *testing.T) {
	w := startTLS(t, t.TempDir())
	v := w.volumes(1)
	w.assign(v[0], api.HostAccess{Host: "h"})
	h := w.host()
	for code, data := range map[uint32][]byte{nbdList: nil, nbdGo: {0, 0, 0, 0, 0, 0}} {
		if last, _ := h.option(code, data); last != nbdRequired {
			t.Errorf("without TLS option %d: %#x", code, last)
		}
	}
	good := w.credential("h")
	none := good
	none.pair = tls.Certificate{}
	other := start(t, t.TempDir()).credential("h")
	other.Authority = good.Authority
	unknown := w.credential("h") // as of a backup from before it was issued
	must(t, w.core.Store.Credentials().Delete(unknown.Serial))
	for name, c := range map[string]issued{
		"no credential": none, "of another server": other, "not on record": unknown,
	} {
		if last, all := w.hostAs(c).option(nbdList, nil); last != 0 {
			t.Errorf("%s: %#x, %q", name, last, all)
		}
	}
	if got := w.hostAs(good).list(t); len(got) != 1 {
		t.Errorf("the good one sees %q", got)
	}
}

// TestDeletedVolumeIsNobodys: a new one of the same serial is not assigned.
func TestDeletedVolumeIsNobodys(t *testing.T) {
	w := startTLS(t, t.TempDir())
	v := w.volumes(2)
	c := w.credential("h")
	for _, serial := range v {
		w.assign(serial, api.HostAccess{Host: "h"})
	}
	req := api.EstablishRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	w.refused("DELETE", "/v1/volumes/"+v[0], nil, 422, fault.Refused, v[0])
	if got := w.hostAs(c).list(t); !slices.Equal(got, v) {
		t.Errorf("after a refused deletion the host sees %q", got)
	}
	w.do("POST", "/v1/relationships/withdraw", api.PairsRequest{Pairs: req.Pairs}, 200, nil)
	w.do("DELETE", "/v1/volumes/"+v[0], nil, 204, nil)
	if again := w.volumes(1); again[0] != v[0] {
		t.Fatalf("the new volume is %s", again)
	}
	if got := w.hostAs(c).list(t); !slices.Equal(got, v[1:]) {
		t.Errorf("the host sees %q", got)
	}
}

func TestBadCredentialsAndAssignments(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(1)
	for text, req := range map[string]api.CredentialRequest{
		"needs a name": {}, "no ':'": {Host: "a:b"}, "not one PEM block": {Host: "a"},
		"too long":    {Host: "a", Request: strings.Repeat("x", 20_000)},
		"cannot be u": {Host: "a", Request: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
	} {
		w.refused("POST", "/v1/credentials", req, 400, fault.Usage, text)
	}
	for text, hosts := range map[string]string{
		"twice": `[{"host":"a"},{"host":"A"}]`, "needs a name": `[{}]`, "no ':'": `[{"host":"a:ro"}]`,
		"unknown field": `[{"name":"a"}]`,
	} {
		w.refused("PATCH", "/v1/volumes/"+v[0], `{"assigned":`+hosts+`}`, 400, fault.Usage, text)
	}
	many := make([]api.HostAccess, 0)
	w.do("PATCH", "/v1/volumes/"+v[0], api.VolumeChange{Assigned: &many}, 200, nil)
	w.refused("PATCH", "/v1/volumes/"+v[0], `{"assigned":[{"host":"a"}],"size":5}`, 400, fault.Usage, "5")
	if list, err := w.core.Store.Assignments().List(); err != nil || len(list) != 0 {
		t.Errorf("assigned: %+v, %v", list, err)
	}
	// Without --nbd-tls every volume is everybody's who reaches the address.
	if got := w.host().list(t); !slices.Equal(got, v) {
		t.Errorf("without TLS %q", got)
	}
}

// TestLostAuthorityIsNotReplaced: the hosts know the old one.
func TestLostAuthorityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	must(t, newAndStop(testOptions(dir)))
	authority := filepath.Join(dir, "authority")
	key, err := os.Stat(filepath.Join(authority, secrets.KeyFile))
	must(t, err)
	if key.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key has mode %v", key.Mode())
	}
	must(t, os.RemoveAll(authority)) // a folder of an earlier version
	wantInOrder(t, dir)
	w := start(t, dir)
	issued := w.credential("h")
	w.end()
	wantInOrder(t, dir)
	cert, err := os.ReadFile(filepath.Join(authority, secrets.CertFile))
	must(t, err)
	if !bytes.Equal(cert, []byte(issued.Authority)) {
		t.Error("the answer has another authority than the folder")
	}
	must(t, os.Remove(filepath.Join(authority, secrets.CertFile)))
	if err := newAndStop(testOptions(dir)); err == nil || !strings.Contains(err.Error(), authority) {
		t.Errorf("start: %v", err)
	}
	if errs := state.Check(dir); len(errs) != 1 || !strings.Contains(errs[0].Error(), authority) {
		t.Errorf("check: %v", errs)
	}
}

func TestCredentialIsIssuedOnce(t *testing.T) {
	w := start(t, t.TempDir())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	req := api.CredentialRequest{Host: "h", Request: string(pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
	var first, second api.CredentialIssued
	const id = "0123456789abcdef"
	w.do("POST", "/v1/credentials", req, 201, &first, api.KeyHeader, id)
	w.do("POST", "/v1/credentials", req, 201, &second, api.KeyHeader, id)
	if first != second || first.Certificate == "" {
		t.Errorf("first %+v, then %+v", first, second)
	}
	all, err := w.core.Store.Credentials().List()
	if err != nil || !slices.Equal(all, []taskstore.Credential{taskstore.Credential(first.Credential)}) {
		t.Errorf("on record: %+v, %v", all, err)
	}
}
