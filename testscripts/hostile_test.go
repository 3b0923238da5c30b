//go:build linux

package testscripts

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

var hostileTime = flag.Duration("hostile", 500*time.Millisecond,
	"how long TestHostile measures beside each kind of hostile client")

const (
	hostileMemory = 256 << 20 // bytes that the server may use
	// honestTime is what the slowest of a hundred honest requests may take.
	honestTime = 100 * time.Millisecond
	// honestTries is how often that is measured before it counts: the machine
	// may be busy with something else.
	honestTries  = 12
	honestVolume = arrayclient.Serial("00013698")
	otherVolume  = arrayclient.Serial("00113698")
	longSource   = arrayclient.Serial("00213698")
	longTarget   = arrayclient.Serial("00313698")
	longVolume   = 4 << 30 // bytes
)

// attack is one kind of hostile client at work.
type attack struct {
	*testing.T
	*server
	volume arrayclient.Serial // of the honest guest
	over   chan struct{}      // closed at the end

	mu    sync.Mutex
	conns []net.Conn
	work  sync.WaitGroup
}

// hostile are clients that take of one resource what they can get. Each begins and
// returns; what it leaves in the background ends with its connections.
var hostile = []struct {
	name  string
	begin func(*attack)
}{
	{"idle NBD connections", func(a *attack) { a.flood(400, a.nbd, "") }},
	{"half an NBD handshake", func(a *attack) { a.flood(400, a.nbd, "\x00\x00\x00\x03IHAVEOPT\x00") }},
	{"attached and idle", func(a *attack) { a.attach(300, func(*export) {}) }},
	{"half-sent writes", func(a *attack) { a.attach(32, halfWrite) }},
	{"replies that are not taken", func(a *attack) { a.attach(32, deafReads) }},
	{"long reads", func(a *attack) { a.attach(2, a.longReads) }},
	{"long zeroing", func(a *attack) { a.attach(2, a.longZeroing) }},
	{"long trims of the same source", (*attack).longTrims},
	{"idle REST connections", func(a *attack) { a.flood(400, a.client.Answered(), "") }},
	{"half a TLS handshake", func(a *attack) {
		a.flood(400, a.client.Answered(), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	}},
	{"slow bodies", func(a *attack) { a.slowBodies(100) }},
	{"bad logins", func(a *attack) { a.badLogins(60) }},
}

// TestHostile has one kind of hostile client after the other beside one honest
// guest and one honest user. Neither of these waits, the server stays within its
// memory, and a minute later everything is given back.
func TestHostile(t *testing.T) {
	s := startServerBy(t, filepath.Join(t.TempDir(), "state"), func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, "--array-serial", "13698", "--log-level", "error",
			"--memory", strconv.Itoa(hostileMemory))
	})
	t.Cleanup(s.kill)
	_, err := s.client.CreateVolumes(t.Context(), api.VolumeCreate{Size: 64 << 20, Count: 2, First: "000"})
	if err != nil {
		t.Fatal(err)
	}
	before := s.status(t, "VmRSS")
	for _, kind := range hostile {
		t.Run(kind.name, func(t *testing.T) {
			a := &attack{T: t, server: s, volume: honestVolume, over: make(chan struct{})}
			kind.begin(a)
			a.honest()
			a.end()
		})
	}
	if peak := s.status(t, "VmHWM"); peak > hostileMemory*raceFactor {
		t.Errorf("the server used %d MiB", peak>>20)
	}
	s.wantGivenBack(t, before)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, &s.log)
	}
}

// status returns a figure of the server's process in bytes.
func (s *server) status(t *testing.T, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func (s *server) wantGivenBack(t *testing.T, before int64) {
	t.Helper()
	const near = 64 << 20
	now := s.status(t, "VmRSS")
	for end := time.Now().Add(time.Minute); now > before+near*raceFactor; now = s.status(t, "VmRSS") {
		if time.Now().After(end) {
			t.Errorf("the server had %d MiB, and has %d MiB a minute after", before>>20, now>>20)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// keep has a connection closed when the attack is over.
func (a *attack) keep(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns = append(a.conns, conn)
}

func (a *attack) end() {
	close(a.over)
	a.mu.Lock()
	for _, conn := range a.conns {
		conn.Close()
	}
	a.mu.Unlock()
	a.work.Wait()
}

// flood opens connections that send a text and no more, and opens those that the
// server ends again.
func (a *attack) flood(n int, address, text string) {
	open := func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		a.keep(conn)
		_, _ = io.WriteString(conn, text)
		return true
	}
	for range n {
		if !open() {
			a.Fatalf("%s cannot be reached", address)
		}
	}
	a.work.Go(func() {
		for open() {
			select {
			case <-a.over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// attach has connections to the other volume do something in the background.
func (a *attack) attach(n int, act func(*export)) {
	for range n {
		e, err := openExport(a.nbd, otherVolume)
		if err != nil {
			a.Fatal(err)
		}
		a.keep(e)
		a.work.Go(func() { act(e) })
	}
}

// header is that of an NBD request at the beginning of the volume.
func header(kind uint16, n uint32) []byte {
	p := binary.BigEndian.AppendUint32(nil, 0x25609513)
	p = binary.BigEndian.AppendUint32(p, uint32(kind))
	p = binary.BigEndian.AppendUint64(p, 1)
	p = binary.BigEndian.AppendUint64(p, 0)
	return binary.BigEndian.AppendUint32(p, n)
}

var junk = make([]byte, 1<<20-1)

func halfWrite(e *export) {
	_, _ = e.Write(header(1, 32<<20))
	for range 8 {
		_, _ = e.Write(junk)
	}
}

func deafReads(e *export) {
	for range 4 {
		_, _ = e.Write(header(0, 16<<20))
	}
}

func (a *attack) longReads(e *export) {
	for {
		if _, err := e.Write(header(0, 32<<20)); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, e, 16+32<<20); err != nil {
			return
		}
	}
}

func (a *attack) longZeroing(e *export) {
	const trim, writeZeroes = 4, 6
	for kind := uint16(trim); ; kind ^= trim ^ writeZeroes {
		if _, err := e.Write(header(kind, 64<<20)); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, e, 16); err != nil {
			return
		}
	}
}

// longTrims has the honest guest use a source that another host fills and trims
// from end to end, again and again. Each time a target that copies nothing by itself
// must get first what is trimmed.
func (a *attack) longTrims() {
	_, err := a.client.CreateVolumes(a.Context(), api.VolumeCreate{Size: longVolume, Count: 2, First: "002"})
	if err != nil {
		a.Fatal(err)
	}
	a.volume = longSource
	e, err := openExport(a.nbd, longSource)
	if err != nil {
		a.Fatal(err)
	}
	a.keep(e)
	a.fill(e)
	a.work.Go(func() {
		for a.trim(e) && a.fill(e) {
		}
	})
}

// fill has the source hold data, from its begin to its end, and its target none of
// it. It reports whether the attack goes on.
func (a *attack) fill(e *export) bool {
	data := bytes.Repeat([]byte{0x5a}, 8<<20)
	for off := int64(0); off < longVolume; off += longVolume / 8 {
		if err := e.write(data, off); err != nil {
			return a.goesOn(err)
		}
	}
	pairs := []api.TaskPair{{Source: string(longSource), Target: string(longTarget)}}
	_, err := a.client.Withdraw(a.Context(), api.PairsRequest{Pairs: pairs})
	if err == nil || fault.KindOf(err) == fault.NotFound {
		_, err = a.client.Establish(a.Context(), api.EstablishRequest{
			Pairs: pairs, Options: arrayclient.Options{NoCopy: true},
		})
	}
	return a.goesOn(err)
}

func (a *attack) trim(e *export) bool {
	const trim = 4
	begin := time.Now()
	defer func() { a.Logf("trimmed in %v", time.Since(begin)) }()
	return a.goesOn(e.request(trim, 0, longVolume-arrayclient.TrackSize, nil, nil))
}

// goesOn reports whether the attack goes on after an error, which is one of the test
// unless the attack is over.
func (a *attack) goesOn(err error) bool {
	select {
	case <-a.over:
		return false
	default:
		if err != nil {
			a.Error(err)
		}
		return err == nil
	}
}

// slowBodies sends requests, of users known and unknown, a byte at a time.
func (a *attack) slowBodies(n int) {
	for i := range n {
		conn, err := tls.Dial("tcp", a.client.Answered(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			a.Fatal(err)
		}
		a.keep(conn)
		request, _ := http.NewRequest("POST", "https://x/v1/tasks", strings.NewReader("{}"))
		request.ContentLength = 1 << 20
		request.Header.Set("Content-Type", "application/json")
		if i%2 == 0 {
			request.SetBasicAuth("superuser", "passw0rd")
		}
		request.Body = io.NopCloser(&trickle{a.over})
		a.work.Go(func() { _ = request.Write(conn) })
	}
}

// trickle is a body that comes a byte at a time.
type trickle struct{ over chan struct{} }

func (r *trickle) Read(p []byte) (int, error) {
	select {
	case <-r.over:
		return 0, io.ErrUnexpectedEOF
	case <-time.After(20 * time.Millisecond):
		p[0] = ' '
		return 1, nil
	}
}

// badLogins tries wrong passwords from as many addresses, again and again.
func (a *attack) badLogins(n int) {
	for i := range n {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext:     (&net.Dialer{LocalAddr: from}).DialContext,
		}
		a.work.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-a.over:
					return
				default:
					a.badLogin(transport, i)
				}
			}
		})
	}
}

func (a *attack) badLogin(transport *http.Transport, i int) {
	request, _ := http.NewRequestWithContext(a.Context(), "GET",
		"https://"+a.client.Answered()+"/v1/server", nil)
	request.SetBasicAuth([]string{"superuser", "nobody"}[i%2], "guess")
	resp, err := (&http.Client{Transport: transport, Timeout: time.Second}).Do(request)
	if err == nil {
		resp.Body.Close()
	}
}

// honest is a guest and a user who measure how long they wait.
func (a *attack) honest() {
	a.Helper()
	e, err := openExport(a.nbd, a.volume)
	if err != nil {
		a.Fatalf("the honest guest cannot attach its volume: %v", err)
	}
	defer e.Close()
	var slowest time.Duration
	for range honestTries {
		guest, user := a.guestWaits(e), a.userWaits()
		a.Logf("the guest waits %v, the user %v", guest, user)
		if slowest = max(guest, user); slowest < honestTime {
			return
		}
	}
	a.Errorf("one of a hundred honest requests takes %v", slowest)
}

// guestWaits returns what the slowest of a hundred requests takes.
func (a *attack) guestWaits(e *export) time.Duration {
	a.Helper()
	var took []time.Duration
	buf := make([]byte, 1<<20)
	for begin := time.Now(); time.Since(begin) < *hostileTime || len(took) < 100; {
		size := []int{4 << 10, 4 << 10, 64 << 10, 256 << 10}[rand.IntN(4)]
		kind, off := rand.IntN(2), rand.Int64N(60)<<20
		start := time.Now()
		err := e.read(buf[:size], off)
		if kind == 1 {
			err = e.write(buf[:size], off)
		}
		if err != nil {
			a.Fatalf("the honest guest: %v", err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// userWaits returns how long a request of a user whose password is known takes,
// with a connection of its own.
func (a *attack) userWaits() time.Duration {
	a.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	request, _ := http.NewRequestWithContext(a.Context(), "GET",
		"https://"+a.client.Answered()+"/v1/server", nil)
	request.SetBasicAuth("superuser", "passw0rd")
	start := time.Now()
	resp, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		a.Fatalf("the honest user: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		a.Fatalf("the honest user is answered with %s", resp.Status)
	}
	return time.Since(start)
}
