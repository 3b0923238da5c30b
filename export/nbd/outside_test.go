package nbd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
)

// tool skips the test when an outside client is not installed. Where CI is
// set it has to be.
func tool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is required", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

// outside runs an outside client, which has to succeed, and returns what it
// prints.
func outside(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tryOutside(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tryOutside(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	tool(t, name)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func uri(s *Server) string { return "nbd://" + s.Addr().String() + "/20313698" }

// sparseDevice is mostly holes.
func sparseDevice(t testing.TB) *memDevice {
	t.Helper()
	d := newMemDevice(32 << 20)
	for _, off := range []int64{0, 1 << 20, 5<<20 + 4096, 32<<20 - 64<<10} {
		if _, err := d.WriteAt(pattern(64<<10, byte(off>>16)), off); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestOutsideInfo(t *testing.T) {
	s := startServer(t, Options{}, one(sparseDevice(t)))
	var info struct {
		Protocol string
		Exports  []map[string]any
	}
	out := outside(t, "nbdinfo", "--json", uri(s))
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		t.Fatal(err)
	}
	if info.Protocol != "newstyle-fixed" || len(info.Exports) != 1 {
		t.Fatalf("nbdinfo: %s", out)
	}
	for key, want := range map[string]any{
		"export-name": "20313698", "export-size": 32.0 * (1 << 20), "is_read_only": false,
		"can_flush": true, "can_fua": true, "can_trim": true, "can_zero": true,
		"can_fast_zero": true, "can_df": true, "can_multi_conn": true, "can_cache": false,
		"block_size_minimum": 1.0, "block_size_preferred": 4096.0, "block_size_maximum": 33554432.0,
	} {
		if got := info.Exports[0][key]; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
}

func TestOutsideMap(t *testing.T) {
	s := startServer(t, Options{}, one(sparseDevice(t)))
	var extents []struct {
		Offset, Length int64
		Type           int
	}
	out := outside(t, "nbdinfo", "--map", "--json", uri(s))
	if err := json.Unmarshal([]byte(out), &extents); err != nil {
		t.Fatal(err)
	}
	var data, holes, end int64
	for _, e := range extents {
		if e.Offset != end {
			t.Errorf("gap at %d", end)
		}
		end = e.Offset + e.Length
		switch e.Type {
		case 0:
			data += e.Length
		case stateHole | stateZero:
			holes += e.Length
		}
	}
	if data != 256<<10 || holes != 32<<20-256<<10 {
		t.Errorf("%d of data, %d of holes", data, holes)
	}
}

func TestOutsideList(t *testing.T) {
	exports := fixed{volumes: map[string]arrayclient.VolumeIO{}}
	for _, name := range []string{"20313698", "20413698", "20513698"} {
		exports.volumes[name] = newMemDevice(4096)
	}
	s := startServer(t, Options{}, exports)
	for _, out := range []string{
		outside(t, "nbdinfo", "--list", "nbd://"+s.Addr().String()),
		outside(t, "qemu-nbd", "--list", "--bind=127.0.0.1", "--port="+port(s)),
	} {
		for name := range exports.volumes {
			if !strings.Contains(out, name) || !strings.Contains(out, "base:allocation") {
				t.Errorf("%s is not in %s", name, out)
			}
		}
	}
	if out, err := tryOutside(t, "nbdinfo", uri(s)+"x"); err == nil {
		t.Errorf("an unknown export is there: %s", out)
	}
}

func port(s *Server) string {
	_, p, _ := strings.Cut(s.Addr().String(), ":")
	return p
}

func TestOutsideCopy(t *testing.T) {
	d := sparseDevice(t)
	from := startServer(t, Options{}, one(d))
	file := filepath.Join(t.TempDir(), "image")
	outside(t, "nbdcopy", uri(from), file)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, d.at(0, len(d.data))) {
		t.Error("the copy out differs")
	}
	back := newMemDevice(len(d.data))
	if _, err := back.WriteAt(pattern(1<<20, 9), 3<<20); err != nil {
		t.Fatal(err)
	}
	to := startServer(t, Options{}, one(back))
	outside(t, "nbdcopy", "--flush", file, uri(to))
	if !bytes.Equal(back.at(0, len(back.data)), got) || !bytes.Equal(back.flushed(), got) {
		t.Error("the copy in differs")
	}
	third := newMemDevice(len(d.data))
	outside(t, "nbdcopy", "--connections=4", "--requests=32",
		uri(from), uri(startServer(t, Options{}, one(third))))
	if !bytes.Equal(third.at(0, len(third.data)), got) {
		t.Error("the copy from server to server differs")
	}
}

// qemuIO runs commands on the export, in one process and in order.
func qemuIO(t *testing.T, s *Server, commands ...string) string {
	t.Helper()
	args := []string{"-f", "raw"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out := outside(t, "qemu-io", append(args, uri(s))...)
	if strings.Contains(out, "failed") || strings.Contains(out, "error") {
		t.Errorf("qemu-io: %s", out)
	}
	return out
}

func TestOutsidePatterns(t *testing.T) {
	d := newMemDevice(8 << 20)
	s := startServer(t, Options{}, one(d))
	qemuIO(t, s,
		"write -P 0xa5 0 1M", "read -P 0xa5 0 1M", "read -P 0 1M 7M",
		"write -P 0x5a 4097 513", "read -P 0x5a 4097 513", "read -P 0xa5 4096 1",
		"write -z 64k 64k", "read -P 0 64k 64k", "read -P 0xa5 128k 64k",
		"write -z -u 128k 64k", "read -P 0 128k 64k",
		"discard 256k 128k", "read -P 0 256k 128k",
		"write -f -P 0x11 2M 64k", "flush", "read -P 0x11 2M 64k",
		"aio_write -P 0x22 3M 1M", "aio_write -P 0x33 4M 1M", "aio_flush",
		"read -P 0x22 3M 1M", "read -P 0x33 4M 1M", "flush")
	if !bytes.Equal(d.flushed(), d.at(0, len(d.data))) {
		t.Error("a flush is not durable")
	}
	if got := d.at(4097, 513); !bytes.Equal(got, bytes.Repeat([]byte{0x5a}, 513)) {
		t.Error("an unaligned write went elsewhere")
	}
}

func TestOutsideImages(t *testing.T) {
	d := sparseDevice(t)
	s := startServer(t, Options{}, one(d))
	file := filepath.Join(t.TempDir(), "image")
	outside(t, "qemu-img", "convert", "-f", "raw", "-O", "raw", uri(s), file)
	compare := []string{"compare", "-f", "raw", "-F", "raw", uri(s)}
	outside(t, "qemu-img", append(compare, file)...)
	other := newMemDevice(len(d.data))
	to := startServer(t, Options{}, one(other))
	outside(t, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", file, uri(to))
	outside(t, "qemu-img", append(compare, uri(to))...)
	if !bytes.Equal(other.at(0, len(other.data)), d.at(0, len(d.data))) {
		t.Error("the converted image differs")
	}
	qemuIO(t, to, "write -P 1 0 1")
	if _, err := tryOutside(t, "qemu-img", append(compare, uri(to))...); err == nil {
		t.Error("different images compare equal")
	}
}

func TestOutsideTLS(t *testing.T) {
	a := newAuthority(t)
	d := sparseDevice(t)
	s := startServer(t, Options{TLS: a.server()}, one(d))
	dir := t.TempDir()
	a.save(dir)
	file := filepath.Join(dir, "image")
	outside(t, "nbdcopy",
		"nbds://"+s.Addr().String()+"/20313698?tls-certificates="+dir, file)
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, d.at(0, len(d.data))) {
		t.Errorf("the copy over TLS differs (%v)", err)
	}
	for _, args := range [][]string{
		{uri(s)}, {"nbds://" + s.Addr().String() + "/20313698?tls-certificates=/nonexistent"},
	} {
		if out, err := tryOutside(t, "nbdinfo", args...); err == nil {
			t.Errorf("nbdinfo %q gets in: %s", args, out)
		}
	}
}
