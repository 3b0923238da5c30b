package hostdisk

import (
	"context"

	"copyservices/arrayclient/fault"
)

// Classes of the registry of macOS: what every SCSI disk hangs below, with the
// answers to INQUIRY, and what every disk of any kind is.
const (
	classSCSI    = "IOSCSIPeripheralDeviceNub"
	classStorage = "IOBlockStorageDevice"
)

// listMacOS reads the I/O registry. macOS joins the paths of a disk itself.
func listMacOS(ctx context.Context, run runner, opts Options) (found, error) {
	classes := []string{classSCSI}
	if opts.All {
		classes = append(classes, classStorage)
	}
	var all found
	seen := make(map[string]bool)
	for _, class := range classes {
		out, err := run(ctx, "ioreg", "-a", "-r", "-l", "-c", class)
		if err != nil {
			return found{}, err
		}
		disks, err := parseIoreg(out)
		if err != nil {
			return found{}, fault.New(fault.Failed, "cannot read what ioreg prints: %w", err)
		}
		for _, d := range disks {
			if !seen[d.Name] {
				seen[d.Name] = true
				all.add(d, opts)
			}
		}
	}
	return all, nil
}

// parseIoreg returns the whole disks of the trees that "ioreg -a -r -l -c CLASS"
// prints, with the names and serials of the nodes above them.
func parseIoreg(out []byte) ([]Disk, error) {
	root, err := parsePlist(out)
	if err != nil {
		return nil, err
	}
	var disks []Disk
	walkRegistry(root, Disk{}, &disks)
	return disks, nil
}

// walkRegistry adds the disks at and below node; above is what the nodes above
// it told of them. It does not look below a whole disk, where partitions are
// and the containers that APFS makes of them.
func walkRegistry(node any, above Disk, disks *[]Disk) {
	if nodes, ok := node.([]any); ok {
		for _, child := range nodes {
			walkRegistry(child, above, disks)
		}
		return
	}
	dict, ok := node.(map[string]any)
	if !ok {
		return
	}
	fillFromRegistry(&above, dict)
	name := registryText(dict, "BSD Name")
	if whole, _ := dict["Whole"].(bool); whole && name != "" {
		above.Name = "/dev/" + name
		above.Size, _ = dict["Size"].(int64)
		*disks = append(*disks, above)
		return
	}
	walkRegistry(dict["IORegistryEntryChildren"], above, disks)
}

// fillFromRegistry takes what a node says of the disk below it. The keys are those
// of the headers SCSICmd_INQUIRY_Definitions.h and
// IOStorageDeviceCharacteristics.h.
func fillFromRegistry(d *Disk, node map[string]any) {
	set := func(field *string, value string) {
		if value != "" {
			*field = value
		}
	}
	set(&d.Vendor, registryText(node, "Vendor Identification"))
	set(&d.Model, registryText(node, "Product Identification"))
	set(&d.Serial, registryText(node, "INQUIRY Unit Serial Number"))
	if facts, ok := node["Device Characteristics"].(map[string]any); ok {
		set(&d.Vendor, registryText(facts, "Vendor Name"))
		set(&d.Model, registryText(facts, "Product Name"))
		set(&d.Serial, registryText(facts, "Serial Number"))
	}
}

// registryText returns a property that is a text, fit to print; empty where it is
// not. A driver may keep a text as data.
func registryText(node map[string]any, key string) string {
	switch value := node[key].(type) {
	case string:
		return printable([]byte(value))
	case []byte:
		return printable(value)
	}
	return ""
}
