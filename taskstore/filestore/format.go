package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/strictyaml"
)

// The format of a file: one comment line, then one YAML document. The line is
//
//	# copyservices KIND FORMAT sha256:HEX
//
// where FORMAT is the number of the format of that kind, counted from 1, and HEX the
// checksum of everything after the line. A file gets the lowest number whose readers
// have a place for all that is in it. A reader refuses a file of a higher number than
// it knows, or with another checksum, by name; nothing ever replaces such a file.

const (
	magic       = "# copyservices"
	firstFormat = 1
	fileMode    = 0o600
)

// SaveFile replaces the file at path with v in the first format of its kind.
// kind is a word that tells what the file holds.
func SaveFile(fsys atomicfile.FS, path, kind string, v any) error {
	return saveFile(fsys, path, kind, firstFormat, v)
}

func saveFile(fsys atomicfile.FS, path, kind string, format int, v any) error {
	body, err := yaml.Marshal(v)
	if err != nil {
		return fault.New(fault.Failed, "cannot encode a %s: %w", kind, err)
	}
	data := append([]byte(header(kind, format, body)), body...)
	return atomicfile.Write(fsys, path, data, fileMode)
}

// LoadFile reads what SaveFile wrote into v, a pointer. The error names the
// file; it has fs.ErrNotExist in its chain where there is none.
func LoadFile(path, kind string, v any) error {
	return loadFile(path, kind, firstFormat, v)
}

// loadFile is LoadFile of a kind that has so many formats.
func loadFile(path, kind string, formats int, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.New(fault.Failed, "cannot read %s: %w", path, err)
	}
	if err := decodeFile(kind, formats, data, v); err != nil {
		return fault.New(fault.Failed, "%s: %w", path, err).WithHint("%s", hintFor(err))
	}
	return nil
}

// newerError is the error for a file of a higher format than is known.
type newerError struct{ format, known int }

// Error names both numbers.
func (e newerError) Error() string {
	return fmt.Sprintf("it has the format %d, and this copyserver reads formats up to %d", e.format, e.known)
}

var errChecksum = errors.New("wrong checksum: the file is damaged or was edited")

func hintFor(err error) string {
	if errors.As(err, new(newerError)) {
		return "start the version of copyserver that wrote it, or a later one"
	}
	return "restore the file from a backup of the state folder, or move it away to go on without it"
}

func header(kind string, format int, body []byte) string {
	sum := sha256.Sum256(body)
	return magic + " " + kind + " " + strconv.Itoa(format) +
		" sha256:" + hex.EncodeToString(sum[:]) + "\n"
}

func decodeFile(kind string, formats int, data []byte, v any) error {
	line, body, _ := bytes.Cut(data, []byte("\n"))
	rest, ok := strings.CutPrefix(string(line), magic+" ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return errors.New("not a file of copyserver's")
	}
	if fields[0] != kind {
		return errors.New("holds a " + fields[0] + ", not a " + kind)
	}
	format, err := strconv.Atoi(fields[1])
	switch {
	case err != nil || format < firstFormat:
		return errors.New("no format in the first line")
	case format > formats:
		return newerError{format, formats}
	case header(kind, format, body) != string(line)+"\n":
		return errChecksum
	}
	return strictyaml.Decode(body, v)
}
