package disk

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"sort"
)

// OS returns the FS of the folder dir of this machine, which must exist.
func OS(dir string) (FS, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(abs); err != nil {
		return nil, err
	}
	return osFS(abs), nil
}

type osFS string

func (fsys osFS) path(name string) string {
	return filepath.Join(string(fsys), filepath.FromSlash(name))
}

func (fsys osFS) Open(name string) (File, error) {
	return openOS(fsys.path(name), os.O_RDWR)
}

func (fsys osFS) Create(name string) (File, error) {
	return openOS(fsys.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func openOS(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (fsys osFS) Remove(name string) error { return os.Remove(fsys.path(name)) }

func (fsys osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(fsys.path(dir))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

func (fsys osFS) Mkdir(dir string) error { return os.MkdirAll(fsys.path(dir), 0o700) }

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// fill is Allocate where the file system has no such thing. It writes what cannot
// be compressed.
func (f osFile) fill(n int64) error {
	buf := make([]byte, 64<<10)
	for off := int64(0); off < n; off += int64(len(buf)) {
		rand.Read(buf) // never fails, see its documentation
		if _, err := f.WriteAt(buf[:min(n-off, int64(len(buf)))], off); err != nil {
			return err
		}
	}
	return f.Sync()
}

// writeZeros is Punch where the file system has no holes.
func (f osFile) writeZeros(off, n int64) error {
	for n > 0 {
		step := min(n, int64(len(Zeros)))
		if _, err := f.WriteAt(Zeros[:step], off); err != nil {
			return err
		}
		off, n = off+step, n-step
	}
	return nil
}
