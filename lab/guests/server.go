package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// guestUser is the user that the guests act as: an operator, who may prime hosts
// and run tasks.
const guestUser = "backup"

// server is a copyserver with its administrator.
type server struct {
	bin, work     string
	out           *display
	cmd           *exec.Cmd
	log           bytes.Buffer // read it only when cmd has ended
	guestPassword string
	addresses     struct {
		Address string `json:"address"`
		NBD     string `json:"nbd_address"`
	}
}

// newServer starts a server on an empty state folder, on ports that are free.
func newServer(ctx context.Context, bin, work string, out *display) (*server, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, work: work, out: out, guestPassword: rand.Text()}
	s.addresses.Address, s.addresses.NBD = "127.0.0.1:0", "127.0.0.1:0"
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, s.writeConfig("passw0rd")
}

// start starts the server where it was before, and returns when it is ready.
func (s *server) start(ctx context.Context) error {
	ready := filepath.Join(s.work, "ready")
	if err := os.RemoveAll(ready); err != nil {
		return err
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "copyserver"),
		"--state", filepath.Join(s.work, "state"), "--array-serial", "13698",
		"--listen", s.addresses.Address, "--nbd-listen", s.addresses.NBD, "--ready-file", ready)
	s.cmd.Stderr = &s.log
	s.out.command("server", "copyserver --state STATE --array-serial 13698 --listen",
		s.addresses.Address, "--nbd-listen", s.addresses.NBD, "&")
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, ready); err != nil {
		return errors.Join(err, s.kill(), fmt.Errorf("it said:\n%s", s.log.String()))
	}
	return nil
}

// awaitReady waits for the server's ready file and reads its addresses from it.
func (s *server) awaitReady(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil {
			return json.Unmarshal(text, &s.addresses)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", err)
		}
	}
}

// addressInGuests is what QEMU's network calls an address of this machine.
func (s *server) addressInGuests() string {
	_, port, _ := net.SplitHostPort(s.addresses.Address)
	return net.JoinHostPort("10.0.2.2", port)
}

// writeConfig writes the configuration of the administrator's commands.
func (s *server) writeConfig(password string) error {
	text := fmt.Sprintf("server: %s\nuser: superuser\npassword: %s\n",
		s.addresses.Address, password)
	return os.WriteFile(filepath.Join(s.work, "rscli.yaml"), []byte(text), 0o600)
}

// furnish changes the password that every installation starts with, adds the user
// of the guests, and creates the volumes.
func (s *server) furnish(ctx context.Context) error {
	password := rand.Text()
	users := fmt.Sprintf("chuser superuser %s\n", password)
	if _, err := s.runWith(ctx, users, "setuser"); err != nil {
		return err
	}
	if err := s.writeConfig(password); err != nil {
		return err
	}
	users = fmt.Sprintf("adduser %s %s\n", guestUser, s.guestPassword)
	if _, err := s.runWith(ctx, users, "setuser"); err != nil {
		return err
	}
	_, err := s.run(ctx, "esscli", "create", "volume", "--size", "64MiB", "--count", "4",
		"--first", filesSource[:3])
	return err
}

// run runs a command of the suite on the server's machine, shows it, and returns
// what it printed.
func (s *server) run(ctx context.Context, words ...string) (string, error) {
	return s.runWith(ctx, "", words...)
}

// runWith is run with a text on standard input.
func (s *server) runWith(ctx context.Context, stdin string, words ...string) (string, error) {
	shown := words
	if stdin != "" {
		shown = append(words[:len(words):len(words)], "< users.txt")
	}
	s.out.command("server", shown...)
	stdout, stderr, err := s.exec(ctx, stdin, words)
	s.out.print(stdout + stderr)
	return stdout, err
}

// exec runs a command of the suite and returns what it printed.
func (s *server) exec(
	ctx context.Context, stdin string, words []string,
) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, words[0]), words[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.work,
		"RSCLI_CONFIG=" + filepath.Join(s.work, "rscli.yaml")}
	cmd.Stdin = strings.NewReader(stdin)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("server: %s: %w", strings.Join(words, " "), err)
	}
	return out.String(), messages.String(), err
}

// kill ends the server as a power loss would. One that does not run it leaves alone.
func (s *server) kill() error {
	if s.cmd.Process == nil || s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	s.cmd.Wait() // says that it was killed
	return nil
}

// stop ends the server as its administrator would.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("copyserver: %w\n%s", err, s.log.String())
	}
	return nil
}
