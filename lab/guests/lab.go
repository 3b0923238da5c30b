package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The volumes, as the white paper has them.
const (
	filesSource    = "20313698"
	filesTarget    = "20413698"
	databaseSource = "20513698"
	databaseTarget = "20613698"
)

// lab is the server and the two guests.
type lab struct {
	work   string // folder of this run
	server *server
	// first has the sources as its disks, second the targets.
	first, second *guest
	out           *display
}

// newLab starts the server and makes the volumes, and boots both guests.
func newLab(ctx context.Context, o options, p parts, out *display) (*lab, error) {
	work, err := os.MkdirTemp("", "guests")
	if err != nil {
		return nil, err
	}
	l := &lab{work: work, out: out}
	if err := l.start(ctx, o, p); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// start fills an empty lab. Where it fails, close ends what it has started.
func (l *lab) start(ctx context.Context, o options, p parts) (err error) {
	l.out.say("A Copy Services server, its users, and four volumes")
	l.server, err = newServer(ctx, o.bin, l.work, l.out)
	if err != nil {
		return err
	}
	if err := l.server.furnish(ctx); err != nil {
		return err
	}
	initrd := filepath.Join(l.work, "initrd")
	if err := l.writeInitrd(initrd, o, p); err != nil {
		return err
	}
	l.out.say("Two guests; their disks are the volumes")
	m := machine{name: "rich-w2k-os-1", kernel: p.kernel, initrd: initrd,
		nbd: l.server.addresses.NBD, volumes: []string{filesSource, databaseSource}}
	if l.first, err = m.boot(ctx, l.out); err != nil {
		return err
	}
	second := m
	second.name, second.volumes = "RICH-W2K-OS-2", []string{filesTarget, databaseTarget}
	if l.second, err = second.boot(ctx, l.out); err != nil {
		return err
	}
	if l.first, err = m.ready(ctx, l.first, l.out); err != nil {
		return err
	}
	l.second, err = second.ready(ctx, l.second, l.out)
	return err
}

func (l *lab) guests() []*guest { return []*guest{l.first, l.second} }

// writeInitrd writes the base with, behind it, what is of this run: the suite's
// binaries and its configuration.
func (l *lab) writeInitrd(file string, o options, p parts) error {
	base, err := os.ReadFile(p.base)
	if err != nil {
		return err
	}
	var a archive
	a.add("init", 0o755, []byte(initScript))
	a.add("console.sh", 0o644, []byte(consoleScript))
	a.add("bin/dbload", 0o755, []byte(dbloadScript))
	for _, name := range guestCommands {
		if err := a.addFile("bin/"+name, filepath.Join(o.bin, name)); err != nil {
			return err
		}
	}
	a.add("etc/rscli.yaml", 0o644, fmt.Appendf(nil,
		"server: %s\nuser: %s\npassword_file: /etc/rscli.password\n",
		l.server.addressInGuests(), guestUser))
	a.add("etc/rscli.password", 0o600, []byte(l.server.guestPassword+"\n"))
	return os.WriteFile(file, bytes.Join([][]byte{base, a.bytes()}, nil), 0o600)
}

// close ends what still runs and removes what it left. It can be called at any
// time.
func (l *lab) close() error {
	var errs []error
	for _, g := range l.guests() {
		if g != nil {
			errs = append(errs, g.kill())
		}
	}
	if l.server != nil {
		errs = append(errs, l.server.kill())
	}
	return errors.Join(append(errs, os.RemoveAll(l.work))...)
}
