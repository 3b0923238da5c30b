package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func someReport() *report {
	r := &report{
		opts:    options{rounds: 3, only: regexp.MustCompile("^x$")},
		machine: []string{"processors: 2"}, load: "999.00 1.00 1.00", started: time.Now(),
	}
	r.add(section{title: "A title", how: "By measuring."}, []row{{work: "w", ours: "1 ms"}})
	r.finish("0.10 0.20 0.30")
	return r
}

func TestReport(t *testing.T) {
	var b strings.Builder
	if err := someReport().write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- processors: 2\n",
		"- load average: 999.00 1.00 1.00 before, 0.10 0.20 0.30 after\n- the machine had other work",
		"- rounds: 3\n", "- only the cases that match `^x$`\n", "\n## A title\n\n| work |", "\n| w    | 1 ms |",
		"\n\nBy measuring.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in %s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "short") {
		t.Error("it says of itself that it is short")
	}
}

func TestReportKeepsWhatIsWrittenByHand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	if err := someReport().writeFile(file); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(first), kept) {
		t.Fatalf("a new file ends with %q", first[len(first)-50:])
	}
	const byHand = "\n## Why\n\nBecause.\n"
	changed := strings.Replace(string(first), "1 ms", "2 ms", 1) + byHand
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := someReport().writeFile(file); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(file)
	if err != nil || string(second) != string(first)+byHand {
		t.Errorf("%v; got %s", err, second)
	}
}

func TestWrap(t *testing.T) {
	const want = "one two\nthree\nfour\nfivesixseven\n8"
	if got := wrap("one  two\nthree four fivesixseven 8", 9); got != want {
		t.Errorf("got %q", got)
	}
}
