package arrayclient

import (
	"slices"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// Machine types whose volumes' serials have a known form.
const (
	MachineType   = "2105" // the ESS, which the embedded array presents itself as
	MachineDS8000 = "2107"
	MachineDS6000 = "1750"
)

// MaxVolumes is how many volume ids the ESS has.
const MaxVolumes = 1 << (4 * 3)

// form is how machine types of one kind number their arrays and volumes. No two forms
// have volume serials, or serials of arrays, of the same length.
type form struct {
	machines    []string
	array       int  // characters of an array's serial
	volume      int  // hex digits of a volume id
	volumeFirst bool // where the volume id is in a volume's serial
	serialHint  string
	idHint      string
}

// forms lists all there are. That of the 2107 is seen in 75DC8914805, of the disk ids in
// IBM's PowerHA documentation, and 2107-75FA120, of its REST API's; the 1750 is taken to
// have the same.
var forms = []*form{
	{
		machines: []string{MachineType}, array: 5, volume: 3, volumeFirst: true,
		serialHint: "a serial is 3 hex digits of the volume and 5 characters of the array, like 20313698",
		idHint:     "a volume id is 3 hex digits, like 203",
	},
	{
		machines: []string{MachineDS8000, MachineDS6000}, array: 7, volume: 4,
		serialHint: "a serial of a 2107 or 1750 is 7 characters of the array and 4 hex digits of the " +
			"volume, like 75DC8914805",
		idHint: "a volume id of a 2107 or 1750 is 4 hex digits, like 4805",
	},
}

func (f *form) length() int { return f.array + f.volume }

// split takes a volume's serial apart, whose length must be right.
func (f *form) split(serial string) (array, volume string) {
	if f.volumeFirst {
		return serial[f.volume:], serial[:f.volume]
	}
	return serial[:f.array], serial[f.array:]
}

// parse reads a volume's serial in either case.
func (f *form) parse(s string) (Serial, bool) {
	if len(s) != f.length() {
		return "", false
	}
	up := strings.ToUpper(s)
	if len(up) != len(s) {
		return "", false
	}
	array, volume := f.split(up)
	return Serial(up), isArraySerial(array) && isHex(volume)
}

func (f *form) parseID(s string) (uint16, bool) {
	if len(s) != f.volume || !isHex(strings.ToUpper(s)) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 16)
	return uint16(n), err == nil
}

// formWhere returns the first form that is, nil where none is.
func formWhere(is func(*form) bool) *form {
	if i := slices.IndexFunc(forms, is); i >= 0 {
		return forms[i]
	}
	return nil
}

func formOfMachine(machine string) *form {
	return formWhere(func(f *form) bool { return slices.Contains(f.machines, machine) })
}

// Serial is a volume serial as rsList2105s prints it, all upper case: it tells the array
// and the volume in it. Of a 2105 it is the volume id of three hex digits and the
// array's serial of five characters: 20313698 is volume 203 of array 2105.13698. Of a
// 2107 or 1750 it is the array's serial of seven characters and the volume id of four
// hex digits: 75DC8914805 is volume 4805 of array 2107.75DC891.
type Serial string

// ParseSerial reads a volume serial of any known form, in either case. The error is of
// kind Usage.
func ParseSerial(s string) (Serial, error) {
	for _, f := range forms {
		if serial, ok := f.parse(s); ok {
			return serial, nil
		}
	}
	like := formWhere(func(f *form) bool { return f.length() == len(s) })
	if like == nil {
		like = forms[0]
	}
	return "", fault.New(fault.Usage, "%.80q is not a volume serial", s).
		WithHint("%s", like.serialHint)
}

// ParseSerialOf reads a volume serial of a machine type, in either case; ok is false for
// text of another form, and for a machine type whose serials have none that is known.
func ParseSerialOf(machine, s string) (serial Serial, ok bool) {
	if f := formOfMachine(machine); f != nil {
		return f.parse(s)
	}
	return "", false
}

// MakeSerial returns the serial of volume id in the array of that serial, which must be
// valid.
func MakeSerial(id uint16, arraySerial string) Serial {
	f := formWhere(func(f *form) bool { return f.array == len(arraySerial) })
	digits := strings.ToUpper(strconv.FormatUint(uint64(id), 16))
	digits = strings.Repeat("0", max(0, f.volume-len(digits))) + digits
	if f.volumeFirst {
		return Serial(digits + arraySerial)
	}
	return Serial(arraySerial + digits)
}

func (s Serial) split() (array, volume string) {
	return formWhere(func(f *form) bool { return f.length() == len(s) }).split(string(s))
}

// VolumeID returns the number of the volume in its array. s must be valid.
func (s Serial) VolumeID() uint16 {
	n, _ := strconv.ParseUint(s.VolumeDigits(), 16, 16)
	return uint16(n)
}

// VolumeDigits returns the hex digits of the volume, as a VolumeSpec names it. s must be
// valid.
func (s Serial) VolumeDigits() string {
	_, volume := s.split()
	return volume
}

// ArraySerial returns the characters of the array. s must be valid.
func (s Serial) ArraySerial() string {
	array, _ := s.split()
	return array
}

// ParseVolumeID reads the hex digits of a volume of an array of that machine type, whose
// form must be known. The error is of kind Usage.
func ParseVolumeID(machine, s string) (uint16, error) {
	f := formOfMachine(machine)
	if id, ok := f.parseID(s); ok {
		return id, nil
	}
	return 0, notVolumeID(s, f)
}

// CheckVolumeID refuses what is no volume id of any form: all that can be told where the
// array is not known. The error is of kind Usage.
func CheckVolumeID(s string) error {
	for _, f := range forms {
		if _, ok := f.parseID(s); ok {
			return nil
		}
	}
	return notVolumeID(s, forms[0])
}

func notVolumeID(s string, f *form) error {
	return fault.New(fault.Usage, "%.80q is not a volume id", s).WithHint("%s", f.idHint)
}

// ArrayID names an array by machine type and serial: 2105.13698.
type ArrayID struct {
	MachineType string
	Serial      string
}

func (id ArrayID) String() string { return id.MachineType + "." + id.Serial }

// VolumeIDs returns how many volume ids an array of that machine type has, which may be
// more than it has room for volumes; those of the ESS where the form is not known.
func (id ArrayID) VolumeIDs() int {
	if f := formOfMachine(id.MachineType); f != nil {
		return 1 << (4 * f.volume)
	}
	return MaxVolumes
}

// ParseArrayID reads 2105.13698. Of a machine type whose form is not known the serial may
// have any of the known lengths. The error is of kind Usage.
func ParseArrayID(s string) (ArrayID, error) {
	machine, serial, ok := strings.Cut(s, ".")
	serial = strings.ToUpper(serial)
	if !ok || len(machine) != 4 || !isDigits(machine) || !validSerialOf(machine, serial) {
		return ArrayID{}, fault.New(fault.Usage, "%.80q is not an array", s).
			WithHint("an array is its machine type and serial, like 2105.13698")
	}
	return ArrayID{machine, serial}, nil
}

func validSerialOf(machine, serial string) bool {
	if f := formOfMachine(machine); f != nil {
		return len(serial) == f.array && isArraySerial(serial)
	}
	known := func(f *form) bool { return f.array == len(serial) }
	return slices.ContainsFunc(forms, known) && isArraySerial(serial)
}

// ValidArraySerial reports whether s is the serial of an ESS: five upper-case letters or
// digits.
func ValidArraySerial(s string) bool { return validSerialOf(MachineType, s) }

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
