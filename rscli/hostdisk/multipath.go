package hostdisk

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// mapper is a multipath device: of the device mapper of Linux, of the SDD driver
// of AIX or of gmultipath of FreeBSD.
type mapper struct {
	name  string   // /dev/mapper/NAME, or /dev/dm-N where the name is not known
	paths []string // of its members, in natural order
}

// multipathUUID begins the uuid of whole multipath devices; partitions on them
// and logical volumes have other beginnings.
const multipathUUID = "mpath-"

// mapper reads a dm device; nil where it is not a multipath device or has gone.
func (s *sysfs) mapper(dm string, buf []byte) *mapper {
	a := attributes{s: s, base: s.block + dm + "/", buf: buf}
	if !strings.HasPrefix(a.text("dm/uuid"), multipathUUID) {
		return nil
	}
	m := &mapper{name: devicePath(dm)}
	if name := a.text("dm/name"); isNodeName(name) {
		m.name = "/dev/mapper/" + name
	}
	dir, err := os.Open(a.base + "slaves")
	if err != nil {
		return nil
	}
	defer dir.Close()
	slaves, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	for _, slave := range slaves {
		m.paths = append(m.paths, devicePath(slave))
	}
	slices.SortFunc(m.paths, compareNames)
	return m
}

// isNodeName reports whether name is one that has a node of the same name in
// /dev/mapper: the characters that libdevmapper leaves as they are, and the
// backslash with which it writes the others.
func isNodeName(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_\\"
	return strings.Trim(name, plain) == "" && strings.Trim(name, ".") != ""
}

// foldMappers puts a multipath device in the place of its members. A device
// whose members are known to be different disks is not trusted: its members stay.
func foldMappers(disks []Disk, mappers []mapper) ([]Disk, []string) {
	if len(mappers) == 0 {
		return disks, nil
	}
	byName := make(map[string]Disk, len(disks))
	for _, d := range disks {
		byName[d.Name] = d
	}
	var warnings []string
	folded := make(map[string]bool)
	for _, m := range mappers {
		d, ok, warning := m.fold(byName)
		if warning != "" {
			warnings = append(warnings, warning)
		}
		if ok {
			disks = append(disks, d)
			for _, path := range d.Members {
				folded[path] = true
			}
		}
	}
	disks = slices.DeleteFunc(disks, func(d Disk) bool { return folded[d.Name] })
	return disks, warnings
}

// fold returns the disk that m stands for; false where none of its members is
// listed or two of them contradict each other. A path that tells nothing of a
// disk, as one that is passive while the host starts, contradicts none: m is the
// disk that its other paths tell of.
func (m mapper) fold(byName map[string]Disk) (d Disk, ok bool, warning string) {
	var members []string
	for _, path := range m.paths {
		member, listed := byName[path]
		if !listed {
			continue
		}
		if members != nil && d.contradicts(member) {
			return Disk{}, false, fmt.Sprintf("%s is not used: its paths %s and %s are "+
				"different disks", m.name, members[0], path)
		}
		if members == nil || d.identity() == "" && member.identity() != "" {
			d = member
		}
		members = append(members, path)
	}
	d.Name, d.Members = m.name, members
	return d, members != nil, ""
}

// contradicts reports whether d and e cannot be two paths to one disk: both tell
// what they are, and they tell different things.
func (d Disk) contradicts(e Disk) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differ(d.Model, e.Model) || differ(d.identity(), e.identity())
}

// identity returns what tells the disk from others, empty where it tells nothing
// of that kind: a volume's serial is of the form that its machine type has.
func (d Disk) identity() string {
	if serial, ok := d.knownSerial(); ok {
		return serial
	}
	if d.Counts && hasSerialForm(machineType(d.Model)) {
		return ""
	}
	return d.Serial
}

// foldPaths keeps the first of several disks that are the same volume. The disks
// must be in order. Only serials of a known form say that: other arrays, as the
// 2145, may answer with one serial for all their volumes.
func foldPaths(disks []Disk) ([]Disk, []string) {
	var warnings []string
	first := make(map[string]int, len(disks))
	kept := disks[:0]
	for _, d := range disks {
		serial, ok := d.knownSerial()
		key := machineType(d.Model) + serial
		at, seen := first[key]
		if !ok || !seen {
			if ok {
				first[key] = len(kept)
			}
			kept = append(kept, d)
			continue
		}
		one := &kept[at]
		one.Members = append(one.Members, d.Name)
		warnings = append(warnings, fmt.Sprintf("%s and %s are both volume %s and no multipath "+
			"device joins them: only %s is listed", one.Name, d.Name, serial, one.Name))
	}
	return kept, warnings
}
