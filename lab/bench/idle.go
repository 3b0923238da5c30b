package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	idleCase  = "idle"
	idleConns = 1000
	// idleFor is how long the server's use of processors is watched.
	idleFor = 5 * time.Second
)

func idleSection() section {
	return section{
		name: idleCase, title: "A thousand idle NBD connections", cases: []string{idleCase},
		how: "1,000 connections to one volume finish the handshake and send nothing: growth of " +
			"VmRSS of the server for each, and the processor time of the server in the five " +
			"seconds that follow. copyserver's collector is held tight (`" + heldTight + "`), so that " +
			"garbage of before leaves no room in which the growth would hide. `qemu-nbd` with `-f raw " +
			"-t -e 1100`.",
		measure: measureIdle,
	}
}

// idleCost is what connections cost that do nothing.
type idleCost struct {
	memory    float64 // bytes for each
	processor float64 // seconds of processor time while idleFor passes
}

func measureIdle(ctx context.Context, l *lab) ([]row, error) {
	if runtime.GOOS != "linux" {
		return []row{{work: "idle connections", ours: "not measured: it needs Linux's /proc"}}, nil
	}
	memory := []series{{name: "copyserver"}, {name: qemuNBD.name, missing: qemuNBD.notMeasured()}}
	processor := []series{memory[0], memory[1]}
	for range l.rounds {
		for i, start := range []func(context.Context, *lab) (nbdExport, int, error){idleOurs, idlePeer} {
			if memory[i].missing != "" {
				continue
			}
			cost, err := measureIdleServer(ctx, l, start)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", memory[i].name, err)
			}
			memory[i].values = append(memory[i].values, cost.memory)
			processor[i].values = append(processor[i].values, cost.processor)
		}
	}
	// Both may be zero, which has no ratio.
	used := figure("processor time in five seconds", processor[0].span(), milliseconds, aim{})
	if len(processor[1].values) > 0 {
		used.peers = qemuNBD.name + " " + milliseconds(processor[1].span().median)
	}
	return []row{
		against("growth of VmRSS for each connection", memory[0], memory[1:], less, kibibytes, aim{}),
		used,
	}, nil
}

// idleOurs starts a server and returns its process.
func idleOurs(ctx context.Context, l *lab) (nbdExport, int, error) {
	state := filepath.Join(l.disk, idleCase)
	s, err := l.startServer(ctx, state, heldTight)
	if err != nil {
		return nbdExport{}, 0, err
	}
	e := nbdExport{stop: func() error { return errors.Join(s.stop(), os.RemoveAll(state)) }}
	v, err := s.createVolumes(ctx, "64MiB", 1)
	if err != nil {
		return e, 0, err
	}
	if _, err := s.restingMemory(ctx); err != nil {
		return e, 0, err
	}
	e.uri = s.uri(v[0])
	return e, s.cmd.Process.Pid, nil
}

func idlePeer(ctx context.Context, l *lab) (nbdExport, int, error) {
	file := filepath.Join(l.disk, "idle.raw")
	if err := makeImage(file, 64<<20, scattered(64<<20, 1)); err != nil {
		return nbdExport{}, 0, err
	}
	d, port, err := l.peerServer(ctx, qemuNBD, func(port string) []string {
		return []string{"-f", "raw", "-t", "-e", "1100", "-b", "127.0.0.1", "-p", port, file}
	})
	if err != nil {
		return nbdExport{}, 0, err
	}
	return nbdExport{uri: "nbd://127.0.0.1:" + port + "/", stop: d.stop}, d.cmd.Process.Pid, nil
}

// measureIdleServer starts a server, connects to it and watches it.
func measureIdleServer(
	ctx context.Context, l *lab, start func(context.Context, *lab) (nbdExport, int, error),
) (cost idleCost, err error) {
	e, pid, err := start(ctx, l)
	if e.stop != nil {
		defer func() { err = errors.Join(err, e.stop()) }()
	}
	if err != nil {
		return cost, err
	}
	before, err := residentMemory(pid)
	if err != nil {
		return cost, err
	}
	count := idleConns
	if l.short {
		count = 100
	}
	for range count {
		conn, err := attach(e.uri)
		if err != nil {
			return cost, err
		}
		defer conn.Close()
	}
	time.Sleep(time.Second) // until the last goroutine has gone to sleep
	after, err := residentMemory(pid)
	if err != nil {
		return cost, err
	}
	cost.memory = float64(after-before) / float64(count)
	cost.processor, err = watchProcessor(ctx, pid, idleFor)
	return cost, err
}

// attach connects to an export, nbd://HOST:PORT/NAME, and finishes the
// handshake; see doc/proto.md of the NetworkBlockDevice project.
func attach(uri string) (_ net.Conn, err error) {
	address, name, _ := strings.Cut(strings.TrimPrefix(uri, "nbd://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(readyAfter)); err != nil {
		return nil, err
	}
	hello := make([]byte, 18) // two magic numbers and flags
	if _, err := io.ReadFull(conn, hello); err != nil {
		return nil, err
	}
	if string(hello[:16]) != "NBDMAGICIHAVEOPT" {
		return nil, fmt.Errorf("%s does not speak NBD: %q", address, hello)
	}
	const flags, exportName = 3, 1 // fixed newstyle, no zeroes; NBD_OPT_EXPORT_NAME
	ask := binary.BigEndian.AppendUint32(nil, flags)
	ask = append(ask, "IHAVEOPT"...)
	ask = binary.BigEndian.AppendUint32(ask, exportName)
	ask = binary.BigEndian.AppendUint32(ask, uint32(len(name)))
	if _, err := conn.Write(append(ask, name...)); err != nil {
		return nil, err
	}
	_, err = io.ReadFull(conn, make([]byte, 10)) // size and flags of the export
	return conn, err
}

// watchProcessor returns how many seconds of processor time the process uses
// while d passes.
func watchProcessor(ctx context.Context, pid int, d time.Duration) (float64, error) {
	before, err := processorTime(pid)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := processorTime(pid)
	return after - before, err
}

func processorTime(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseProcessorTime(string(stat))
}

// parseProcessorTime finds in /proc/PID/stat, see proc_pid_stat(5), the seconds
// of processor time, which it counts in hundredths.
func parseProcessorTime(stat string) (float64, error) {
	// The second field, the name in brackets, may hold anything. What follows
	// begins with the third; utime is the 14th, stime the 15th.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no processor time in %q", stat)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
}
