package hostdisk

import (
	"slices"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

const vendorIBM = "IBM"

// machineSVC is a machine type whose volumes' serials have a known form, but one that no
// server knows.
const machineSVC = "2145"

// ParseModels reads machine types of four digits, parted by commas or blanks:
// "2105,2107". An empty text is nil, which means 2105 alone. The error is of
// kind Usage.
func ParseModels(text string) ([]string, error) {
	split := func(r rune) bool { return strings.ContainsRune(", \t", r) }
	var models []string
	for word := range strings.FieldsFuncSeq(text, split) {
		if machineType(word) != word {
			return nil, fault.New(fault.Usage, "%q is not a machine type", word).
				WithHint("a machine type is four digits, like 2105 or 2107")
		}
		models = append(models, word)
	}
	return models, nil
}

// counts reports whether disks of this make are volumes that were asked for.
func (o Options) counts(vendor, model string) bool {
	if vendor != vendorIBM {
		return false
	}
	machine := machineType(model)
	if o.Models == nil {
		return machine == arrayclient.MachineType
	}
	return machine != "" && slices.Contains(o.Models, machine)
}

// machineType returns the four digits that the model of an IBM array begins with
// (2105800, 2107900, 2145), empty where it does not.
func machineType(model string) string {
	const digits = 4
	if len(model) < digits || !isAll(model[:digits], decimal) {
		return ""
	}
	return model[:digits]
}

// Volume returns the serial of a disk that counts and whose serial has a form that a Copy
// Services server knows; false for every other disk.
func (d Disk) Volume() (arrayclient.Serial, bool) {
	if !d.Counts {
		return "", false
	}
	serial, err := arrayclient.ParseSerial(d.Serial)
	return serial, err == nil
}

// VolumeSerial returns the serial of a volume as the array's own tools write it,
// in upper case, where its form is known; the serial as the disk tells it
// otherwise. It may be empty.
func (d Disk) VolumeSerial() string {
	if serial, ok := d.knownSerial(); ok {
		return serial
	}
	return d.Serial
}

// knownSerial returns the serial of a disk that counts, where it alone tells the
// volume from all others of its machine type.
func (d Disk) knownSerial() (string, bool) {
	if serial, ok := d.Volume(); ok {
		return string(serial), true
	}
	if !d.Counts {
		return "", false
	}
	return volumeSerial(machineType(d.Model), d.Serial)
}

const (
	decimal     = "0123456789"
	hexadecimal = decimal + "ABCDEF"
)

func isAll(s, chars string) bool { return strings.Trim(s, chars) == "" }

// hasSerialForm reports whether volumeSerial knows serials of the machine type.
func hasSerialForm(machine string) bool {
	switch machine {
	case arrayclient.MachineType, arrayclient.MachineDS8000, arrayclient.MachineDS6000, machineSVC:
		return true
	}
	return false
}

// volumeSerial returns text in upper case where it is a volume serial of the
// machine type's form:
//
//	2105, 2107, 1750  see arrayclient.Serial
//	2145              the 32 hex digits of the volume's NAA id; the unit serial of a
//	                  2145 (0200602046b2XX00) is that of the cluster, not of a volume
func volumeSerial(machine, text string) (string, bool) {
	if machine == machineSVC {
		const ibmNAA, whole = "6005076", 32
		up := strings.ToUpper(text)
		return up, len(up) == whole && isAll(up, hexadecimal) && strings.HasPrefix(up, ibmNAA)
	}
	serial, ok := arrayclient.ParseSerialOf(machine, text)
	return string(serial), ok
}
