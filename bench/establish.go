package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

const (
	establishCase  = "establish"
	establishLimit = 2.0 // times the figure of 1 GiB
)

// establishSizes are those of BenchmarkEstablish in arrayclient/filearray.
var establishSizes = []string{"1GiB", "1TiB", "16TiB"}

func establishSection() section {
	return section{
		name: establishCase, title: "Establishing by size", cases: []string{establishCase},
		how: "`go test -bench Establish ./arrayclient/filearray`: the array alone establishes a " +
			"nocopy relationship of one pair of empty volumes, made durable before it returns, " +
			"on the file system named above; the withdrawals between are not counted. " +
			"A round is the mean of 50 for each size in turn.",
		measure: measureEstablish,
	}
}

func measureEstablish(ctx context.Context, l *lab) ([]row, error) {
	binary := l.program("filearray.test")
	err := l.goCommand(ctx, "test", "-c", "-o", binary, "./arrayclient/filearray")
	if err != nil {
		return nil, err
	}
	times := "50x"
	if l.short {
		times = "10x"
	}
	results := make([]series, len(establishSizes))
	for range l.rounds {
		cmd := l.command(ctx, nil, binary, "-test.run", "^$",
			"-test.bench", "^BenchmarkEstablish$", "-test.benchtime", times)
		out, err := l.output(cmd)
		if err != nil {
			return nil, err
		}
		for i, size := range establishSizes {
			seconds, err := benchTime(out, "BenchmarkEstablish/"+size)
			if err != nil {
				return nil, err
			}
			results[i].name = size
			results[i].values = append(results[i].values, seconds)
		}
	}
	var rows []row
	for _, r := range results[1:] {
		rows = append(rows, multiple("establish "+r.name, r, results[0], milliseconds,
			establishLimit))
	}
	return rows, nil
}

// benchTime finds in the output of go test -bench how many seconds one
// operation of the named benchmark takes.
func benchTime(output, name string) (float64, error) {
	// BenchmarkEstablish/1GiB-2   	      50	    612345 ns/op
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(?:-\d+)?\s+\d+\s+(\S+) ns/op`)
	found := line.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("no figure of %s in %q", name, output)
	}
	nanoseconds, err := strconv.ParseFloat(found[1], 64)
	return nanoseconds / 1e9, err
}
