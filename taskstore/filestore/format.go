package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
//	# copyservices KIND VERSION sha256:HEX
//
// where HEX is the checksum of everything after the line. A reader refuses a
// file of a later version or with another checksum by name; nothing ever
// replaces such a file.

const (
	magic         = "# copyservices"
	formatVersion = 1
	fileMode      = 0o600
)

// SaveFile replaces the file at path with v in the format of this package.
// kind is a word that tells what the file holds.
func SaveFile(fsys atomicfile.FS, path, kind string, v any) error {
	data, err := encodeFile(kind, v)
	if err != nil {
		return err
	}
	return atomicfile.Write(fsys, path, data, fileMode)
}

// LoadFile reads what SaveFile wrote into v, a pointer. The error names the
// file; it has fs.ErrNotExist in its chain where there is none.
func LoadFile(path, kind string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.New(fault.Failed, "cannot read %s: %w", path, err)
	}
	if err := decodeFile(kind, data, v); err != nil {
		return fault.New(fault.Failed, "%s: %w", path, err).WithHint("%s", hintFor(err))
	}
	return nil
}

var (
	errNewer    = errors.New("written by a later version of copyserver")
	errChecksum = errors.New("wrong checksum: the file is damaged or was edited")
)

func hintFor(err error) string {
	if errors.Is(err, errNewer) {
		return "start the version of copyserver that wrote it"
	}
	return "restore the file from a backup of the state folder, or move it away to go on without it"
}

func encodeFile(kind string, v any) ([]byte, error) {
	body, err := yaml.Marshal(v)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot encode a %s: %w", kind, err)
	}
	head := header(kind, body)
	return append([]byte(head), body...), nil
}

func header(kind string, body []byte) string {
	sum := sha256.Sum256(body)
	return magic + " " + kind + " " + strconv.Itoa(formatVersion) +
		" sha256:" + hex.EncodeToString(sum[:]) + "\n"
}

func decodeFile(kind string, data []byte, v any) error {
	line, body, _ := bytes.Cut(data, []byte("\n"))
	rest, ok := strings.CutPrefix(string(line), magic+" ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return errors.New("not a file of copyserver's")
	}
	if fields[0] != kind {
		return errors.New("holds a " + fields[0] + ", not a " + kind)
	}
	version, err := strconv.Atoi(fields[1])
	switch {
	case err != nil || version < 1:
		return errors.New("no version in the first line")
	case version > formatVersion:
		return errNewer
	case header(kind, body) != string(line)+"\n":
		return errChecksum
	}
	return strictyaml.Decode(body, v)
}
