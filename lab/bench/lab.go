package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lab is where the measurements take place: folders of its own, which close
// removes, and the binaries under test. It is for one goroutine.
type lab struct {
	options
	bin    string // folder of the binaries
	disk   string // folder on the file system that is measured on
	memory string // folder in memory, where the system has such a file system
	stderr string // file that takes what the program at work complains of
	mounts []string
	log    io.Writer
}

// memoryDir is a file system in memory on Linux.
const memoryDir = "/dev/shm"

// newLab makes the folders and builds the binaries.
func newLab(ctx context.Context, o options, log io.Writer) (_ *lab, err error) {
	l := &lab{options: o, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.disk, err = os.MkdirTemp(o.dir, "copyservices-bench-"); err != nil {
		return nil, err
	}
	l.memory, err = os.MkdirTemp(memoryDir, "copyservices-bench-")
	if err != nil {
		l.memory, err = os.MkdirTemp(o.dir, "copyservices-bench-")
	}
	if err != nil {
		return nil, err
	}
	l.bin, l.stderr = filepath.Join(l.disk, "bin"), filepath.Join(l.disk, "stderr")
	l.logf("building")
	return l, l.goCommand(ctx, "build", "-o", l.bin+string(filepath.Separator),
		"./cmd/...", "./rscli/hostdisk/sysgen")
}

// close removes the folders.
func (l *lab) close() error {
	if err := l.unmount(); err != nil {
		return err // what is still mounted is not to be emptied
	}
	var errs []error
	for _, dir := range []string{l.disk, l.memory} {
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

func (l *lab) goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// program returns the path of one of our binaries.
func (l *lab) program(name string) string { return filepath.Join(l.bin, name) }

func (l *lab) logf(format string, args ...any) {
	fmt.Fprintf(l.log, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// command prepares a program with an environment that no setting of the user
// reaches: env is added to the search path and the folder for temporary files.
func (l *lab) command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.disk, "TMPDIR=" + l.disk, "LC_ALL=C",
	}, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopAfter
	return cmd
}

// timed runs the program to its end and returns the seconds from its start to
// its end, as a script that waits for it has them. Its output is dropped by the
// system, without a process that reads it.
func (l *lab) timed(cmd *exec.Cmd) (float64, error) {
	complaints, err := os.Create(l.stderr)
	if err != nil {
		return 0, err
	}
	defer complaints.Close()
	cmd.Stderr = complaints
	start := time.Now()
	err = cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, complaint(cmd, err, l.stderr)
	}
	return took.Seconds(), nil
}

// output runs the program and returns what it printed.
func (l *lab) output(cmd *exec.Cmd) (string, error) {
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err,
			strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

// complaint adds to err what the program wrote on its standard error, which
// went to file.
func complaint(cmd *exec.Cmd, err error, file string) error {
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(string(text)))
}
