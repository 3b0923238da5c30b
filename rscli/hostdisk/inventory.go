package hostdisk

import (
	"fmt"
	"slices"

	"copyservices/arrayclient"
)

// found is what one system's way of listing has found, in any order.
type found struct {
	disks    []Disk
	mappers  []mapper // multipath devices over some of the disks
	warnings []string
}

// add takes a disk, which counts or not.
func (f *found) add(d Disk, opts Options) {
	d.Counts = opts.counts(d.Vendor, d.Model)
	f.disks = append(f.disks, d)
}

// finish returns the disks that were asked for, each once, in natural order.
func (f found) finish(opts Options) ([]Disk, []string) {
	disks := slices.DeleteFunc(f.disks, func(d Disk) bool { return !d.Counts && !opts.All })
	disks, mismatched := foldMappers(disks, f.mappers)
	slices.SortStableFunc(disks, func(a, b Disk) int { return compareNames(a.Name, b.Name) })
	disks, doubles := foldPaths(disks)
	disks, unusable := withSerials(disks, opts)
	return disks, slices.Concat(f.warnings, mismatched, doubles, unusable)
}

// withSerials leaves out the volumes that no serial is known for, unless all
// disks are asked for. Serials of other machine types than the 2105 may have any
// form.
func withSerials(disks []Disk, opts Options) ([]Disk, []string) {
	var warnings []string
	kept := slices.DeleteFunc(disks, func(d Disk) bool {
		machine := machineType(d.Model)
		_, ok := d.Volume()
		ok = ok || d.Serial != "" && machine != arrayclient.MachineType
		if ok || !d.Counts {
			return false
		}
		why := "it tells no serial"
		if d.Serial != "" {
			why = fmt.Sprintf("%q is not a volume serial", d.Serial)
		}
		warnings = append(warnings, fmt.Sprintf("%s is a %s disk, but %s", d.Name, machine, why))
		return !opts.All
	})
	return kept, warnings
}
