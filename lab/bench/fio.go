package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// fioJob is one run of fio against an NBD export.
type fioJob struct {
	uri   string
	rw    string // read, write, randread, randwrite
	block string // size of a request
	depth int    // requests at once on each connection
	conns int    // connections, each with its own part of the volume
	// once is the size of the volume where each request is to go to the
	// beginning of a track that none went to before; otherwise 0. The job ends
	// when no such track is left.
	once  int64
	limit []string
}

// fioRate is what a run came to.
type fioRate struct {
	bytes, requests float64 // per second
	seconds         float64 // that the run took
}

// fio runs the job from a process for each connection.
func (l *lab) fio(ctx context.Context, job fioJob) (fioRate, error) {
	file := filepath.Join(l.disk, "fio.json")
	args := append(job.args(), "--output="+file)
	if _, err := l.output(l.command(ctx, nil, fio.name, args...)); err != nil {
		return fioRate{}, err
	}
	result, err := os.ReadFile(file)
	if err != nil {
		return fioRate{}, err
	}
	return parseFio(result)
}

func (job fioJob) args() []string {
	args := append([]string{
		"--name=bench", "--ioengine=nbd", "--uri=" + job.uri, "--rw=" + job.rw, "--bs=" + job.block,
		"--iodepth=" + strconv.Itoa(job.depth), "--numjobs=" + strconv.Itoa(job.conns),
		"--group_reporting", "--output-format=json",
	}, job.limit...)
	if job.conns > 1 {
		share := strconv.Itoa(100/job.conns) + "%"
		args = append(args, "--size="+share, "--offset_increment="+share)
	}
	if job.once == 0 {
		return append(args, "--norandommap")
	}
	// fio's map of what it has written does not go with blockalign, its
	// generator without repetition does. That one counts the blocks of a zone:
	// the zone is made so small that it has as many blocks as the connection's
	// part of the volume has tracks.
	blocks := strconv.FormatInt(job.once/int64(job.conns)/(trackSize/blockSize), 10)
	return append(args, "--blockalign="+strconv.Itoa(trackSize), "--random_generator=lfsr",
		"--zonemode=strided", "--zonerange="+blocks, "--io_size="+blocks,
		"--zonesize="+strconv.FormatInt(job.once, 10))
}

const (
	trackSize = 64 << 10 // bytes; the unit of copying
	blockSize = 4 << 10  // of the small requests
)

// runFor makes a job run for a time, again and again over its part if need be.
func runFor(d time.Duration) []string { return append(runAtMost(d), "--time_based") }

// runAtMost makes a job end after a time.
func runAtMost(d time.Duration) []string {
	return []string{fmt.Sprintf("--runtime=%dms", d.Milliseconds())}
}

// parseFio reads fio's result of one group of jobs that only read or only
// write. Warnings may come before it.
func parseFio(result []byte) (fioRate, error) {
	type side struct {
		Bytes    float64 `json:"bw_bytes"`
		Requests float64 `json:"iops"`
		Runtime  float64 // milliseconds
	}
	var parsed struct {
		Jobs []struct {
			Error       int
			Read, Write side
		}
	}
	if start := bytes.Index(result, []byte("{\n")); start > 0 {
		result = result[start:]
	}
	if err := json.Unmarshal(result, &parsed); err != nil {
		return fioRate{}, fmt.Errorf("fio's result: %w", err)
	}
	if len(parsed.Jobs) != 1 || parsed.Jobs[0].Error != 0 {
		return fioRate{}, fmt.Errorf("fio failed: %.2000s", result)
	}
	job := parsed.Jobs[0]
	rate := fioRate{job.Read.Bytes + job.Write.Bytes, job.Read.Requests + job.Write.Requests,
		(job.Read.Runtime + job.Write.Runtime) / 1e3}
	if rate.requests == 0 {
		return rate, fmt.Errorf("fio did nothing: %.2000s", result)
	}
	return rate, nil
}
