package esscli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/notation"
	"copyservices/taskstore/userfile"
)

// Content travels as a sparse stream, see api.SparseContentType: what is a hole
// or zeros on one side is not sent and becomes a hole on the other.

func (x *essCLI) importVolume() *program.Command {
	return x.leaf(program.Command{
		Name: "volume", Synopsis: "SERIAL FILE|-", Least: 2, Most: 2,
		Kinds:   []program.Kind{program.KindVolume, program.KindFile},
		Summary: "Write an image to a volume; what it is shorter by becomes zeros",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "force", Destination: &x.forceImport,
			Usage: "also under a host that has it attached"}},
		Examples: []string{
			"esscli import volume 20313698 disk.img",
			"gunzip < disk.img.gz | esscli import volume 20313698 -",
		},
		Run: x.runImport,
	})
}

// image is where an import reads from.
type image struct {
	name string
	r    io.Reader
	file *os.File // nil where it cannot seek
	size int64    // -1 when not known

	closer io.Closer // nil for standard input
}

// openImage opens an image. Standard input that is a file, as behind "<", is
// treated like one: its holes are skipped and its size is known beforehand.
func openImage(e *program.Env, path string) (*image, error) {
	if path == "-" {
		img := &image{name: "standard input", r: e.Stdin, size: -1}
		if f, ok := e.Stdin.(*os.File); ok {
			img.measure(f)
		}
		return img, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot read the image: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fault.New(fault.Usage, "%s is a folder, not an image", path)
	}
	img := &image{name: path, r: f, size: -1, closer: f}
	img.measure(f)
	return img, nil
}

// measure finds the size of a file that can seek and is read from its start.
// A character device says that it can and has no size.
func (img *image) measure(f *os.File) {
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil || at != 0 {
		return
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeCharDevice != 0 {
		return
	}
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		img.file, img.size = f, size
	}
	_, _ = f.Seek(0, io.SeekStart)
}

func (img *image) close() {
	if img.closer != nil {
		img.closer.Close()
	}
}

// begin refuses an empty image: a program in front of the pipe that failed, not a
// volume of zeros.
func (img *image) begin() error {
	empty := img.size == 0
	if img.size < 0 {
		head := bufio.NewReaderSize(img.r, 64<<10)
		_, err := head.Peek(1)
		if err != nil && !errors.Is(err, io.EOF) {
			return fault.New(fault.Failed, "cannot read the image: %w", err)
		}
		empty, img.r = err != nil, io.Reader(head)
	}
	if empty {
		return fault.New(fault.Usage, "%s is empty: no image to import", img.name).
			WithHint("nothing was written; a volume of zeros is imported from an image of one zero byte")
	}
	return nil
}

// send writes the image as the content of a volume of size bytes.
func (img *image) send(w io.Writer, size int64, progress func(off int64)) error {
	if img.file != nil {
		return api.SendFile(w, img.file, size, progress)
	}
	return api.SendStream(w, img.r, size, progress)
}

// runImport refuses an image that is too large before anything is written,
// where its size is known.
func (x *essCLI) runImport(ctx context.Context, e *program.Env, args []string) error {
	serial, err := arrayclient.ParseSerial(args[0])
	if err != nil {
		return err
	}
	if args[1] == "-" && x.PasswordFile == "-" {
		return fault.New(fault.Usage, "standard input cannot have the password and the image")
	}
	img, err := openImage(e, args[1])
	if err != nil {
		return err
	}
	defer img.close()
	if err := img.begin(); err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	volume, err := s.Volume(ctx, serial)
	if err != nil {
		return err
	}
	if img.size > volume.Size {
		return fault.New(fault.Refused, "%s has %d bytes, more than volume %s with %d",
			img.name, img.size, serial, volume.Size).
			WithHint("nothing was written; create a volume that is large enough")
	}
	volume, came, err := x.send(ctx, e, s, img, volume)
	if err != nil {
		return err
	}
	if came < volume.Size {
		e.Warn("%s has %d bytes, volume %s has %d: what is behind them is zeros now", img.name, came,
			serial, volume.Size)
	}
	return done(e, volume, "volume %s has the content of %s", serial, img.name)
}

// send sends the image and returns how many bytes it has. Once content is on its way
// a failure leaves the volume partly written, and the hint says so instead of what
// the error's own said; what the server refuses, it refuses before.
func (x *essCLI) send(
	ctx context.Context, e *program.Env, s *connect.Session, img *image, volume api.Volume,
) (done api.Volume, came int64, err error) {
	bar := e.NewByteProgress(string(volume.Serial))
	defer bar.End()
	var begun, own atomic.Bool
	var sent atomic.Int64
	done, err = s.WriteContent(ctx, volume.Serial, x.forceImport, func(w io.Writer) error {
		err := img.send(w, volume.Size, func(off int64) {
			begun.Store(true)
			sent.Store(off)
			bar.Update(off, img.size)
		})
		own.Store(err != nil)
		return err
	})
	if err != nil && begun.Load() && (own.Load() || fault.KindOf(err) != fault.Refused) {
		return done, 0, fault.New(fault.KindOf(err), "%w", err).
			WithHint("the content of volume %s is partly old and partly new: import it again", volume.Serial)
	}
	return done, sent.Load(), err
}

func (x *essCLI) exportVolume() *program.Command {
	return x.leaf(program.Command{
		Name: "volume", Synopsis: "SERIAL FILE|-", Least: 2, Most: 2,
		Kinds:   []program.Kind{program.KindVolume, program.KindFile},
		Summary: "Write a volume to an image, a copy target as of its instant",
		Examples: []string{
			"esscli export volume 20413698 disk.img",
			"esscli export volume 20413698 - | gzip > disk.img.gz",
		},
		Run: x.runExport,
	})
}

func (x *essCLI) runExport(ctx context.Context, e *program.Env, args []string) error {
	serial, err := arrayclient.ParseSerial(args[0])
	if err != nil {
		return err
	}
	to, err := exportTarget(e, args[1])
	if err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	bar := e.NewByteProgress(string(serial))
	defer bar.End()
	var size int64
	err = s.ReadContent(ctx, serial, func(in *api.SparseReader) error {
		size = in.Size()
		return to(in, func(off int64) { bar.Update(off, size) })
	})
	if err != nil || args[1] == "-" {
		return err
	}
	doc := struct {
		Serial arrayclient.Serial `json:"serial"`
		File   string             `json:"file"`
		Size   int64              `json:"size"`
	}{serial, args[1], size}
	return done(e, doc, "%s has the content of volume %s, %s", args[1], serial, notation.FormatSize(size))
}

// receiver takes a volume's content.
type receiver func(in *api.SparseReader, progress func(off int64)) error

// exportTarget returns the receiver for a file name. Nothing is written
// before it is called.
func exportTarget(e *program.Env, path string) (receiver, error) {
	if path == "-" {
		switch {
		case e.JSON:
			return nil, fault.New(fault.Usage,
				"standard output cannot have the content and the JSON document")
		case e.IsTerminal(e.Stdout):
			return nil, fault.New(fault.Usage, "the content of a volume is not for a terminal").
				WithHint("name a file, or redirect standard output")
		}
		return func(in *api.SparseReader, progress func(int64)) error {
			return api.ReceiveStream(in, e.Stdout, progress)
		}, nil
	}
	path, err := userfile.End(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	mode := fs.FileMode(0o600)
	switch {
	case err == nil && info.IsDir():
		return nil, fault.New(fault.Usage, "%s is a folder", path).WithHint("name a file in it")
	case err == nil && !info.Mode().IsRegular(): // a device is written to, not replaced
		return func(in *api.SparseReader, progress func(int64)) error {
			return exportToDevice(in, path, progress)
		}, nil
	case err == nil:
		mode = info.Mode().Perm()
	}
	return func(in *api.SparseReader, progress func(int64)) error {
		return exportToFile(in, path, mode, progress)
	}, nil
}

// exportToFile replaces a file when the content is there as a whole, so that
// a part never looks like all of it.
func exportToFile(
	in *api.SparseReader, path string, mode fs.FileMode, progress func(int64),
) error {
	p, err := atomicfile.Create(atomicfile.OS(), path, mode)
	if err != nil {
		return err
	}
	defer p.Abort()
	file, ok := p.File().(api.EmptyFile)
	if !ok {
		return fault.New(fault.Failed, "cannot write %s in pieces", path)
	}
	if err := api.ReceiveFile(in, file, progress); err != nil {
		return exportError(path, err)
	}
	return p.Commit()
}

// exportToDevice writes zeros too: what was on the device must not show
// through.
func exportToDevice(in *api.SparseReader, path string, progress func(int64)) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fault.New(fault.Failed, "cannot write the image: %w", err)
	}
	return exportError(path, errors.Join(api.ReceiveStream(in, f, progress), f.Close()))
}

// exportError gives an error of writing a file its kind and the file's name.
func exportError(path string, err error) error {
	var own *fault.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return fault.New(fault.Failed, "cannot write %s: %w", path, err)
}
