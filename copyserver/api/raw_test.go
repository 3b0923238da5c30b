package api

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// TestSendRange sends ranges that begin and end wherever they like.
func TestSendRange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	data := patchwork(3, 2<<20+512)
	v := &memVolume{data: data}
	for range 20 {
		off := rnd.Int64N(v.Size())
		n := 1 + rnd.Int64N(v.Size()-off)
		var got bytes.Buffer
		if err := SendRange(&got, v, off, n); err != nil || !bytes.Equal(got.Bytes(), data[off:off+n]) {
			t.Fatalf("%d bytes from %d: %d came, %v", n, off, got.Len(), err)
		}
	}
	full := errors.New("full")
	if err := SendRange(failing{full}, v, 0, v.Size()); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// zeroing is a volume that counts what is zeroed with holes.
type zeroing struct {
	memVolume
	zeroed int64
}

func (z *zeroing) Zero(off, n int64, punch bool) error {
	if punch {
		z.zeroed += n
	}
	return z.memVolume.Zero(off, n, punch)
}

// old returns a volume without a zero byte.
func old(size int) *zeroing {
	return &zeroing{memVolume: memVolume{data: bytes.Repeat([]byte{0xAA}, size)}}
}

// trickle hands out its data in small pieces of all sizes, and then err.
type trickle struct {
	data []byte
	err  error
}

func (r *trickle) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 1+len(r.data)%70_000)], r.data)
	if r.data = r.data[n:]; len(r.data) == 0 {
		return n, r.err
	}
	return n, nil
}

func TestReceiveImage(t *testing.T) {
	for _, size := range []int{1, 511, 512, 64<<10 + 1, 2<<20 - 1, 2 << 20} {
		v := old(2 << 20)
		image := patchwork(uint64(size), max(size, 16))[:size]
		n, err := ReceiveImage(&trickle{image, io.EOF}, v)
		want := append(bytes.Clone(image), make([]byte, len(v.data)-size)...)
		if err != nil || n != int64(size) || !bytes.Equal(v.data, want) || !v.flushed {
			t.Errorf("an image of %d bytes: %d, flushed %t, %v", size, n, v.flushed, err)
		}
	}
	v := old(4 << 20)
	image := make([]byte, 4<<20)
	image[3<<20] = 1
	_, err := ReceiveImage(bytes.NewReader(image), v)
	if err != nil || v.zeroed != 4<<20-arrayclient.TrackSize {
		t.Errorf("%d bytes were made a hole: %v", v.zeroed, err)
	}
}

// TestReceiveImageRefuses: what did not come stays.
func TestReceiveImageRefuses(t *testing.T) {
	v := old(1 << 20)
	whole := bytes.Clone(v.data)
	check := func(r io.Reader, came int, kind fault.Kind, text string) {
		t.Helper()
		v.data = bytes.Clone(whole)
		_, err := ReceiveImage(r, v)
		wantFault(t, err, kind, text)
		want := append(bytes.Repeat([]byte{1}, came/2), make([]byte, came/2)...)
		if !bytes.Equal(v.data, append(want, whole[came:]...)) {
			t.Errorf("%s: the volume has something else", text)
		}
	}
	image := append(bytes.Repeat([]byte{1}, 1<<18), make([]byte, 1<<18)...)
	check(strings.NewReader(""), 0, fault.Usage, "is empty")
	check(&trickle{nil, errors.New("reset")}, 0, fault.Connection, "reset")
	check(&trickle{image, io.ErrUnexpectedEOF}, 1<<19, fault.Usage, "cut off after 524288 bytes")
	check(&trickle{image, errors.New("reset")}, 1<<19, fault.Connection, "reset")
	check(&trickle{image, fault.New(fault.Server, "crowded")}, 1<<19, fault.Server, "crowded")
	double := append(bytes.Repeat([]byte{1}, 1<<19), make([]byte, 1<<19+1)...)
	check(&trickle{double, io.EOF}, 1<<20, fault.Refused, "larger than the volume")
}

func TestReceiveRange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	image := patchwork(9, 2<<20)
	for range 10 {
		v := old(2 << 20)
		off := rnd.Int64N(v.Size())
		n := 1 + rnd.Int64N(v.Size()-off)
		want := append(append(bytes.Clone(v.data[:off]), image[:n]...), v.data[off+n:]...)
		err := ReceiveRange(&trickle{image[:n], io.EOF}, v, off, n)
		if err != nil || !bytes.Equal(v.data, want) || !v.flushed {
			t.Fatalf("%d bytes at %d: flushed %t, %v", n, off, v.flushed, err)
		}
		if n == 1 {
			continue
		}
		v = old(2 << 20)
		copy(want[off+n-1:], v.data[off+n-1:])
		err = ReceiveRange(&trickle{image[:n-1], io.EOF}, v, off, n)
		wantFault(t, err, fault.Usage, "cut off after")
		if !bytes.Equal(v.data, want) {
			t.Fatalf("%d bytes at %d, one of which did not come: something else changed", n, off)
		}
		err = ReceiveRange(bytes.NewReader(image[:n]), v, off, n-1)
		wantFault(t, err, fault.Refused, "more came than")
		if !bytes.Equal(v.data, want) {
			t.Fatalf("%d bytes at %d, and one more: something else changed", n-1, off)
		}
	}
}

func TestReceiveReportsTheVolume(t *testing.T) {
	full := fault.New(fault.Refused, "the array is full")
	v := old(1 << 20)
	v.fail = full
	if _, err := ReceiveImage(strings.NewReader("image"), v); err != full {
		t.Errorf("got %v", err)
	}
	if err := ReceiveRange(strings.NewReader("image"), v, 7, 5); err != full {
		t.Errorf("got %v", err)
	}
}
