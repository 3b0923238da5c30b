package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// readyAfter is how long a server may take until it answers, stopAfter
	// until it has stopped when it is asked to.
	readyAfter = 20 * time.Second
	stopAfter  = 20 * time.Second
	pollEvery  = 10 * time.Millisecond
)

// daemon is a server that runs until stop.
type daemon struct {
	cmd   *exec.Cmd
	log   string // file with its standard error
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

// startDaemon starts cmd and waits until ready says that it serves.
func startDaemon(cmd *exec.Cmd, log string, ready func() bool) (*daemon, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stderr = file
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		d.err = cmd.Wait()
		close(d.ended)
	}()
	for deadline := time.Now().Add(readyAfter); !ready(); time.Sleep(pollEvery) {
		select {
		case <-d.ended:
			return nil, complaint(cmd, errors.Join(errors.New("ended at once"), d.err), log)
		default:
		}
		if time.Now().After(deadline) {
			err := fmt.Errorf("not ready after %s", readyAfter)
			return nil, errors.Join(complaint(cmd, err, log), d.stop())
		}
	}
	return d, nil
}

// stop ends the server and waits for its end. A program that does not catch
// the signal, or answers it with an exit code of its own, is no error.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		_ = d.cmd.Process.Kill()
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(stopAfter):
		return errors.Join(complaint(d.cmd, fmt.Errorf("still there after %s", stopAfter), d.log),
			d.cmd.Process.Kill())
	}
}

// freePort returns a port of the loopback address that nobody listens on, for
// servers that cannot pick one and say which.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// answers reports whether somebody listens on the port.
func answers(port string) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// peerServer starts a server of others that is to listen on a free port, which
// args gets.
func (l *lab) peerServer(
	ctx context.Context, t tool, args func(port string) []string,
) (*daemon, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	cmd := l.command(ctx, nil, t.name, args(port)...)
	d, err := startDaemon(cmd, filepath.Join(l.disk, t.name+".log"),
		func() bool { return answers(port) })
	return d, port, err
}
