package api

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// memVolume is a volume in memory whose holes are its blocks of zeros.
type memVolume struct {
	data    []byte
	flushed bool
	fail    error // of writes
}

func (m *memVolume) Size() int64  { return int64(len(m.data)) }
func (m *memVolume) Close() error { return nil }
func (m *memVolume) Flush() error { m.flushed = true; return nil }

func (m *memVolume) ReadAt(p []byte, off int64) (int, error) {
	return copy(p, m.data[off:]), nil
}

func (m *memVolume) WriteAt(p []byte, off int64) (int, error) {
	m.flushed = false
	if m.fail != nil {
		return 0, m.fail
	}
	return copy(m.data[off:], p), nil
}

func (m *memVolume) Zero(off, n int64, _ bool) error {
	clear(m.data[off : off+n])
	return nil
}

func (m *memVolume) Extents(off, n int64, f func(int64, bool) bool) error {
	for end := off + n; off < end; {
		length := min(4096, end-off)
		if !f(length, isZero(m.data[off:off+length])) {
			return nil
		}
		off += length
	}
	return nil
}

var _ arrayclient.VolumeIO = (*memVolume)(nil)

// patchwork returns size bytes with islands of data.
func patchwork(seed uint64, size int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, size)
	for range 8 {
		off := rnd.IntN(size)
		end := min(size, off+1+rnd.IntN(size/8))
		pattern := byte(1 + rnd.IntN(255))
		for i := off; i < end; i++ {
			data[i] = pattern + byte(i)
		}
	}
	return data
}

func streamOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := SendVolume(&b, &memVolume{data: data}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readAll(stream []byte, size int) ([]byte, error) {
	in, err := NewSparseReader(bytes.NewReader(stream), fault.Usage)
	if err != nil {
		return nil, err
	}
	v := &memVolume{data: bytes.Repeat([]byte{0xAA}, size)}
	if err := ReceiveVolume(in, v); err != nil {
		return nil, err
	}
	if !v.flushed {
		return nil, errors.New("the volume was not flushed")
	}
	return v.data, nil
}

func TestSparseRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		size := 512 * (1 + rand.New(rand.NewPCG(seed, 1)).IntN(3000))
		want := patchwork(seed, size)
		got, err := readAll(streamOf(t, want), size)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %d, size %d: equal %v, %v", seed, size, bytes.Equal(got, want), err)
		}
	}
}

func TestSparseStreamHasOnlyData(t *testing.T) {
	data := make([]byte, 64<<20)
	copy(data[5<<20:], "something")
	stream := streamOf(t, data)
	if len(stream) > 128<<10 {
		t.Errorf("%d bytes for one block of data", len(stream))
	}
}

func TestSparseSmallerStreamLeavesZeros(t *testing.T) {
	want := patchwork(3, 128<<10)
	got, err := readAll(streamOf(t, want), 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, append(want, make([]byte, 128<<10)...)) {
		t.Error("the rest of the volume is not zeros")
	}
}

func TestSparseLargerStreamIsRefused(t *testing.T) {
	_, err := readAll(streamOf(t, patchwork(3, 128<<10)), 64<<10)
	if fault.KindOf(err) != fault.Refused {
		t.Errorf("got %v", err)
	}
}

// Whatever single byte is missing from the end, or changed anywhere, is
// noticed: the format has no byte that does not count.
func TestSparseDamageIsNoticed(t *testing.T) {
	data := make([]byte, 200<<10)
	copy(data[70<<10:], "left")
	copy(data[199<<10:], "right")
	var b bytes.Buffer
	w, _ := NewSparseWriter(&b, int64(len(data)))
	w.WriteAt(data[70<<10:70<<10+4], 70<<10)
	w.WriteAt(data[199<<10:199<<10+5], 199<<10)
	w.Close()
	stream := b.Bytes()
	if got, err := readAll(stream, len(data)); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the undamaged stream: %v", err)
	}
	for i := range stream {
		if _, err := readAll(stream[:i], len(data)); fault.KindOf(err) != fault.Usage {
			t.Errorf("cut at %d: %v", i, err)
		}
		bad := bytes.Clone(stream)
		bad[i] ^= 0x10
		if _, err := readAll(bad, len(data)); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
	}
	if _, err := readAll(append(stream, 0), len(data)); fault.KindOf(err) != fault.Usage {
		t.Errorf("a byte behind the end: %v", err)
	}
}

func TestSparseWriterKeepsOrderAndBounds(t *testing.T) {
	w, _ := NewSparseWriter(io.Discard, 1000)
	if _, err := w.WriteAt(make([]byte, 100), 500); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{0, 599, 901, 1001, -1} {
		if _, err := w.WriteAt(make([]byte, 100), off); err == nil {
			t.Errorf("100 bytes at %d accepted", off)
		}
	}
}

func TestReceiveVolumeReturnsWriteError(t *testing.T) {
	full := errors.New("full")
	in, err := NewSparseReader(bytes.NewReader(streamOf(t, patchwork(1, 64<<10))), fault.Usage)
	if err != nil {
		t.Fatal(err)
	}
	if err := ReceiveVolume(in, &memVolume{data: make([]byte, 64<<10), fail: full}); err != full {
		t.Errorf("got %v", err)
	}
}

func TestSparseFiles(t *testing.T) {
	dir := t.TempDir()
	want := patchwork(7, 3<<20)
	from := sparseFile(t, filepath.Join(dir, "from"), want, 8<<20)
	want = append(want, make([]byte, 5<<20)...)

	var stream, piped bytes.Buffer
	var last int64
	if err := SendFile(&stream, from, 10<<20, func(off int64) { last = off }); err != nil {
		t.Fatal(err)
	}
	if last != 8<<20 {
		t.Errorf("progress ended at %d", last)
	}
	if err := SendStream(&piped, bytes.NewReader(want), 10<<20, nil); err != nil {
		t.Fatal(err)
	}
	want = append(want, make([]byte, 2<<20)...)
	for name, s := range map[string][]byte{"file": stream.Bytes(), "pipe": piped.Bytes()} {
		if got, err := readAll(s, 10<<20); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkReceivers(t, filepath.Join(dir, "to"), stream.Bytes(), want)
}

// sparseFile writes data to a new file that is a hole from there to size.
func sparseFile(t *testing.T, path string, data []byte, size int64) *os.File {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func checkReceivers(t *testing.T, path string, stream, want []byte) {
	t.Helper()
	in, _ := NewSparseReader(bytes.NewReader(stream), fault.Server)
	to, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := ReceiveFile(in, to, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file differs: %v", err)
	}
	in, _ = NewSparseReader(bytes.NewReader(stream), fault.Server)
	var plain bytes.Buffer
	if err := ReceiveStream(in, &plain, nil); err != nil || !bytes.Equal(plain.Bytes(), want) {
		t.Errorf("the plain stream differs: %v", err)
	}
}

func TestTooLargeImages(t *testing.T) {
	f := sparseFile(t, filepath.Join(t.TempDir(), "f"), []byte("x"), 4097)
	var out bytes.Buffer
	if err := SendFile(&out, f, 4096, nil); fault.KindOf(err) != fault.Refused || out.Len() > 0 {
		t.Errorf("file: %v, %d bytes sent", err, out.Len())
	}
	err := SendStream(&out, bytes.NewReader(make([]byte, 4097)), 4096, nil)
	if fault.KindOf(err) != fault.Refused {
		t.Errorf("pipe: %v", err)
	}
	if _, err := readAll(out.Bytes(), 4096); err == nil {
		t.Error("the pipe's stream counts as whole")
	}
}

func FuzzSparseReader(f *testing.F) {
	var b bytes.Buffer
	w, _ := NewSparseWriter(&b, 1<<20)
	w.WriteAt([]byte("data"), 70000)
	f.Add(b.Bytes())
	w.Close()
	f.Add(b.Bytes())
	f.Add([]byte(sparseMagic))
	f.Fuzz(func(t *testing.T, stream []byte) {
		in, err := NewSparseReader(bytes.NewReader(stream), fault.Usage)
		if err != nil {
			return
		}
		end := int64(0)
		for {
			off, p, err := in.Next()
			if err != nil {
				if _, _, again := in.Next(); again != err {
					t.Fatalf("first %v, then %v", err, again)
				}
				return
			}
			if off < end || len(p) == 0 || off+int64(len(p)) > in.Size() {
				t.Fatalf("%d bytes at %d after %d of %d", len(p), off, end, in.Size())
			}
			end = off + int64(len(p))
		}
	})
}
