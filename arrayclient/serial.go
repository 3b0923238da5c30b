package arrayclient

import (
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// MachineType is the machine type of the ESS, which the embedded array
// presents itself as.
const MachineType = "2105"

const (
	volumeDigits      = 3
	arraySerialDigits = 5
	// MaxVolumes is how many volume ids of three hex digits there are.
	MaxVolumes = 1 << (4 * volumeDigits)
)

// Serial is a volume serial as rsList2105s prints it: the volume id of three
// hex digits and the array's serial of five characters, all upper case:
// 20313698 is volume 203 of array 2105.13698.
type Serial string

// ParseSerial reads a volume serial in either case. The error is of kind
// Usage.
func ParseSerial(s string) (Serial, error) {
	up := strings.ToUpper(s)
	if len(up) == volumeDigits+arraySerialDigits && isHex(up[:volumeDigits]) && isArraySerial(up[volumeDigits:]) {
		return Serial(up), nil
	}
	return "", fault.New(fault.Usage, "%.80q is not a volume serial", s).
		WithHint("a serial is 3 hex digits of the volume and 5 characters of the array, like 20313698")
}

// MakeSerial returns the serial of volume id (0 to 0xFFF) in the array with
// the given serial of five characters.
func MakeSerial(id uint16, arraySerial string) Serial {
	return Serial(FormatVolumeID(id) + arraySerial)
}

// FormatVolumeID returns the three hex digits of id.
func FormatVolumeID(id uint16) string {
	s := strings.ToUpper(strconv.FormatUint(uint64(id), 16))
	return strings.Repeat("0", max(0, volumeDigits-len(s))) + s
}

// ParseVolumeID reads three hex digits. The error is of kind Usage.
func ParseVolumeID(s string) (uint16, error) {
	if len(s) == volumeDigits && isHex(strings.ToUpper(s)) {
		n, _ := strconv.ParseUint(s, 16, 16)
		return uint16(n), nil
	}
	return 0, fault.New(fault.Usage, "%.80q is not a volume id", s).
		WithHint("a volume id is 3 hex digits, like 203")
}

// VolumeID returns the number of the volume in its array. s must be valid.
func (s Serial) VolumeID() uint16 {
	n, _ := strconv.ParseUint(string(s[:volumeDigits]), 16, 16)
	return uint16(n)
}

// ArraySerial returns the five characters of the array. s must be valid.
func (s Serial) ArraySerial() string { return string(s[volumeDigits:]) }

// ArrayID names an array by machine type and serial: 2105.13698.
type ArrayID struct {
	MachineType string
	Serial      string
}

func (id ArrayID) String() string { return id.MachineType + "." + id.Serial }

// ParseArrayID reads 2105.13698. The error is of kind Usage.
func ParseArrayID(s string) (ArrayID, error) {
	machine, serial, ok := strings.Cut(s, ".")
	serial = strings.ToUpper(serial)
	if !ok || len(machine) != 4 || !isDigits(machine) || !ValidArraySerial(serial) {
		return ArrayID{}, fault.New(fault.Usage, "%.80q is not an array", s).
			WithHint("an array is its machine type and serial, like 2105.13698")
	}
	return ArrayID{machine, serial}, nil
}

// ValidArraySerial reports whether s is five upper-case letters or digits.
func ValidArraySerial(s string) bool {
	return len(s) == arraySerialDigits && isArraySerial(s)
}

// Pair names a source volume and its target.
type Pair struct {
	Source Serial
	Target Serial
}

func (p Pair) String() string { return string(p.Source) + ":" + string(p.Target) }

// ParsePair reads SOURCE:TARGET, both volume serials. The error is of kind
// Usage.
func ParsePair(s string) (Pair, error) {
	source, target, ok := strings.Cut(s, ":")
	if !ok {
		return Pair{}, fault.New(fault.Usage, "%.80q is not a pair", s).
			WithHint("a pair is two volume serials, like 20313698:20413698")
	}
	src, err := ParseSerial(source)
	if err != nil {
		return Pair{}, err
	}
	tgt, err := ParseSerial(target)
	if err != nil {
		return Pair{}, err
	}
	return Pair{src, tgt}, nil
}

func isHex(s string) bool    { return strings.Trim(s, "0123456789ABCDEF") == "" }
func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
func isArraySerial(s string) bool {
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
