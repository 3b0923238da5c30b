// Command archive packs a folder into a .zip or .tar.gz file so that the same
// content gives the same bytes on every machine: sorted, with one time, and
// without the owners and umask of who packs it.
//
//	archive -time SECONDS FILE FOLDER
//
// The names in the archive begin with the folder's own.
package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run returns the exit code: 2 for arguments that cannot be, 1 for all else.
func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("archive", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seconds := flags.Int64("time", 0, "the time of every file, in `SECONDS` since 1970")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 2 {
		fmt.Fprintln(stderr, "archive: error: usage: archive -time SECONDS FILE FOLDER")
		return 2
	}
	if err := pack(flags.Arg(0), flags.Arg(1), time.Unix(*seconds, 0).UTC()); err != nil {
		fmt.Fprintln(stderr, "archive: error:", err)
		return 1
	}
	return 0
}

// entry is a file, folder or link to be packed.
type entry struct {
	name string // with slashes, in the archive
	path string
	mode fs.FileMode
	link string // where a link points
	size int64
}

// archiver writes one format. put reads the content of regular files from r.
type archiver interface {
	put(e entry, r io.Reader) error
	io.Closer
}

// pack leaves no file behind when it fails.
func pack(file, folder string, stamp time.Time) error {
	open := newTar
	switch {
	case strings.HasSuffix(file, ".zip"):
		open = newZip
	case !strings.HasSuffix(file, ".tar.gz"):
		return fmt.Errorf("%s ends in neither .zip nor .tar.gz", file)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	to := open(out, stamp)
	err = errors.Join(putAll(to, folder), to.Close(), out.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// putAll goes through the folder in the order of names.
func putAll(to archiver, folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		e, err := newEntry(path, filepath.Dir(folder))
		if err != nil {
			return err
		}
		if !e.mode.IsRegular() {
			return to.put(e, nil)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return to.put(e, f)
	})
}

// newEntry takes no more of the mode than whether the file can be run.
func newEntry(path, base string) (entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return entry{}, err
	}
	name, err := filepath.Rel(base, path)
	if err != nil {
		return entry{}, err
	}
	e := entry{name: filepath.ToSlash(name), path: path, mode: 0o644, size: info.Size()}
	switch {
	case info.IsDir():
		e.name, e.mode, e.size = e.name+"/", fs.ModeDir|0o755, 0
	case info.Mode()&fs.ModeSymlink != 0:
		e.link, err = os.Readlink(path)
		e.mode, e.size = fs.ModeSymlink|0o777, 0
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no file, folder or link", path)
	case info.Mode()&0o111 != 0:
		e.mode = 0o755
	}
	return e, err
}

type zipArchiver struct {
	*zip.Writer
	stamp time.Time
}

func newZip(w io.Writer, stamp time.Time) archiver { return zipArchiver{zip.NewWriter(w), stamp} }

func (z zipArchiver) put(e entry, r io.Reader) error {
	if e.mode&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a link, and Windows has none", e.path)
	}
	header := &zip.FileHeader{Name: e.name, Modified: z.stamp}
	header.SetMode(e.mode)
	if r != nil {
		header.Method = zip.Deflate
	}
	w, err := z.CreateHeader(header)
	if err != nil || r == nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

type tarArchiver struct {
	*tar.Writer
	zipped *gzip.Writer
	stamp  time.Time
}

func newTar(w io.Writer, stamp time.Time) archiver {
	zipped := gzip.NewWriter(w)
	return tarArchiver{tar.NewWriter(zipped), zipped, stamp}
}

func (t tarArchiver) put(e entry, r io.Reader) error {
	header := &tar.Header{
		Name: e.name, Mode: int64(e.mode.Perm()), Size: e.size, ModTime: t.stamp,
		Linkname: e.link, Uname: "root", Gname: "root", Typeflag: tar.TypeReg,
	}
	switch {
	case e.mode.IsDir():
		header.Typeflag = tar.TypeDir
	case e.link != "":
		header.Typeflag = tar.TypeSymlink
	}
	if err := t.WriteHeader(header); err != nil || r == nil {
		return err
	}
	_, err := io.Copy(t, r)
	return err
}

// Close ends the archive; the file below stays open.
func (t tarArchiver) Close() error { return errors.Join(t.Writer.Close(), t.zipped.Close()) }
