package program

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"copyservices/arrayclient/fault"
)

// brokenSink is a disk that is full.
type brokenSink struct{ calls int }

func (s *brokenSink) put(severity, string) error {
	s.calls++
	return errors.New("no space left on device")
}

func (s *brokenSink) Close() error { return nil }

func TestLostLogIsToldOnce(t *testing.T) {
	var stderr strings.Builder
	e := &Env{Name: "rsQuery", Stderr: &stderr}
	to := &brokenSink{}
	e.logSink = &logSink{target: to, warn: e.warnLogLost}
	e.Warn("one")
	e.end(fault.New(fault.Busy, "two").WithHint("three"))
	want := "rsQuery: warning: one\n" +
		"rsQuery: warning: the log is incomplete: no space left on device\n" +
		"rsQuery: error: two\nrsQuery: hint: three\n"
	if got := stderr.String(); got != want || to.calls != 3 {
		t.Errorf("%d messages were kept, stderr is\n%s", to.calls, got)
	}
}

func TestLinesOfManyWritersDoNotMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rs.log")
	text := strings.Repeat("x", 3000)
	var all sync.WaitGroup
	for range 8 {
		to, err := openLogFile(&Env{Name: "rsQuery"}, path)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer to.Close()
			for range 50 {
				if err := to.put(severityInfo, text); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\S+ rsQuery\[\d+\]: ` + text + `\n$`)
	lines := 0
	for line := range strings.Lines(string(kept)) {
		if lines++; !whole.MatchString(line) {
			t.Fatalf("a line is %q", line)
		}
	}
	if lines != 400 {
		t.Errorf("%d lines", lines)
	}
}
