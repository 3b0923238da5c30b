package program_test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"copyservices/rscli/rsclitest"
)

func TestReadLineLeavesTheRest(t *testing.T) {
	b := rsclitest.NewBench(t)
	in := strings.NewReader("yes\r\nmore")
	b.Stdin = in
	line, err := b.ReadLine(t.Context())
	if line != "yes" || err != nil || in.Len() != len("more") {
		t.Errorf("read %q, %v, %d bytes left", line, err, in.Len())
	}
	if line, err = b.ReadLine(t.Context()); line != "more" || err != nil {
		t.Errorf("an unended line is %q, %v", line, err)
	}
	if _, err = b.ReadLine(t.Context()); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	silent, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	b.Stdin = silent
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err = b.ReadLine(ctx); err != context.DeadlineExceeded {
		t.Errorf("nothing typed: %v", err)
	}
}
