package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray"
)

// engine is an embedded array in this process, without a server around it.
type engine struct {
	*filearray.Array
	dir string
}

// newEngine makes an array in dir, a new folder.
func newEngine(dir string) (*engine, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	fsys, err := disk.OS(dir)
	if err != nil {
		return nil, err
	}
	if err := filearray.Create(fsys, filearray.CreateOptions{Serial: "13698"}); err != nil {
		return nil, err
	}
	return openEngine(dir)
}

// openEngine opens the array in dir.
func openEngine(dir string) (*engine, error) {
	fsys, err := disk.OS(dir)
	if err != nil {
		return nil, err
	}
	a, err := filearray.Open(fsys, filearray.OpenOptions{})
	return &engine{a, dir}, err
}

// volumes makes count volumes of so many bytes.
func (e *engine) volumes(
	ctx context.Context, size int64, count int,
) ([]arrayclient.Serial, error) {
	list, err := e.CreateVolumes(ctx, arrayclient.VolumeSpec{Size: size, Count: count})
	serials := make([]arrayclient.Serial, len(list))
	for i, v := range list {
		serials[i] = v.Serial
	}
	return serials, err
}

// pairs makes count pairs of volumes of so many bytes.
func (e *engine) pairs(ctx context.Context, size int64, count int) ([]arrayclient.Pair, error) {
	v, err := e.volumes(ctx, size, 2*count)
	if err != nil {
		return nil, err
	}
	pairs := make([]arrayclient.Pair, count)
	for i := range pairs {
		pairs[i] = arrayclient.Pair{Source: v[i], Target: v[count+i]}
	}
	return pairs, nil
}

// change opens a volume, lets write change it, and makes it durable.
func (e *engine) change(
	ctx context.Context, serial arrayclient.Serial, write func(io.WriterAt) error,
) error {
	v, err := e.OpenVolume(ctx, serial)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := write(v); err != nil {
		return err
	}
	return v.Flush()
}

// fullOf returns a function that writes size bytes of data in full.
func fullOf(size int64) func(io.WriterAt) error {
	return func(w io.WriterAt) error {
		data := someData(1 << 20)
		for off := int64(0); off < size; off += int64(len(data)) {
			if _, err := w.WriteAt(data[:min(int64(len(data)), size-off)], off); err != nil {
				return err
			}
		}
		return nil
	}
}

// scattered returns a function that writes 4 KiB at the beginning of count
// tracks evenly apart in size bytes, of all if there are fewer.
func scattered(size int64, count int) func(io.WriterAt) error {
	return func(w io.WriterAt) error {
		data := someData(blockSize)
		step := max(trackSize, size/int64(count)/trackSize*trackSize)
		for off, n := int64(0), 0; off < size && n < count; off, n = off+step, n+1 {
			if _, err := w.WriteAt(data, off); err != nil {
				return err
			}
		}
		return nil
	}
}

// makeImage makes a sparse file of so many bytes with what write puts there.
func makeImage(name string, size int64, write func(io.WriterAt) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := errors.Join(f.Truncate(size), write(f)); err != nil {
		return err
	}
	return f.Sync()
}

// someData returns bytes none of which is zero.
func someData(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i%255 + 1)
	}
	return data
}

// volumeFile returns the file of a volume that has just one, in the folder of
// its array.
func volumeFile(dir, serial string) (string, error) {
	// volumes/ID.UID.N, see package filearray
	found, err := filepath.Glob(filepath.Join(dir, "volumes", serial[:3]+".*.*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("the files of volume %s: %q, %w", serial, found, err)
	}
	return found[0], nil
}

// copied waits until the pair's copy is complete. The relationship is
// persistent.
func (e *engine) copied(ctx context.Context, pair arrayclient.Pair) error {
	for {
		list, err := e.Relationships(ctx, pair.Target)
		if err != nil {
			return err
		}
		if len(list) != 1 || list[0].State == arrayclient.StateFailed {
			return fmt.Errorf("the copy of %s failed: %+v", pair, list)
		}
		if list[0].State == arrayclient.StateComplete {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// secondsOf returns how long f takes.
func secondsOf(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}
