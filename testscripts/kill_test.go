package testscripts

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
)

var kills = flag.Int("kills", 20, "how often TestKills kills the server")

// killVolumes is how many sources there are, each with a target. Hosts write
// killBlocks blocks of killBlock bytes of each.
const (
	killVolumes = 3
	killBlock   = 4096
	killBlocks  = 256
	killSize    = 4 << 20
)

// server is a copyserver in a process of its own.
type server struct {
	cmd    *exec.Cmd
	log    bytes.Buffer
	ready  string // its ready file
	nbd    string
	client *api.Client
}

// startServer starts the server on state and waits until it is ready.
func startServer(t *testing.T, state string) *server {
	t.Helper()
	return startServerBy(t, state, func(*exec.Cmd) {})
}

// startServerBy is startServer with a change of how it is started.
func startServerBy(t *testing.T, state string, change func(*exec.Cmd)) *server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(t.TempDir(), "ready")
	s := &server{cmd: exec.Command(self), ready: ready}
	s.cmd.Args = []string{"copyserver", "--state", state, "--listen", "127.0.0.1:0",
		"--nbd-listen", "127.0.0.1:0", "--ready-file", ready}
	s.cmd.Stderr = &s.log
	change(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addresses struct {
		Address     string `json:"address"`
		NBD         string `json:"nbd_address"`
		Fingerprint string `json:"fingerprint"`
	}
	for end := time.Now().Add(readyTime); ; time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(ready)
		if err == nil && json.Unmarshal(text, &addresses) == nil {
			break
		}
		if time.Now().After(end) {
			s.kill()
			t.Fatalf("the server is not ready: %v\n%s", err, s.log.String())
		}
	}
	s.nbd = addresses.NBD
	s.client = api.New(api.Options{
		Servers: []string{addresses.Address}, User: "superuser", Password: "passw0rd",
		Timeout: time.Minute,
		// When a server is killed, one of another test may get its port.
		TLS: func(string) *tls.Config { return secrets.PinnedTo(addresses.Fingerprint) },
	})
	return s
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	if s.client != nil {
		s.client.Close()
	}
}

// export is a connection to a volume over NBD that does one request at a time.
type export struct{ net.Conn }

// openExport connects with the oldest and simplest option, EXPORT_NAME.
func openExport(address string, serial arrayclient.Serial) (*export, error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	var hello [18]byte
	if _, err := io.ReadFull(conn, hello[:]); err != nil {
		conn.Close()
		return nil, err
	}
	const fixedNoZeroes, exportName = 3, 1
	p := binary.BigEndian.AppendUint32(nil, fixedNoZeroes)
	p = append(p, "IHAVEOPT"...)
	p = binary.BigEndian.AppendUint32(p, exportName)
	p = binary.BigEndian.AppendUint32(p, uint32(len(serial)))
	p = append(p, serial...)
	var answer [10]byte
	_, err = conn.Write(p)
	if err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &export{conn}, nil
}

// request sends one and reads the answer into in.
func (e *export) request(kind uint16, off int64, n int, out, in []byte) error {
	p := binary.BigEndian.AppendUint32(nil, 0x25609513)
	p = binary.BigEndian.AppendUint16(p, 0)
	p = binary.BigEndian.AppendUint16(p, kind)
	p = binary.BigEndian.AppendUint64(p, 1)
	p = binary.BigEndian.AppendUint64(p, uint64(off))
	p = binary.BigEndian.AppendUint32(p, uint32(n))
	if _, err := e.Write(append(p, out...)); err != nil {
		return err
	}
	var reply [16]byte
	if _, err := io.ReadFull(e, reply[:]); err != nil {
		return err
	}
	if code := binary.BigEndian.Uint32(reply[4:]); code != 0 {
		return fmt.Errorf("NBD error %d", code)
	}
	_, err := io.ReadFull(e, in)
	return err
}

func (e *export) write(p []byte, off int64) error { return e.request(1, off, len(p), p, nil) }

func (e *export) read(p []byte, off int64) error { return e.request(0, off, len(p), nil, p) }

// guest writes to a volume and remembers what was acknowledged.
type guest struct {
	serial arrayclient.Serial
	stamps [killBlocks]uint64 // of the acknowledged writes
	// unsure is the block, and stamp the number, of the write that was cut off.
	unsure int
	stamp  uint64
	rng    *rand.Rand
}

func stamped(stamp uint64) []byte {
	p := make([]byte, killBlock)
	for at := 0; at < len(p); at += 8 {
		binary.LittleEndian.PutUint64(p[at:], stamp)
	}
	return p
}

// run writes until the server is gone. pause is held for writing by whoever
// wants no write to be on its way.
func (g *guest) run(address string, pause *sync.RWMutex) {
	conn, err := openExport(address, g.serial)
	if err != nil {
		return
	}
	defer conn.Close()
	for g.writeOne(conn, pause) == nil {
	}
}

func (g *guest) writeOne(conn *export, pause *sync.RWMutex) error {
	pause.RLock()
	defer pause.RUnlock()
	g.unsure = g.rng.IntN(killBlocks)
	g.stamp++
	// Blocks are 16 KiB apart, so that few share a track.
	err := conn.write(stamped(g.stamp), int64(g.unsure)*4*killBlock)
	if err == nil {
		g.stamps[g.unsure] = g.stamp
		g.unsure = -1
	}
	return err
}

// check holds a volume against stamps. With g, the write that was cut off may
// be there, and then counts.
func check(address string, serial arrayclient.Serial, stamps *[killBlocks]uint64, g *guest) error {
	conn, err := openExport(address, serial)
	if err != nil {
		return err
	}
	defer conn.Close()
	p := make([]byte, killSize)
	if err := conn.read(p, 0); err != nil {
		return err
	}
	for i, want := range stamps {
		block := p[i*4*killBlock : i*4*killBlock+killBlock]
		got := binary.LittleEndian.Uint64(block)
		if g != nil && i == g.unsure && got == g.stamp {
			want, stamps[i] = got, got
		}
		if !bytes.Equal(block, stamped(want)) {
			return fmt.Errorf("block %d of %s has stamp %d, not %d", i, serial, got, want)
		}
	}
	return nil
}

// killRun is the state of TestKills over all kills.
type killRun struct {
	t      *testing.T
	rng    *rand.Rand
	state  string
	guests []*guest
	pairs  []api.TaskPair
	images [][killBlocks]uint64 // nil: no image is known to exist
	next   [][killBlocks]uint64 // of an establish that was cut off
	taken  int
}

// takeImages lets no write be on its way and establishes all pairs anew.
func (k *killRun) takeImages(ctx context.Context, s *server, pause *sync.RWMutex) {
	pause.Lock()
	defer pause.Unlock()
	k.next = nil
	if k.images != nil {
		if _, err := s.client.Withdraw(ctx, api.PairsRequest{Pairs: k.pairs}); err != nil &&
			fault.KindOf(err) != fault.NotFound {
			k.images = nil
			return
		}
		k.images = nil
	}
	var images [][killBlocks]uint64
	for _, g := range k.guests {
		images = append(images, g.stamps)
	}
	k.next = images
	opts := arrayclient.Options{NoCopy: k.rng.IntN(2) == 0, Persistent: true}
	_, err := s.client.Establish(ctx, api.EstablishRequest{Pairs: k.pairs, Options: opts})
	switch fault.KindOf(err) {
	case "":
		k.images, k.next = images, nil
		k.taken++
	case fault.Refused, fault.Usage, fault.NotFound, fault.Denied:
		k.t.Errorf("establish: %v", err)
	}
}

// settle looks whether the establish that was cut off took place.
func (k *killRun) settle(ctx context.Context, s *server) {
	rels, err := s.client.Relationships(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	switch {
	case k.images != nil && len(rels) != len(k.pairs):
		k.t.Fatalf("%d of %d relationships are left", len(rels), len(k.pairs))
	case k.images == nil && len(rels) == len(k.pairs) && k.next != nil:
		k.images = k.next
	case k.images == nil && len(rels) == len(k.pairs):
		k.images = nil // a withdraw that was cut off; withdraw again
		if _, err := s.client.Withdraw(ctx, api.PairsRequest{Pairs: k.pairs}); err != nil {
			k.t.Fatal(err)
		}
	case k.images == nil && len(rels) != 0:
		k.t.Fatalf("%d of %d relationships were established", len(rels), len(k.pairs))
	}
	k.next = nil
	for _, r := range rels {
		if r.State == arrayclient.StateFailed {
			k.t.Fatalf("relationship %s:%s failed: %s", r.Source, r.Target, r.Reason)
		}
	}
}

func (k *killRun) verify(s *server) {
	for i, g := range k.guests {
		if err := check(s.nbd, g.serial, &g.stamps, g); err != nil {
			k.t.Fatalf("source: %v\n%s", err, s.log.String())
		}
		if k.images == nil {
			continue
		}
		target := arrayclient.Serial(k.pairs[i].Target)
		if err := check(s.nbd, target, &k.images[i], nil); err != nil {
			k.t.Fatalf("image: %v\n%s", err, s.log.String())
		}
	}
}

// round starts the server, looks whether all is there, lets the guests write,
// and kills it at some moment.
func (k *killRun) round(ctx context.Context) {
	s := startServer(k.t, k.state)
	defer s.kill()
	if k.guests == nil {
		k.create(ctx, s)
	}
	k.settle(ctx, s)
	k.verify(s)
	var pause sync.RWMutex
	var running sync.WaitGroup
	for _, g := range k.guests {
		g.unsure = -1
		running.Go(func() { g.run(s.nbd, &pause) })
	}
	killed := time.AfterFunc(time.Duration(20+k.rng.IntN(120))*time.Millisecond, func() {
		s.cmd.Process.Kill()
	})
	defer killed.Stop()
	time.Sleep(time.Duration(k.rng.IntN(60)) * time.Millisecond)
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	k.takeImages(short, s, &pause)
	running.Wait()
}

func (k *killRun) create(ctx context.Context, s *server) {
	vols, err := s.client.CreateVolumes(ctx, api.VolumeCreate{Size: killSize, Count: 2 * killVolumes})
	if err != nil {
		k.t.Fatal(err)
	}
	for i := range killVolumes {
		k.guests = append(k.guests, &guest{
			serial: vols[i].Serial, rng: rand.New(rand.NewPCG(k.rng.Uint64(), uint64(i))),
		})
		k.pairs = append(k.pairs, api.TaskPair{
			Source: string(vols[i].Serial), Target: string(vols[killVolumes+i].Serial),
		})
	}
}

// TestKills kills the server again and again while guests write and images
// are taken. Every write that was acknowledged is there, every image exact.
func TestKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killRun{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), state: filepath.Join(t.TempDir(), "state"),
	}
	for range *kills {
		k.round(context.Background())
	}
	if k.taken < *kills/4 {
		t.Errorf("only %d images were taken over %d kills", k.taken, *kills)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"copyserver", "check", "--state", k.state}
	if out, err := cmd.CombinedOutput(); err != nil {
		var ended *exec.ExitError
		t.Fatalf("check: %v %v\n%s", err, errors.As(err, &ended), out)
	}
}
