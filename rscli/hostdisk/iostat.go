package hostdisk

import (
	"context"
	"regexp"
	"strconv"
	"strings"
)

// listSolaris reads the error statistics of the disks, which name vendor,
// product and the serial of page 0x80, and which any user may read. MPxIO shows
// one disk for all paths (c8t60060E80...d0); luxadm and mpathadm would add the
// paths, which nothing here asks for.
func listSolaris(ctx context.Context, run runner, opts Options) (found, error) {
	out, err := run(ctx, "iostat", "-En")
	if err != nil {
		return found{}, err
	}
	var all found
	for _, d := range parseIostat(out) {
		all.add(d, opts)
	}
	return all, nil
}

// solarisDisk is a disk, and not a slice of one: controller, target, disk; or the
// driver's own name where there is no link to it.
var solarisDisk = regexp.MustCompile(`^(c[0-9]+(t[0-9A-Fa-f]+)?d[0-9]+|s?sd[0-9]+|cmdk[0-9]+)$`)

// parseIostat reads "iostat -En": blocks that begin with the disk's name and
// "Soft Errors:", as show_disk_errors of illumos prints them. Line breaks are
// anywhere between the fields: an empty serial may be followed by "Size:" on
// the same line.
func parseIostat(out []byte) []Disk {
	var disks []Disk
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(strings.TrimSpace(rest), "Soft Errors:") {
			// A tape, too, ends the block before it.
			disks = append(disks, Disk{Name: name})
			continue
		}
		if len(disks) > 0 {
			fillFromIostat(&disks[len(disks)-1], line)
		}
	}
	kept := disks[:0]
	for _, d := range disks {
		if solarisDisk.MatchString(d.Name) {
			kept = append(kept, d)
		}
	}
	return kept
}

// Keys of iostat -E in the order in which they stand on a line; those of the cmdk
// driver have Model in place of Vendor and Product.
var iostatKeys = []string{"Vendor:", "Product:", "Model:", "Revision:", "Serial No:", "Size:"}

func fillFromIostat(d *Disk, line string) {
	for i, key := range iostatKeys {
		_, value, ok := strings.Cut(line, key)
		if !ok {
			continue
		}
		for _, next := range iostatKeys[i+1:] {
			value, _, _ = strings.Cut(value, next)
		}
		text := printable([]byte(value))
		switch key {
		case "Vendor:":
			d.Vendor = text
		case "Product:", "Model:":
			d.Model = text
		case "Serial No:":
			d.Serial = text
		case "Size:":
			d.Size = sizeInBrackets(text, "<", " bytes>")
		}
	}
}

// sizeInBrackets reads the number between two texts, 0 where there is none.
func sizeInBrackets(text, open, end string) int64 {
	_, text, _ = strings.Cut(text, open)
	text, _, _ = strings.Cut(text, end)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
