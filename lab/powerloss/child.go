package main

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
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

// insideVariable is set in the environment of the process that does the work.
const insideVariable = "POWERLOSS_INSIDE"

// apart runs the harness once more, in a mount namespace of its own: what it
// mounts goes with it, however it ends. It returns the exit code.
func apart() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := start(cmd); err != nil {
		os.Stderr.WriteString("powerloss: error: " + err.Error() + "\n")
		return 1
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode()
}
