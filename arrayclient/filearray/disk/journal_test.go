package disk

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestWasDurable compares the search with one that looks at every place a record could
// begin at.
func TestWasDurable(t *testing.T) {
	const gen, size, off = 3, 4096, 24
	rnd := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 2000 {
		b := make([]byte, size)
		for range rnd.IntN(20) { // the generation's bytes, wherever
			binary.LittleEndian.PutUint64(b[rnd.IntN(size-8):], gen)
		}
		if rnd.IntN(2) == 0 {
			at := off + 8*rnd.IntN((size-off-64)/8)
			if rnd.IntN(4) == 0 {
				at += 1 + rnd.IntN(7) // no place for a record
			}
			copy(b[at:], AppendRecord(nil, gen, int64(rnd.IntN(2*off)), 1, []byte("payload")))
		}
		want := false
		for at := off; at+RecordHeaderSize <= size; at += 8 {
			_, _, durable, ok := DecodeRecord(b[at:], gen)
			want = want || ok && durable > off
		}
		if got := WasDurable(b, off, gen); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
		if want {
			found++
		}
	}
	if found < 100 || found > 1900 {
		t.Errorf("a record was found %d times of 2000", found)
	}
}
