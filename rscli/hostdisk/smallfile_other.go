//go:build !unix

package hostdisk

import (
	"errors"
	"io"
	"os"
)

// readSmall reads what one read returns of the file.
func readSmall(path string, buf []byte) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.Read(buf)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
