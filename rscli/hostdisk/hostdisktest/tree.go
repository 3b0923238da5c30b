// Package hostdisktest writes sysfs trees of Linux hosts for tests and
// measurements: those that package hostdisk, lsblk --sysroot and lsscsi
// --sysfsroot read alike. The layout is that of Linux 6.1 with a virtio SCSI
// adapter of QEMU, without the attributes that none of the three reads.
package hostdisktest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Disk is a SCSI disk to write.
type Disk struct {
	Name                  string // sdb
	Vendor, Model, Serial string
	Size                  int64 // bytes; 0 means 1 GiB
	Target, LUN           int   // on host 0, channel 0
}

const adapter = "sys/devices/pci0000:00/0000:00:05.0/virtio2/host0"

// Tree is a folder that holds a host.
type Tree struct{ Root string }

// New starts a tree at root, which is made where it is missing.
func New(root, hostName string) (Tree, error) {
	t := Tree{root}
	for _, dir := range []string{"sys/block", "sys/dev/block", "sys/bus/scsi/devices", adapter} {
		if err := os.MkdirAll(t.path(dir), 0o755); err != nil {
			return t, err
		}
	}
	return t, t.files("", map[string]string{
		"proc/sys/kernel/hostname": hostName + "\n",
		"etc/hostname":             hostName + "\n",
		"etc/os-release":           "NAME=Linux\nPRETTY_NAME=\"Generated Linux\"\n",
	})
}

// Add writes a disk.
func (t Tree) Add(d Disk) error {
	address := fmt.Sprintf("0:0:%d:%d", d.Target, d.LUN)
	unit := fmt.Sprintf("%s/target0:0:%d/%s", adapter, d.Target, address)
	block := unit + "/block/" + d.Name
	number := deviceNumber(d.Name)
	if err := t.files(unit, d.unitFiles()); err != nil {
		return err
	}
	if err := t.files(block, d.blockFiles(number)); err != nil {
		return err
	}
	return t.links(map[string]string{
		block + "/device":                 unit,
		"sys/block/" + d.Name:             block,
		"sys/dev/block/" + number:         block,
		"sys/bus/scsi/devices/" + address: unit,
	})
}

func (d Disk) unitFiles() map[string]string {
	return map[string]string{
		"type":     "0\n",
		"vendor":   fmt.Sprintf("%-8.8s\n", d.Vendor),
		"model":    fmt.Sprintf("%-16.16s\n", d.Model),
		"rev":      ".106\n",
		"wwid":     fmt.Sprintf("t10.%-8.8s%-16.16s%s\n", d.Vendor, d.Model, d.Serial),
		"vpd_pg80": string(Page(0x80, []byte(d.Serial))),
	}
}

func (d Disk) blockFiles(number string) map[string]string {
	size := d.Size
	if size == 0 {
		size = 1 << 30
	}
	return map[string]string{
		"dev": number + "\n", "size": fmt.Sprintf("%d\n", size/512), "removable": "0\n",
		"ro": "0\n", "hidden": "0\n",
	}
}

// AddMultipath writes a device mapper device, dm-MINOR, over disks that the tree
// has.
func (t Tree) AddMultipath(minor int, name, uuid string, members ...string) error {
	dm := fmt.Sprintf("dm-%d", minor)
	number := fmt.Sprintf("253:%d", minor)
	block := "sys/devices/virtual/block/" + dm
	err := t.files(block, map[string]string{
		"dm/name": name + "\n", "dm/uuid": uuid + "\n", "dm/suspended": "0\n",
		"dev": number + "\n", "size": "2097152\n", "removable": "0\n", "ro": "0\n",
	})
	if err != nil {
		return err
	}
	for _, dir := range []string{"slaves", "holders"} {
		if err := os.MkdirAll(t.path(block+"/"+dir), 0o755); err != nil {
			return err
		}
	}
	links := map[string]string{
		"sys/block/" + dm:         block,
		"sys/dev/block/" + number: block,
	}
	for _, member := range members {
		disk, err := filepath.EvalSymlinks(t.path("sys/block/" + member))
		if err != nil {
			return err
		}
		disk, err = filepath.Rel(t.Root, disk)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(t.path(disk+"/holders"), 0o755); err != nil {
			return err
		}
		links[block+"/slaves/"+member] = disk
		links[disk+"/holders/"+dm] = block
	}
	return t.links(links)
}

// File writes or replaces a file of the tree; nil content puts a folder in its
// place, which nobody can read as a file.
func (t Tree) File(name string, content []byte) error {
	file := t.path(name)
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	if content == nil {
		return os.MkdirAll(file, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

// Page builds a vital product data page.
func Page(code byte, content []byte) []byte {
	page := binary.BigEndian.AppendUint16([]byte{0, code}, uint16(len(content)))
	return append(page, content...)
}

// Designator builds one identification descriptor of page 0x83.
func Designator(codeSet, kind byte, content []byte) []byte {
	return append([]byte{codeSet, kind, 0, byte(len(content))}, content...)
}

// Large writes a host with n volumes of array 2105.13698, at most 4096, as sda
// and on, and nothing else.
func Large(root string, n int) error {
	t, err := New(root, "large")
	if err != nil {
		return err
	}
	for i := range n {
		err := t.Add(Disk{Name: SDName(i), Vendor: "IBM", Model: "2105800",
			Serial: fmt.Sprintf("%03X13698", i), Target: i / 256, LUN: i % 256})
		if err != nil {
			return err
		}
	}
	return nil
}

// SDName is the name of the i-th SCSI disk, from 0: sda, sdz, sdaa.
func SDName(i int) string {
	var letters []byte
	for i++; i > 0; i = (i - 1) / 26 {
		letters = append(letters, byte('a'+(i-1)%26))
	}
	slices.Reverse(letters)
	return "sd" + string(letters)
}

// deviceNumber is the major:minor that Linux gives a SCSI disk (sd.c, sd_major):
// 16 majors of 16 disks, then further minors of the same majors.
func deviceNumber(name string) string {
	majors := []int{8, 65, 66, 67, 68, 69, 70, 71, 128, 129, 130, 131, 132, 133, 134, 135}
	index := 0
	for _, c := range strings.TrimPrefix(name, "sd") {
		index = index*26 + int(c-'a') + 1
	}
	index--
	return fmt.Sprintf("%d:%d", majors[index>>4&15], index&15<<4|index&0xfff00)
}

func (t Tree) path(name string) string { return filepath.Join(t.Root, filepath.FromSlash(name)) }

// files writes the files of one folder.
func (t Tree) files(dir string, content map[string]string) error {
	made := ""
	for name, text := range content {
		file := t.path(dir + "/" + name)
		if folder := filepath.Dir(file); folder != made {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			made = folder
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// links makes relative links, as sysfs has, so that a tree can be moved.
func (t Tree) links(links map[string]string) error {
	for name, target := range links {
		file := t.path(name)
		relative, err := filepath.Rel(filepath.Dir(file), t.path(target))
		if err != nil {
			return err
		}
		if err := os.Symlink(relative, file); err != nil {
			return err
		}
	}
	return nil
}
