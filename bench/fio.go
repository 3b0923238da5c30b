package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// fioJob is one run of fio against an NBD export.
type fioJob struct {
	uri   string
	rw    string // read, write, randread, randwrite
	block string // size of a request
	depth int    // requests at once on each connection
	conns int    // connections, each with its own part of the volume
	limit []string
}

// fioRate is what a run came to.
type fioRate struct{ bytes, requests float64 } // per second

// fio runs the job from a process for each connection.
func (l *lab) fio(ctx context.Context, job fioJob) (fioRate, error) {
	file := filepath.Join(l.disk, "fio.json")
	args := append([]string{
		"--name=bench", "--ioengine=nbd", "--uri=" + job.uri, "--rw=" + job.rw, "--bs=" + job.block,
		"--iodepth=" + strconv.Itoa(job.depth), "--numjobs=" + strconv.Itoa(job.conns),
		"--norandommap", "--group_reporting", "--output-format=json", "--output=" + file,
	}, job.limit...)
	if job.conns > 1 {
		share := strconv.Itoa(100/job.conns) + "%"
		args = append(args, "--size="+share, "--offset_increment="+share)
	}
	if _, err := l.output(l.command(ctx, nil, fio.name, args...)); err != nil {
		return fioRate{}, err
	}
	result, err := os.ReadFile(file)
	if err != nil {
		return fioRate{}, err
	}
	return parseFio(result)
}

// parseFio reads fio's result of one group of jobs that only read or only
// write.
func parseFio(result []byte) (fioRate, error) {
	type side struct {
		Bytes    float64 `json:"bw_bytes"`
		Requests float64 `json:"iops"`
	}
	var parsed struct {
		Jobs []struct {
			Error       int
			Read, Write side
		}
	}
	if err := json.Unmarshal(result, &parsed); err != nil {
		return fioRate{}, fmt.Errorf("fio's result: %w", err)
	}
	if len(parsed.Jobs) != 1 || parsed.Jobs[0].Error != 0 {
		return fioRate{}, fmt.Errorf("fio failed: %.2000s", result)
	}
	job := parsed.Jobs[0]
	rate := fioRate{job.Read.Bytes + job.Write.Bytes, job.Read.Requests + job.Write.Requests}
	if rate.requests == 0 {
		return rate, fmt.Errorf("fio did nothing: %.2000s", result)
	}
	return rate, nil
}
