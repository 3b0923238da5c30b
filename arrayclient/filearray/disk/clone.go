package disk

import "errors"

// ProbeClone reports whether files in dir can share blocks: nil, or an error,
// errors.ErrUnsupported where the file system has no such thing.
func ProbeClone(fsys FS, dir string) (err error) {
	names := [2]string{dir + "/probe.0", dir + "/probe.1"}
	var files [2]File
	for i, name := range names {
		fsys.Remove(name) // left by a process that was killed
		if files[i], err = fsys.Create(name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files[i].Close(), fsys.Remove(name)) }()
		if _, err = files[i].WriteAt(Zeros[:blockSizeMax], 0); err != nil {
			return err
		}
	}
	return files[1].Clone(files[0], 0, blockSizeMax)
}

// blockSizeMax is a multiple of the block size of every file system.
const blockSizeMax = 64 << 10
