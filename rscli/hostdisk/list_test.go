package hostdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/hostdisk/hostdisktest"
)

// newTree starts a host with an ATA system disk, sda.
func newTree(t *testing.T) hostdisktest.Tree {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no colons in file names")
	}
	tree, err := hostdisktest.New(t.TempDir(), "testhost")
	check(t, err)
	check(t, tree.Add(hostdisktest.Disk{Name: "sda", Vendor: "ATA", Model: "QEMU HARDDISK",
		Serial: "QM00001", Target: 9}))
	return tree
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// volumes adds 2105 disks sdb, sdc, ... with the serials.
func volumes(t *testing.T, tree hostdisktest.Tree, serials ...string) {
	t.Helper()
	for i, serial := range serials {
		check(t, tree.Add(hostdisktest.Disk{Name: hostdisktest.SDName(i + 1), Vendor: "IBM",
			Model: "2105800", Serial: serial, LUN: i + 1}))
	}
}

// show lists the tree as "NAME=SERIAL[MEMBERS]" words.
func show(t *testing.T, opts Options) (string, []string) {
	t.Helper()
	disks, warnings, err := List(t.Context(), opts)
	check(t, err)
	return showDisks(t, disks), warnings
}

func showDisks(t *testing.T, disks []Disk) string {
	t.Helper()
	var words []string
	for _, d := range disks {
		for _, text := range append([]string{d.Name, d.Vendor, d.Model, d.Serial}, d.Members...) {
			checkText(t, text)
		}
		word := strings.TrimPrefix(d.Name, "/dev/") + "=" + d.Serial
		if d.Members != nil {
			word += strings.ReplaceAll(fmt.Sprint(d.Members), "/dev/", "")
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestListPages(t *testing.T) {
	const device = "sys/block/sdb/device/"
	good := hostdisktest.Page(0x80, []byte("20313698"))
	page80 := func(text string) map[string][]byte {
		return map[string][]byte{"vpd_pg80": hostdisktest.Page(0x80, []byte(text))}
	}
	page83 := hostdisktest.Page(0x83, hostdisktest.Designator(2, 0, []byte("20413698")))
	type files = map[string][]byte
	for name, c := range map[string]struct {
		files files
		want  string // with All unset
		warn  string // part of the only warning; none where empty
	}{
		"good":              {nil, "sdb=20313698", ""},
		"lower case":        {page80("fff1369a"), "sdb=fff1369a", ""},
		"blanks":            {page80("   20313698  "), "sdb=20313698", ""},
		"both pages":        {files{"vpd_pg83": page83}, "sdb=20313698", ""},
		"empty page":        {files{"vpd_pg80": {}}, "", "/dev/sdb is a 2105 disk, but it tells no serial"},
		"cut page":          {files{"vpd_pg80": good[:8]}, "", `but "2031" is not a volume serial`},
		"odd bytes":         {page80("2031\x1b]0;x\a"), "", `but "2031?]0;x" is not`},
		"junk after a NUL":  {page80("20313698\x00\x00junk"), "sdb=20313698", ""},
		"control character": {page80("20313698\x03"), "sdb=20313698", ""},
		"vendor with NULs":  {files{"vendor": []byte("IBM\x00\x00ab\x03\n")}, "sdb=20313698", ""},
		"model with NULs":   {files{"model": []byte("2105800\x00\x03\n")}, "sdb=20313698", ""},
		"page 83 only":      {files{"vpd_pg80": {}, "vpd_pg83": page83}, "sdb=20413698", ""},
		"page 80 unusable":  {files{"vpd_pg80": nil, "vpd_pg83": page83}, "sdb=20413698", ""},
		"unreadable page":   {files{"vpd_pg80": nil}, "", "left out /dev/sdb: "},
		"unreadable model":  {files{"model": nil}, "", "left out /dev/sdb: "},
		"unreadable vendor": {files{"vendor": nil}, "", "left out /dev/sdb: "},
		"another vendor":    {files{"vendor": []byte("IBMX    \n")}, "", ""},
		"another model":     {files{"model": []byte("2107900\n")}, "", ""},
		"older model":       {files{"model": []byte("2105F20         \n")}, "sdb=20313698", ""},
		"huge page":         {files{"vpd_pg80": append(good, make([]byte, 1<<20)...)}, "sdb=20313698", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree(t)
			volumes(t, tree, "20313698")
			for file, content := range c.files {
				check(t, tree.File(device+file, content))
			}
			got, warnings := show(t, Options{Root: tree.Root})
			if got != c.want {
				t.Errorf("listed %q, want %q", got, c.want)
			}
			checkWarnings(t, warnings, c.warn)
		})
	}
}

func checkWarnings(t *testing.T, warnings []string, want ...string) {
	t.Helper()
	want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
	if len(warnings) != len(want) {
		t.Fatalf("warnings %q, want %q", warnings, want)
	}
	for i := range want {
		if !strings.Contains(warnings[i], want[i]) {
			t.Errorf("warning %q, want %q", warnings[i], want[i])
		}
		checkText(t, warnings[i])
	}
}

func TestListMultipath(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "20513698", "20313698", "20513698", "20613698")
	check(t, tree.AddMultipath(0, "mpathb", "mpath-36005", "sdd", "sdb"))
	check(t, tree.AddMultipath(1, "my disk", "mpath-36006", "sdc", "sde"))
	check(t, tree.AddMultipath(2, "vg-lv", "LVM-abc", "sdf"))
	got, warnings := show(t, Options{Root: tree.Root})
	want := "dm-1=20513698[sdc sde] mapper/mpathb=20313698[sdb sdd] sdf=20613698"
	if got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
}

// TestListMultipathWithSilentPaths: a path that is passive at boot may lack its
// pages, or have one that is none; which of the paths that is does not matter.
func TestListMultipathWithSilentPaths(t *testing.T) {
	for _, silent := range []string{"sdb", "sdc"} {
		for name, page := range map[string][]byte{
			"missing": nil, "empty": {}, "of NULs": hostdisktest.Page(0x80, make([]byte, 8)),
			"no serial": hostdisktest.Page(0x80, []byte("unknown")),
		} {
			tree := newTree(t)
			volumes(t, tree, "20a13698", "20A13698")
			check(t, tree.AddMultipath(0, "mpatha", "mpath-36005", "sdb", "sdc"))
			page80 := "sys/block/" + silent + "/device/vpd_pg80"
			check(t, tree.File(page80, page))
			if page == nil {
				check(t, os.Remove(filepath.Join(tree.Root, page80)))
			}
			got, warnings := show(t, Options{Root: tree.Root})
			if want := "mapper/mpatha=20A13698[sdb sdc]"; !strings.EqualFold(got, want) {
				t.Errorf("%s, page %s: listed %q, want %q", silent, name, got, want)
			}
			checkWarnings(t, warnings)
		}
	}
}

// TestListMultipathOfSilentPaths: the device is one disk, and one warning.
func TestListMultipathOfSilentPaths(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "", "")
	check(t, tree.AddMultipath(0, "mpatha", "mpath-36005", "sdb", "sdc"))
	got, warnings := show(t, Options{Root: tree.Root})
	if got != "" {
		t.Errorf("listed %q", got)
	}
	checkWarnings(t, warnings, "/dev/mapper/mpatha is a 2105 disk, but it tells no serial")
}

func TestListMultipathOfDifferentDisks(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "20513698")
	check(t, tree.AddMultipath(0, "mpatha", "mpath-36005", "sdb", "sdc"))
	got, warnings := show(t, Options{Root: tree.Root})
	if want := "sdb=20313698 sdc=20513698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "/dev/mapper/mpatha is not used: its paths /dev/sdb and /dev/sdc")
}

func TestListPathsWithoutMultipath(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "20413698", "20313698", "20313698")
	got, warnings := show(t, Options{Root: tree.Root})
	if want := "sdb=20313698[sdd sde] sdc=20413698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "/dev/sdb and /dev/sdd are both volume 20313698",
		"/dev/sdb and /dev/sde are both volume 20313698")
}

func TestListAll(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "")
	for name, content := range map[string]string{
		"vda/serial": "virt1\n", "vda/device/vendor": "0x1af4\n", "vda/size": "8\n",
		"nvme0n1/device/serial": "N1 \n", "nvme0n1/device/model": "NVMe disk \n",
		"nvme0n1/wwid": "eui.01\n", "nvme0n1/size": "-8\n",
		"nvme0c0n1/hidden": "1\n", "nvme0c0n1/device/model": "NVMe disk\n",
		"cciss!c0d0/device/model": "LOGICAL VOLUME\n",
		"sr0/device/model":        "DVD-ROM\n", "fd0/device/uevent": "", "loop0/size": "8\n",
		"ram0/size": "8\n", "md0/md/level": "raid1\n", "sda1/partition": "1\n",
		"dm-7/dm/uuid": "LVM-x\n", "dm-8/size": "1\n", "sdx\x1b[2J/device/model": "2105800\n",
	} {
		check(t, tree.File("sys/block/"+name, []byte(content)))
	}
	disks, warnings, err := List(t.Context(), Options{Root: tree.Root, All: true, Details: true})
	check(t, err)
	want := "cciss/c0d0= nvme0n1=N1 sda=QM00001 sdb=20313698 sdc= vda=virt1"
	if got := showDisks(t, disks); got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, `left out "sdx\x1b[2J": not a device name`,
		"/dev/sdc is a 2105 disk, but it tells no serial")
	if d := disks[1]; d.Model != "NVMe disk" || d.WWID != "eui.01" || d.Size != 0 {
		t.Errorf("NVMe disk: %+v", d)
	}
	if d := disks[3]; d.Size != 1<<30 || d.WWID != "t10.IBM     2105800         20313698" {
		t.Errorf("2105 disk: %+v", d)
	}
	if d := disks[5]; d.Vendor != "" || d.Size != 8*512 {
		t.Errorf("virtio disk: %+v", d)
	}
	if got, _ := show(t, Options{Root: tree.Root}); got != "sdb=20313698" {
		t.Errorf("without All: listed %q", got)
	}
}

// listWith lists the tree with a read that a test supplies.
func listWith(ctx context.Context, root string,
	read func(string, []byte) (int, error)) ([]Disk, []string, error) {
	s := &sysfs{opts: Options{Root: root}, read: read}
	s.block = filepath.Join(root, "sys", "block") + "/"
	return s.list(ctx)
}

// TestListVanishingDisk removes a disk after each of its reads in turn.
func TestListVanishingDisk(t *testing.T) {
	for after := range 3 {
		for _, end := range []error{fs.ErrNotExist, syscall.ENODEV, syscall.ENXIO} {
			tree := newTree(t)
			volumes(t, tree, "20313698", "20413698")
			var mu sync.Mutex
			reads := 0
			disks, warnings, err := listWith(t.Context(), tree.Root,
				func(path string, buf []byte) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					if strings.Contains(path, "/sdb/") {
						if reads++; reads > after {
							return 0, &fs.PathError{Op: "read", Path: path, Err: end}
						}
					}
					return readSmall(path, buf)
				})
			check(t, err)
			if got := showDisks(t, disks); got != "sdc=20413698" {
				t.Errorf("after %d reads, %v: listed %q", after, end, got)
			}
			if after == 0 && errors.Is(end, fs.ErrNotExist) {
				checkWarnings(t, warnings) // as a loop device looks
				continue
			}
			checkWarnings(t, warnings, "left out /dev/sdb: it went away while it was read")
		}
	}
}

func TestListPermission(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "20413698")
	disks, warnings, err := listWith(t.Context(), tree.Root,
		func(path string, buf []byte) (int, error) {
			if strings.HasSuffix(path, "/sdb/device/vpd_pg80") {
				return 0, &fs.PathError{Op: "open", Path: "pg80", Err: fs.ErrPermission}
			}
			return readSmall(path, buf)
		})
	check(t, err)
	if got := showDisks(t, disks); got != "sdc=20413698" {
		t.Errorf("listed %q", got)
	}
	checkWarnings(t, warnings, "left out /dev/sdb: open pg80: permission denied")
}

func TestListEnds(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698", "20413698")
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := listWith(ctx, tree.Root, func(path string, buf []byte) (int, error) {
		cancel()
		return readSmall(path, buf)
	})
	if fault.KindOf(err) != fault.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v (%s)", err, fault.KindOf(err))
	}
}

func TestListNoTree(t *testing.T) {
	empty, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for _, root := range []string{empty, file, filepath.Join(empty, "missing")} {
		for _, list := range []func() error{
			func() error { _, _, err := List(t.Context(), Options{Root: root}); return err },
			func() error { _, err := Read(t.Context(), Options{Root: root}); return err },
		} {
			err := list()
			if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
				t.Errorf("%s: %v (%s)", root, err, fault.KindOf(err))
			}
		}
	}
}

// TestListNVMePaths: native multipath hides the paths and shows the namespace. A
// FlashSystem has its vendor in the model.
func TestListNVMePaths(t *testing.T) {
	tree := newTree(t)
	for name, content := range map[string]string{
		"nvme0n1/device/model":  "IBM     2145                            \n",
		"nvme0n1/device/serial": "78E0001\n", "nvme0c0n1/hidden": "1\n", "nvme0c10n1/hidden": "1\n",
		"nvme0c2n1/hidden": "1\n", "nvme0n2/device/model": "IBM     2145\n",
		"nvme0n2/device/serial": "78E0001\n", "nvme0c0n2/hidden": "1\n",
		"nvme1n1/device/model": "NVMe disk\n", "nvme9c0n1/hidden": "1\n",
	} {
		check(t, tree.File("sys/block/"+name, []byte(content)))
	}
	opts := Options{Root: tree.Root, Models: []string{"2145"}}
	got, warnings := show(t, opts)
	if want := "nvme0n1=78E0001[nvme0c0n1 nvme0c2n1 nvme0c10n1] nvme0n2=78E0001"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
	opts.All = true
	if got, _ = show(t, opts); !strings.HasSuffix(got, " nvme0n2=78E0001 nvme1n1= sda=QM00001") {
		t.Errorf("with All: listed %q", got)
	}
}

// TestListPartitions: neither those of a disk nor those of a multipath device are
// disks, wherever they may stand.
func TestListPartitions(t *testing.T) {
	tree := newTree(t)
	volumes(t, tree, "20313698")
	for name, content := range map[string]string{
		"sdb/sdb1/partition": "1\n", "sdb/sdb1/size": "8\n", "sdb1/partition": "1\n",
		"dm-4/dm/uuid": "part1-mpath-36005\n", "dm-4/dm/name": "mpatha1\n",
	} {
		check(t, tree.File("sys/block/"+name, []byte(content)))
	}
	got, warnings := show(t, Options{Root: tree.Root, All: true})
	if want := "sda=QM00001 sdb=20313698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
}

func TestListOtherModels(t *testing.T) {
	const clusterSerial, naa = "0200602046b2XX00", "\x60\x05\x07\x68\x02\x81\x06\xb5\x38" +
		"\x00\x00\x00\x00\x00\x00\x02"
	tree := newTree(t)
	for i, d := range []hostdisktest.Disk{
		{Name: "sdb", Model: "2105800", Serial: "20313698"},
		{Name: "sdc", Model: "2107900", Serial: "75DC8914805"},
		{Name: "sdd", Model: "2107900", Serial: "75DC8914805"},
		{Name: "sde", Model: "2145", Serial: clusterSerial},
		{Name: "sdf", Model: "2145", Serial: clusterSerial},
		{Name: "sdg", Model: "2107900"},
	} {
		d.Vendor, d.LUN = "IBM", i
		check(t, tree.Add(d))
	}
	check(t, tree.File("sys/block/sde/device/vpd_pg83", hostdisktest.Page(0x83,
		hostdisktest.Designator(codeSetBinary, typeNAA, []byte(naa)))))
	got, warnings := show(t, Options{Root: tree.Root, Models: []string{"2107", "2145"}})
	want := "sdc=75DC8914805[sdd] sde=60050768028106B53800000000000002 sdf=" + clusterSerial
	if got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "/dev/sdc and /dev/sdd are both volume 75DC8914805",
		"/dev/sdg is a 2107 disk, but it tells no serial")
	if got, _ = show(t, Options{Root: tree.Root}); got != "sdb=20313698" {
		t.Errorf("2105 alone: listed %q", got)
	}
}

// TestListMachine: what disks this machine has is not known, but that asking
// works on Linux, and elsewhere where the system's tools are there, is.
func TestListMachine(t *testing.T) {
	for _, root := range []string{"", "/"} {
		disks, _, err := List(t.Context(), Options{Root: root, All: true, Details: true})
		if _, missing := os.Stat("/sys/block"); runtime.GOOS != "linux" || missing != nil {
			if err != nil && fault.KindOf(err) != fault.Failed {
				t.Errorf("List on %s: %v", runtime.GOOS, err)
			}
			continue
		}
		check(t, err)
		showDisks(t, disks)
	}
}

func TestListCapturedHosts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no colons in file names")
	}
	for name, want := range map[string]string{
		"rich-w2k-os-1": "mapper/mpatha=20513698[sdc sdd] sdb=20313698",
		"RICH-W2K-OS-2": "sdb=20413698 sdc=20613698",
	} {
		host, err := Read(t.Context(), Options{
			Root: filepath.Join("..", "..", "testscripts", "hosts", name)})
		check(t, err)
		if got := showDisks(t, host.Disks); got != want {
			t.Errorf("%s: listed %q, want %q", name, got, want)
		}
		checkWarnings(t, host.Warnings)
		if host.Name != name || host.OS != "Debian GNU/Linux 12 (bookworm)" {
			t.Errorf("host is %q on %q", host.Name, host.OS)
		}
		for _, d := range host.Disks {
			if _, ok := d.Volume(); !ok {
				t.Errorf("%s is not a volume", d.Name)
			}
		}
	}
}
