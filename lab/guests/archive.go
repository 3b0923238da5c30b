package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
)

// archive is a cpio archive in the format "newc", as the kernel unpacks it; see
// initramfs-buffer-format in the kernel's documentation. One may follow another in
// a file.
type archive struct {
	buf     bytes.Buffer
	folders map[string]bool
}

const (
	modeFolder = 0o040000
	modeFile   = 0o100000
)

// add adds a file, and the folders that it is in.
func (a *archive) add(name string, permissions uint32, content []byte) {
	a.addFolders(path.Dir(name))
	a.entry(name, modeFile|permissions, content)
}

// addFile adds a program or library of this machine.
func (a *archive) addFile(name, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("for %s in the guests: %w", name, err)
	}
	a.add(name, 0o755, content)
	return nil
}

func (a *archive) addFolders(name string) {
	if name == "." || a.folders[name] {
		return
	}
	a.addFolders(path.Dir(name))
	if a.folders == nil {
		a.folders = map[string]bool{}
	}
	a.folders[name] = true
	a.entry(name, modeFolder|0o755, nil)
}

// bytes ends the archive and returns it.
func (a *archive) bytes() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.buf.Bytes()
}

func (a *archive) entry(name string, mode uint32, content []byte) {
	a.buf.WriteString("070701")
	for _, field := range []uint32{
		0, mode, 0, 0, 1, 0, uint32(len(content)), // inode, mode, uid, gid, links, time, size
		0, 0, 0, 0, uint32(len(name) + 1), 0, // devices, length of the name with its NUL
	} {
		fmt.Fprintf(&a.buf, "%08X", field)
	}
	a.buf.WriteString(name + "\x00")
	a.pad()
	a.buf.Write(content)
	a.pad()
}

// pad fills up to the next multiple of four.
func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}
