package nbd

import (
	"bytes"
	"net"
	"testing"
	"time"
)

const (
	// crowdMemory is little, so that few clients take all of it.
	crowdMemory = 16 << 20
	crowdVolume = 2 << 20
)

// greedy are clients that take what they can of the memory and keep it.
var greedy = map[string]func(*client){
	"half a write": func(c *client) {
		c.send(requestBytes(cmdWrite, 0, 1, 0, crowdVolume, make([]byte, maxBuffer/2)))
	},
	"replies that are not taken": func(c *client) {
		_ = c.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		for range 6 {
			c.request(cmdRead, 0, 0, crowdVolume)
		}
	},
	"small replies that are not taken": func(c *client) {
		_ = c.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		for range 100 {
			c.send(requestBytes(cmdRead, 0, 1, 0, 64<<10, nil))
		}
	},
}

// TestCrowdLeavesMemory has clients that keep what memory they get. Together they
// get no more than there is, and another client is served whatever it asks for.
func TestCrowdLeavesMemory(t *testing.T) {
	for name, take := range greedy {
		for _, structured := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				d := newMemDevice(crowdVolume)
				s := startServer(t, Options{Memory: crowdMemory}, one(d))
				for i := range 24 {
					c := connect(t, s, structured)
					take(c)
					if i%10 == 9 {
						time.Sleep(5 * time.Millisecond)
					}
				}
				time.Sleep(20 * time.Millisecond)
				honest(t, connect(t, s, structured), structured)
				if used := s.memory.Used(); used > crowdMemory/2 {
					t.Errorf("%d KiB are shared out, of %d", used>>10, crowdMemory/2>>10)
				}
			})
		}
	}
}

// honest does requests of all sizes, one after the other.
func honest(t *testing.T, c *client, structured bool) {
	t.Helper()
	for i, n := range []int{4096, 64 << 10, 200_000, 1 << 20, crowdVolume} {
		data := pattern(n, byte(i+1))
		if e := c.write(cmdFlagFUA, 0, data); e != errnoNone {
			t.Fatalf("a write of %d bytes: error %d", n, e)
		}
		got := []byte(nil)
		if structured {
			got, _ = c.readPieces(0, 0, uint32(n))
		} else {
			got = c.read(0, uint32(n))
		}
		if !bytes.Equal(got, data) {
			t.Fatalf("%d bytes come back differently", n)
		}
	}
}

// TestPartsOfAWrite: a write that is carried out in parts has one reply, which
// tells of the failure of any part, and a flush after all of them.
func TestPartsOfAWrite(t *testing.T) {
	d := newMemDevice(3 << 20)
	c := connect(t, startServer(t, Options{Memory: crowdMemory}, one(d)), false)
	data := pattern(2<<20+100, 3)
	if e := c.write(cmdFlagFUA, 4096, data); e != errnoNone {
		t.Fatalf("error %d", e)
	}
	if !bytes.Equal(d.flushed()[4096:4096+len(data)], data) || d.flushes.Load() != 1 {
		t.Errorf("it is not durable, or was flushed %d times", d.flushes.Load())
	}
	for part := range int64(3) {
		d.hook = func(op string, off, n int64) error {
			if bad := part << 20; op == "write" && off <= bad && bad < off+n {
				return errRechecked
			}
			return nil
		}
		if e := c.write(cmdFlagFUA, 0, data); e != errnoIO {
			t.Errorf("a failure at %d MiB: error %d", part, e)
		}
		d.hook = nil
		if e := c.write(0, 0, data[:512]); e != errnoNone {
			t.Errorf("the write after it: error %d", e)
		}
	}
}

// TestSilentNewcomersMakeWay: however many connections say nothing, who comes to
// attach a volume does, and who has attached one keeps it.
func TestSilentNewcomersMakeWay(t *testing.T) {
	s := startServer(t, Options{MaxHandshakes: 8}, one(newMemDevice(testSize)))
	attached := connect(t, s, false)
	var silent []net.Conn
	for range 100 {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		silent = append(silent, nc)
	}
	second := connect(t, s, false)
	for _, c := range []*client{attached, second} {
		if len(c.read(0, 512)) != 512 {
			t.Error("no data")
		}
	}
	first := &client{t: t, nc: silent[0]}
	_ = silent[0].SetDeadline(time.Now().Add(testTimeout))
	first.wantClosed()
}
