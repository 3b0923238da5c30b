package hostdisk

import (
	"regexp"
	"slices"
	"strings"
)

// With native multipath, Linux shows one namespace as nvme0n1 and hides the paths
// to it, which it calls nvme0c0n1, nvme0c1n1 (drivers/nvme/host/multipath.c,
// nvme_mpath_set_disk_name): subsystem, controller, namespace.
var nvmePath = regexp.MustCompile(`^(nvme[0-9]+)c[0-9]+(n[0-9]+)$`)

// nvmeHead returns the namespace that a hidden path leads to, empty for every
// other name.
func nvmeHead(name string) string {
	if !isNVMe(name) {
		return ""
	}
	if m := nvmePath.FindStringSubmatch(name); m != nil {
		return m[1] + m[2]
	}
	return ""
}

func isNVMe(name string) bool { return strings.HasPrefix(name, "nvme") }

// joinNVMePaths gives each namespace its paths, by the namespace's name.
func joinNVMePaths(disks []Disk, paths map[string][]string) {
	for i := range disks {
		if members := paths[disks[i].Name]; len(members) > 1 {
			slices.SortFunc(members, compareNames)
			disks[i].Members = members
		}
	}
}

// splitNVMeModel cuts the vendor off the model of an IBM array, which NVMe has no
// field for: "IBM     2145".
func splitNVMeModel(d *Disk) {
	if model, ok := strings.CutPrefix(d.Model, vendorIBM+" "); ok {
		d.Vendor, d.Model = vendorIBM, strings.TrimSpace(model)
	}
}
