package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// starter starts child processes from one thread that lives as long as the
// harness: Linux kills a child that asked for it when the thread ends that
// started it.
var starter = sync.OnceValue(func() chan func() {
	requests := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range requests {
			f()
		}
	}()
	return requests
})

// start starts cmd, which is killed when the harness dies.
func start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

// insideVariable has in the environment of the process that does the work the
// folder for it.
const insideVariable = "POWERLOSS_INSIDE"

// errInside says that the harness inside has failed, and has said why.
var errInside = errors.New("the harness has failed")

// apart runs the harness once more. However that one ends, by its time limit too,
// all that it started ends with it, and what it mounted is unmounted.
func (o options) apart(args []string) (err error) {
	top, err := o.makeTop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clearTop(top)) }()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideVariable+"="+top)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := start(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.After(o.limit())
	for {
		select {
		case err := <-ended:
			var status *exec.ExitError
			if errors.As(err, &status) { // it has said why
				return errInside
			}
			return err
		case s := <-signals:
			cmd.Process.Signal(s)
		case <-limit:
			cmd.Process.Kill()
			return errors.Join(errors.New("it took too long"), <-ended)
		}
	}
}

// memoryDir is a file system in memory, taken where it has room.
const (
	memoryDir  = "/dev/shm"
	roomNeeded = 8 << 30 // bytes
)

// makeTop makes the folder in which everything happens.
func (o options) makeTop() (string, error) {
	dir := o.dir
	var st unix.Statfs_t
	if dir == "" && unix.Statfs(memoryDir, &st) == nil &&
		int64(st.Bavail)*int64(st.Bsize) > roomNeeded {
		dir = memoryDir
	}
	return os.MkdirTemp(dir, "powerloss-")
}

// clearTop removes the folder, and unmounts what a harness that was killed left.
func clearTop(top string) error {
	for _, dir := range []string{mountDir, fuseDir} {
		unix.Unmount(filepath.Join(top, trialDir, dir), unix.MNT_DETACH)
	}
	return os.RemoveAll(top)
}
