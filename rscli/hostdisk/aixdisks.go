package hostdisk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// listAIX asks the device database. A disk of MPIO is one hdisk there; without
// MPIO each path is an hdisk, and the SDD driver has a vpath over those of one
// volume.
func listAIX(ctx context.Context, run runner, opts Options) (found, error) {
	out, err := run(ctx, "lsdev", "-Cc", "disk")
	if err != nil {
		return found{}, err
	}
	names, gone := parseLsdev(out)
	out, err = run(ctx, "lscfg", "-v")
	if err != nil {
		return found{}, err
	}
	data := parseLscfg(out)
	var all found
	for _, name := range names {
		d := data[name]
		d.Name = name
		all.add(d, opts)
	}
	for _, name := range gone {
		if opts.counts(data[name].Vendor, data[name].Model) {
			all.warnings = append(all.warnings, fmt.Sprintf("left out %s: it is defined, "+
				"but not available", name))
		}
	}
	err = all.fillFromUniqueIDs(ctx, run)
	if err == nil {
		err = all.addVpaths(ctx, run)
	}
	if err == nil && opts.Details {
		err = all.addMPIOPaths(ctx, run)
	}
	return all, err
}

// parseLsdev reads the names of disks from "lsdev -Cc disk": those that are
// available, and those that are only defined. A line is name, state, location,
// which may be empty, and a description.
func parseLsdev(out []byte) (available, defined []string) {
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 2 || !isAIXName(words[0]) {
			continue
		}
		switch words[1] {
		case "Available":
			available = append(available, words[0])
		case "Defined":
			defined = append(defined, words[0])
		}
	}
	return available, defined
}

// isAIXName reports whether s is a device name: letters, then a number.
func isAIXName(s string) bool {
	rest := strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz")
	return rest != s && rest != "" && isAll(rest, decimal)
}

// parseLscfg reads vendor, model and serial of each device from "lscfg -v" or
// "lscfg -vpl hdisk2". A device begins with its name, indented by two blanks;
// the lines of its data are indented further, with dots between key and value.
func parseLscfg(out []byte) map[string]Disk {
	devices := make(map[string]Disk)
	name := ""
	for line := range strings.Lines(string(out)) {
		if key, value, ok := cutDots(line); ok {
			d := devices[name]
			switch key {
			case "Manufacturer":
				d.Vendor = value
			case "Machine Type and Model":
				d.Model = value
			case "Serial Number":
				d.Serial = value
			default:
				continue
			}
			devices[name] = d
			continue
		}
		words := strings.Fields(line)
		isHead := strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ")
		if isHead && len(words) > 1 && isAIXName(words[0]) {
			name = words[0]
			delete(devices, name)
		} else if isHead {
			name = "" // PLATFORM SPECIFIC, and what follows it
		}
	}
	delete(devices, "")
	return devices
}

// cutDots parts "Serial Number...............31727499", where at least two dots
// end the key.
func cutDots(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(strings.TrimSpace(line), "..")
	if !ok || key == "" {
		return "", "", false
	}
	return key, printable([]byte(strings.TrimLeft(value, "."))), true
}

// fillFromUniqueIDs asks for the unique id of volumes whose vital product data
// has no usable serial: with the path control module of AIX itself a 2145 has
// "2145" there.
func (f *found) fillFromUniqueIDs(ctx context.Context, run runner) error {
	for i := range f.disks {
		d := &f.disks[i]
		if _, ok := d.knownSerial(); ok || !d.Counts {
			continue
		}
		out, err := run(ctx, "lsattr", "-El", d.Name, "-a", "unique_id", "-F", "value")
		if err != nil && !isOptional(err) {
			return err
		}
		id, ok := parseUniqueID(printable(out))
		if serial, known := volumeSerial(machineType(d.Model), id); ok && known {
			d.Serial = serial
		}
	}
	return nil
}

// parseUniqueID returns the id in a unique_id attribute of AIX. It is two
// characters of a type, then three texts, each after its length in two hex
// digits, and the transport:
//
//	20 0B 75DC8914805                       07 2107900 03 IBM fcp
//	33 21 3600507110180813E50000000000003F3 04 2145    03 IBM fcp
//
// The id of type 33 is an NAA number after the digit 3, as in the ids that Linux
// makes.
func parseUniqueID(text string) (id string, ok bool) {
	const kindSize, typeNAAText = 2, "33"
	if len(text) < kindSize {
		return "", false
	}
	kind, rest := text[:kindSize], text[kindSize:]
	id, rest, ok = cutCounted(rest)
	if !ok {
		return "", false
	}
	if _, rest, ok = cutCounted(rest); !ok {
		return "", false
	}
	vendor, _, ok := cutCounted(rest)
	if kind == typeNAAText {
		id = strings.TrimPrefix(id, "3")
	}
	return id, ok && vendor == vendorIBM
}

// cutCounted cuts a text that follows its length in two hex digits.
func cutCounted(s string) (text, rest string, ok bool) {
	const digits = 2
	if len(s) < digits {
		return "", "", false
	}
	n, err := strconv.ParseUint(s[:digits], 16, 8)
	if err != nil || int(n) > len(s)-digits {
		return "", "", false
	}
	s = s[digits:]
	return s[:n], s[n:], true
}

// vpath is a device of the SDD driver.
type vpath struct {
	name, serial string
	paths        []string
}

// addVpaths adds the devices of the SDD driver, where there are any. lsdev lists
// them as disks too, without data of their own.
func (f *found) addVpaths(ctx context.Context, run runner) error {
	out, err := run(ctx, "lsvpcfg")
	if err != nil {
		if isOptional(err) {
			return nil
		}
		return err
	}
	paths := make(map[string]vpath)
	for _, v := range parseLsvpcfg(out) {
		f.mappers = append(f.mappers, mapper{v.name, v.paths})
		for _, path := range v.paths {
			paths[path] = v
		}
		f.disks = slices.DeleteFunc(f.disks, func(d Disk) bool { return d.Name == v.name })
	}
	for i := range f.disks {
		d := &f.disks[i]
		if v, ok := paths[d.Name]; ok && d.Serial == "" {
			d.Serial = v.serial
		}
	}
	return nil
}

// parseLsvpcfg reads the lines of lsvpcfg:
//
//	vpath0 (Avail pv dblogvg) 31727499 = hdisk2 (Avail ) hdisk17 (Avail )
func parseLsvpcfg(out []byte) []vpath {
	var vpaths []vpath
	for line := range strings.Lines(string(out)) {
		head, tail, ok := strings.Cut(withoutBrackets(line), "=")
		words := strings.Fields(head)
		if !ok || len(words) != 2 || !isAIXName(words[0]) {
			continue
		}
		v := vpath{name: words[0], serial: printable([]byte(words[1]))}
		for _, path := range strings.Fields(tail) {
			if isAIXName(path) && path != v.name {
				v.paths = append(v.paths, path)
			}
		}
		slices.SortFunc(v.paths, compareNames)
		v.paths = slices.Compact(v.paths)
		vpaths = append(vpaths, v)
	}
	return vpaths
}

// withoutBrackets leaves out what stands in round brackets.
func withoutBrackets(line string) string {
	var out strings.Builder
	for line != "" {
		before, rest, _ := strings.Cut(line, "(")
		_, after, _ := strings.Cut(rest, ")")
		out.WriteString(before)
		out.WriteByte(' ')
		line = after
	}
	return out.String()
}

// addMPIOPaths gives the disks of MPIO their paths.
func (f *found) addMPIOPaths(ctx context.Context, run runner) error {
	out, err := run(ctx, "lspath", "-F", "name parent connection")
	if err != nil {
		if isOptional(err) {
			return nil
		}
		return err
	}
	paths := parseLspath(out)
	for i := range f.disks {
		if members := paths[f.disks[i].Name]; len(members) > 1 {
			f.disks[i].Members = members
		}
	}
	return nil
}

// parseLspath reads the paths of each disk, as "fscsi0 CONNECTION".
func parseLspath(out []byte) map[string][]string {
	paths := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) != 3 || !isAIXName(words[0]) || !isAIXName(words[1]) {
			continue
		}
		if connection := printable([]byte(words[2])); connection != "" {
			paths[words[0]] = append(paths[words[0]], words[1]+" "+connection)
		}
	}
	for name := range maps.Keys(paths) {
		slices.Sort(paths[name])
	}
	return paths
}
