package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// copyserver is a Copy Services server of ours at work.
type copyserver struct {
	*daemon
	lab     *lab
	config  string // file of the commands' configuration
	address struct {
		REST        string `json:"address"`
		NBD         string `json:"nbd_address"`
		Fingerprint string `json:"fingerprint"`
	}
}

// startServer starts a server on the state folder state, with env added to its
// environment. Its certificate is pinned for the commands, as it is for all
// calls of a script but the very first.
func (l *lab) startServer(ctx context.Context, state string, env ...string) (*copyserver, error) {
	s := &copyserver{lab: l, config: state + ".config"}
	ready := state + ".ready"
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cmd := l.command(ctx, env, l.program("copyserver"), "--state", state,
		"--listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0", "--array-serial", "13698",
		"--log-format", "json", "--ready-file", ready)
	var err error
	s.daemon, err = startDaemon(cmd, state+".log", func() bool {
		_, err := os.Stat(ready)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.introduce(ready); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// introduce writes what the commands need to know of the server.
func (s *copyserver) introduce(ready string) error {
	data, err := os.ReadFile(ready)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &s.address); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	password, pins := s.config+".password", s.config+".pins"
	config := fmt.Sprintf("server: %s\nuser: superuser\npassword_file: %s\nknown_servers: %s\n",
		s.address.REST, filepath.Base(password), filepath.Base(pins))
	for file, text := range map[string]string{
		password: "passw0rd\n",
		pins:     s.address.REST + " " + s.address.Fingerprint + "\n",
		s.config: config,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command against the server and returns what it printed.
func (s *copyserver) run(ctx context.Context, name string, args ...string) (string, error) {
	return s.lab.output(s.lab.command(ctx, s.env(), s.lab.program(name), args...))
}

// timed runs a command against the server and returns the seconds it took.
func (s *copyserver) timed(ctx context.Context, name string, args ...string) (float64, error) {
	return s.lab.timed(s.lab.command(ctx, s.env(), s.lab.program(name), args...))
}

func (s *copyserver) env() []string { return []string{"RSCLI_CONFIG=" + s.config} }

// createVolumes returns the serials of count new volumes of that size.
func (s *copyserver) createVolumes(ctx context.Context, size string, count int) ([]string, error) {
	out, err := s.run(ctx, "esscli", "create", "volume", "--size", size,
		"--count", fmt.Sprint(count))
	if err != nil {
		return nil, err
	}
	serials := strings.Fields(out)
	if len(serials) != count {
		return nil, fmt.Errorf("esscli create volume printed %q", out)
	}
	return serials, nil
}

// uri returns where hosts find the volume.
func (s *copyserver) uri(serial string) string { return "nbd://" + s.address.NBD + "/" + serial }

// request is a line of the server's log about a request that it answered.
type request struct {
	Message  string        `json:"msg"`
	Method   string        `json:"method"`
	Path     string        `json:"path"`
	Status   int           `json:"status"`
	Duration time.Duration `json:"duration"` // from its header to its answer
}

// requests returns the requests of a log in JSON lines, in their order.
func requests(log []byte) ([]request, error) {
	var out []request
	for line := range bytes.Lines(log) {
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("server log: %w in %q", err, line)
		}
		if r.Message == "request" {
			out = append(out, r)
		}
	}
	return out, nil
}

// stopAndRead stops the server, after which its log is whole, and returns the
// requests in it.
func (s *copyserver) stopAndRead() ([]request, error) {
	if err := s.stop(); err != nil {
		return nil, err
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		return nil, err
	}
	return requests(log)
}
