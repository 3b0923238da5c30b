package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// commandLimit is how long mkfs, mount and their like may take.
const commandLimit = time.Minute

// command runs a program to its end.
func command(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// mounted is a file system on a device of ours. The way is long: the kernel's
// file system, a loop device, a file of nbdfuse, our NBD server.
type mounted struct {
	dir    string // the file system
	disk   string // the file that is the device
	export *export
	fuse   *exec.Cmd
	ended  chan struct{} // nbdfuse has
}

// The folders of a trial on which something is mounted.
const (
	trialDir = "trial"
	mountDir = "mnt"
	fuseDir  = "fuse"
)

// plug makes a file of the device, in the folder work.
func plug(ctx context.Context, d *device, work string) (_ *mounted, err error) {
	m := &mounted{dir: filepath.Join(work, mountDir), ended: make(chan struct{})}
	fuse, socket := filepath.Join(work, fuseDir), filepath.Join(work, "socket")
	m.disk = filepath.Join(fuse, "disk")
	for _, dir := range []string{m.dir, fuse} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if m.export, err = serveDevice(d, socket); err != nil {
		return nil, err
	}
	m.fuse = exec.Command("nbdfuse", m.disk, "--unix", socket)
	m.fuse.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints strings.Builder
	m.fuse.Stderr = &complaints
	if err := start(m.fuse); err != nil {
		m.export.close()
		return nil, err
	}
	go func() {
		m.fuse.Wait()
		close(m.ended)
	}()
	if err := m.appear(ctx); err != nil {
		m.unplug()
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaints.String()))
	}
	return m, nil
}

// appear waits until nbdfuse shows the file.
func (m *mounted) appear(ctx context.Context) error {
	for end := time.Now().Add(20 * time.Second); ; {
		if info, err := os.Stat(m.disk); err == nil && info.Size() == m.export.device.size {
			return nil
		}
		select {
		case <-m.ended:
			return errors.New("nbdfuse ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(end) {
			return errors.New("nbdfuse shows no file")
		}
	}
}

// shutDown makes the file system forget what it has not written, if it can: what
// comes of the disk does not matter any more.
func (m *mounted) shutDown() {
	const request, withoutLog = 0x8004587d, 2 // XFS_IOC_GOINGDOWN, which ext4 has too
	if dir, err := os.Open(m.dir); err == nil {
		unix.IoctlSetPointerInt(int(dir.Fd()), request, withoutLog)
		dir.Close()
	}
}

// unmount unmounts the file system, by force if it does not go.
func (m *mounted) unmount() error {
	var err error
	for range 20 {
		if err = unix.Unmount(m.dir, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if errors.Is(err, unix.EINVAL) { // it was not mounted
		return nil
	}
	if err != nil {
		unix.Unmount(m.dir, unix.MNT_DETACH)
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return nil
}

// unplug takes the device away. Whoever still uses it gets errors.
func (m *mounted) unplug() {
	fuse := filepath.Dir(m.disk)
	for range 50 { // the loop device lets the file go a moment after the unmount
		if err := unix.Unmount(fuse, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(4 * time.Millisecond)
	}
	unix.Unmount(fuse, unix.MNT_DETACH)
	select {
	case <-m.ended:
	case <-time.After(3 * time.Second):
		m.fuse.Process.Kill()
		<-m.ended
	}
	m.export.close()
}
