package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"
)

const (
	memoryCase  = "memory"
	memoryLimit = 4 << 20 // bytes per TiB under copy
	// memoryTracks is how many tracks of the source hold 4 KiB of data each.
	memoryTracks = 1 << 15
	// heldTight makes the collector run so often that what is resident is
	// little more than what is in use.
	heldTight = "GOMEMLIMIT=8MiB"
	// copyFor is how long the copy is watched at least.
	copyFor = 3 * time.Second
)

func memorySection() section {
	return section{
		name: memoryCase, title: "Memory of the server under copy", cases: []string{memoryCase},
		how: "VmRSS of copyserver: the greatest from the establish of one pair on, for three " +
			"seconds or longer, less that before it. The source has 4 KiB of data in each of " +
			"32,768 tracks evenly apart; while the background copy is running fio writes blocks " +
			"of 4 KiB at random over the whole of it (4,096 in 1 TiB, 16,384 in 16 TiB), so that " +
			"copied and missing tracks mix everywhere. The files are in memory: a disk would " +
			"make the setting up long. Before, one login has paid for the password hash (19 MiB), " +
			"and Go's collector leaves garbage lying until there is reason to fetch it: the " +
			"growth may hide in the room that the hash has left. So it is taken again with the " +
			"collector held tight (`" + heldTight + "`), which shows what is in use, for 1 TiB " +
			"and, divided by 16, for 16 TiB, where buffers that do not depend on the size count " +
			"for little.",
		needs:   []tool{fio},
		measure: measureMemory,
	}
}

func measureMemory(ctx context.Context, l *lab) ([]row, error) {
	if runtime.GOOS != "linux" {
		return []row{{work: "growth of VmRSS", ours: "not measured: it needs Linux's /proc"}}, nil
	}
	large, err := prepareMemory(ctx, l, "1TiB", 1<<40)
	if err != nil {
		return nil, err
	}
	growth := func(pair memoryPair, env ...string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return pair.growth(ctx, l, env) }
	}
	subjects := []subject{
		{name: "1 TiB", measure: growth(large)},
		{name: "1 TiB, collector held tight", measure: growth(large, heldTight)},
	}
	if !l.short {
		largest, err := prepareMemory(ctx, l, "16TiB", 16<<40)
		if err != nil {
			return nil, err
		}
		perTiB := func(ctx context.Context) (float64, error) {
			grown, err := largest.growth(ctx, l, []string{heldTight})
			return grown / 16, err
		}
		subjects = append(subjects,
			subject{name: "16 TiB, collector held tight, per TiB", measure: perTiB})
	}
	results, err := interleave(ctx, l.rounds, 1, subjects)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, r := range results {
		rows = append(rows, figure("growth of VmRSS, "+r.name, r.span(), mebibytes,
			atMost(memoryLimit, "≤ 4 MiB")))
	}
	return rows, nil
}

// memoryPair is a pair of volumes of the same size, whose source has data.
type memoryPair struct {
	state          string // folder
	source, target string // serials
	writes         int    // of 4 KiB at random, while the copy is running
}

func prepareMemory(
	ctx context.Context, l *lab, size string, bytes int64,
) (p memoryPair, err error) {
	p.state = filepath.Join(l.memory, size)
	// A page of the engine's bitmap covers about 2 GiB. Two writes or more for
	// each touch most of them.
	p.writes = int(max(4096, bytes>>30))
	image := p.state + ".image"
	if err := makeImage(image, bytes, scattered(bytes, memoryTracks)); err != nil {
		return p, err
	}
	s, err := l.startServer(ctx, p.state)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.stop(), os.Remove(image)) }()
	v, err := s.createVolumes(ctx, size, 2)
	if err != nil {
		return p, err
	}
	p.source, p.target = v[0], v[1]
	_, err = s.run(ctx, "esscli", "import", "volume", p.source, image)
	return p, err
}

// growth starts the server, copies the pair under writes for a while and
// returns by how many bytes the server's resident memory has grown at most.
func (p memoryPair) growth(ctx context.Context, l *lab, env []string) (grown float64, err error) {
	s, err := l.startServer(ctx, p.state, env...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	before, err := s.restingMemory(ctx)
	if err != nil {
		return 0, err
	}
	pid := s.cmd.Process.Pid
	pair := p.source + ":" + p.target
	// Persistent, so that it is there to be withdrawn at the end.
	if _, err := s.run(ctx, "esscli", "create", "relationship", "--persist", pair); err != nil {
		return 0, err
	}
	written := make(chan error, 1)
	go func() { written <- p.write(ctx, s) }()
	peak := before
	for writing, until := true, time.Now().Add(copyFor); writing || time.Now().Before(until); {
		select {
		case err := <-written:
			if err != nil {
				return 0, err
			}
			writing = false
		case <-time.After(pollEvery):
		}
		now, err := residentMemory(pid)
		if err != nil {
			return 0, err
		}
		peak = max(peak, now)
	}
	_, err = s.run(ctx, "esscli", "delete", "relationship", pair)
	return float64(peak - before), err
}

// restingMemory calls the server, the first time with the hash of the password,
// until its collector has done with what that left: the lowest VmRSS that five
// calls in a row did not bring down further.
func (s *copyserver) restingMemory(ctx context.Context) (int64, error) {
	lowest := int64(math.MaxInt64)
	for same := 0; same < 5; same++ {
		if _, err := s.run(ctx, "esscli", "list", "volume"); err != nil {
			return 0, err
		}
		time.Sleep(200 * time.Millisecond)
		now, err := residentMemory(s.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		if now < lowest {
			lowest, same = now, 0
		}
	}
	return lowest, nil
}

func (p memoryPair) write(ctx context.Context, s *copyserver) error {
	_, err := s.lab.fio(ctx, fioJob{
		uri: s.uri(p.source), rw: "randwrite", block: "4k",
		depth: 8, conns: 1, limit: []string{"--number_ios=" + strconv.Itoa(p.writes)},
	})
	return err
}

var vmRSS = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentMemory returns the VmRSS of a process in bytes.
func residentMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseVmRSS(string(status))
}

func parseVmRSS(status string) (int64, error) {
	found := vmRSS.FindStringSubmatch(status)
	if found == nil {
		return 0, fmt.Errorf("no VmRSS in %q", status)
	}
	kib, err := strconv.ParseInt(found[1], 10, 64)
	return kib << 10, err
}
