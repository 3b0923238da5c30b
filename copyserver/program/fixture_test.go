package program

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"copyservices/copyserver"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// syncBuffer is written to by a program that runs while it is read.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns all that was written.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newAndStop makes a server and stops it before it serves.
func newAndStop(opts copyserver.Options) error {
	s, err := copyserver.New(opts)
	if err != nil {
		return err
	}
	return s.Stop(context.Background())
}
