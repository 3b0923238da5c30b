package nbd

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
)

// TestRequestsDoNotAllocate counts the allocations of the whole process per
// request, client included.
func TestRequestsDoNotAllocate(t *testing.T) {
	c := connect(t, startServer(t, Options{}, one(newMemDevice(testSize))), true)
	read := requestBytes(cmdRead, 0, 1, 4096, 4096, nil)
	write := requestBytes(cmdWrite, 0, 2, 4096, 4096, make([]byte, 4096))
	reply := make([]byte, headerData+4096+headerSimple)
	pair := func() {
		for _, x := range []struct{ send, recv []byte }{
			{read, reply[:headerData+4096]}, {write, reply[:headerSimple]},
		} {
			if _, err := c.nc.Write(x.send); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c.nc, x.recv); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The race detector makes pools forget on purpose.
	if n := testing.AllocsPerRun(2000, pair); n >= 2 {
		t.Errorf("%v allocations for a read and a write", n)
	}
}

// BenchmarkAgainstNbdkit compares with nbdkit's file plugin on the same file:
// fio loads one, then the other. x/nbdkit above 1 means this server is
// faster.
func BenchmarkAgainstNbdkit(b *testing.B) {
	tool(b, "fio")
	file := filepath.Join(b.TempDir(), "image")
	if err := os.WriteFile(file, pattern(256<<20, 1), 0o600); err != nil {
		b.Fatal(err)
	}
	ours, theirs := serveFile(b, file), serveNbdkit(b, file)
	for _, rw := range []string{"randread-4k", "randwrite-4k", "read-1m", "write-1m"} {
		for _, depth := range []int{1, 32} {
			for _, conns := range []int{1, 4} {
				name := rw + "-depth" + strconv.Itoa(depth) + "-conns" + strconv.Itoa(conns)
				b.Run(name, func(b *testing.B) {
					kind, size, _ := strings.Cut(rw, "-")
					var a, z []float64
					for b.Loop() {
						a = append(a, fio(b, ours, kind, size, depth, conns))
						z = append(z, fio(b, theirs, kind, size, depth, conns))
					}
					b.ReportMetric(median(a)/median(z), "x/nbdkit")
					b.ReportMetric(median(a), "iops")
				})
			}
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func serveFile(b *testing.B, file string) string {
	dev, err := openFileDevice(file)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { dev.File.Close() })
	s := startServer(b, Options{}, fixed{volumes: map[string]arrayclient.VolumeIO{"20313698": dev}})
	return uri(s)
}

func serveNbdkit(b *testing.B, file string) string {
	tool(b, "nbdkit")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.CommandContext(b.Context(),
		"nbdkit", "-f", "-i", "127.0.0.1", "-p", port, "file", file)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Wait() })
	for range 100 {
		if nc, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			nc.Close()
			return "nbd://127.0.0.1:" + port + "/"
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatal("nbdkit does not start")
	return ""
}

// fio returns the requests per second of one second of load.
func fio(b *testing.B, uri, rw, size string, depth, conns int) float64 {
	out := outside(b, "fio", "--name=x", "--ioengine=nbd", "--uri="+uri, "--rw="+rw,
		"--bs="+size, "--iodepth="+strconv.Itoa(depth), "--numjobs="+strconv.Itoa(conns),
		"--time_based=1", "--runtime=1", "--size=256m", "--group_reporting",
		"--output-format=json")
	var report struct {
		Jobs []struct{ Read, Write struct{ IOPS float64 } }
	}
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &report); err != nil {
		b.Fatalf("fio: %v\n%s", err, out)
	}
	return report.Jobs[0].Read.IOPS + report.Jobs[0].Write.IOPS
}
