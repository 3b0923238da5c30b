package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"copyservices/copyserver/api"
)

// arraySerial is that of the array under test.
const arraySerial = "13698"

// readyLimit is how long a server may take until it serves.
const readyLimit = time.Minute

// server is a running copyserver.
type server struct {
	cmd    *exec.Cmd
	log    string // file with its standard error
	ended  chan struct{}
	client *api.Client
	nbd    string // address of its export
}

// startServer starts the program on the state folder; its log and ready file are
// called base with a suffix.
func startServer(ctx context.Context, program, state, base string) (*server, error) {
	s := &server{log: base + ".log", ended: make(chan struct{})}
	ready := base + ".ready"
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(program, "--state", state, "--array-serial", arraySerial,
		"--listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0", "--ready-file", ready,
		"--log-level", "warn")
	s.cmd.Stderr = log
	if err := start(s.cmd); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	if err := s.await(ctx, ready); err != nil {
		s.kill()
		return nil, fmt.Errorf("copyserver: %w: %s", err, s.complaints())
	}
	return s, nil
}

// await waits for the ready file and takes the addresses from it.
func (s *server) await(ctx context.Context, ready string) error {
	for end := time.Now().Add(readyLimit); ; {
		data, err := os.ReadFile(ready)
		if err == nil && len(data) > 0 {
			return s.introduce(data)
		}
		select {
		case <-s.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(end) {
			return errors.New("it is not ready in time")
		}
	}
}

func (s *server) introduce(ready []byte) error {
	var address struct {
		REST string `json:"address"`
		NBD  string `json:"nbd_address"`
	}
	if err := json.Unmarshal(ready, &address); err != nil {
		return err
	}
	s.nbd = address.NBD
	s.client = api.New(api.Options{
		Servers: []string{address.REST}, User: "superuser", Password: "passw0rd",
		TLS:     func(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} },
		Timeout: patience,
	})
	return nil
}

// kill ends the server without any warning and waits for its end.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.ended
	if s.client != nil {
		s.client.Close()
	}
}

// complaints returns the end of the server's log.
func (s *server) complaints() string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	const most = 1000
	return strings.TrimSpace(string(data[max(0, len(data)-most):]))
}

// gone reports whether err is for the reason that the server was killed.
func (s *server) gone(err error) bool {
	var answer nbdError
	if errors.As(err, &answer) {
		return false
	}
	select {
	case <-s.ended:
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}
