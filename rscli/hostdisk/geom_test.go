package hostdisk

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const inquiry = "camcontrol inquiry da2 -S"

func bsdHost(t *testing.T) *fakeTools {
	return sampleTools(t, map[string]string{"geom disk list": "freebsd/geom-disk-list",
		"geom multipath list": "freebsd/geom-multipath-list", inquiry: "=20413698\n"})
}

func TestFreeBSD(t *testing.T) {
	disks, warnings := bsdHost(t).list("freebsd", Options{})
	if got, want := showDisks(t, disks), "da2=20413698 multipath/lun203=20313698[da0 da1]"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
	if d := disks[1]; d.Size != 1<<30 || d.WWID != "5005076300c00203" {
		t.Errorf("%s is %+v", d.Name, d)
	}
}

func TestFreeBSDAll(t *testing.T) {
	disks, _ := bsdHost(t).list("freebsd", Options{All: true})
	want := `ada0=QM00001 | QEMU | HARDDISK
cd0= | QEMU | QEMU DVD-ROM
da2=20413698 | IBM | 2105800
multipath/lun203=20313698[da0 da1] | IBM | 2105800
vtbd0= |  | `
	if got := showAll(t, disks); got != want {
		t.Errorf("listed\n%s\nwant\n%s", got, want)
	}
}

// TestFreeBSDWithoutRoot: camcontrol is refused, and the multipath class is not
// loaded.
func TestFreeBSDWithoutRoot(t *testing.T) {
	f := bsdHost(t)
	f.errors[inquiry], f.errors["geom multipath list"] = errToolFailed, errToolFailed
	disks, warnings := f.list("freebsd", Options{})
	if got, want := showDisks(t, disks), "da0=20313698[da1]"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "/dev/da0 and /dev/da1 are both", "/dev/da2 is a 2105 disk, but it "+
		"tells no serial")
}

func TestFreeBSDToolHangs(t *testing.T) {
	for _, line := range []string{inquiry, "geom multipath list"} {
		f := bsdHost(t)
		f.errors[line] = errors.New("did not end")
		if _, _, err := listWithTools(t.Context(), "freebsd", f.run, Options{}); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

func TestParseInquirySerial(t *testing.T) {
	for out, want := range map[string]string{"20413698\n": "20413698", " 20413698 ": "20413698",
		"": "", "camcontrol: cam_lookup_pass: no such device\n": "", "a\x1bb\n": "a?b"} {
		if got := parseInquirySerial([]byte(out)); got != want {
			t.Errorf("parseInquirySerial(%q) = %q, want %q", out, got, want)
		}
	}
}

func FuzzGeom(f *testing.F) {
	f.Add([]byte("Geom name: da0\nProviders:\n1. Name: da0\n   Mediasize: 512 (512B)\n" +
		"   descr: IBM 2105800\n   ident: 20313698\nConsumers:\n1. [no provider]\n"))
	f.Add([]byte("Geom name: x\nProviders:\n   descr: y\n1. Name: ../../etc\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, g := range parseGeoms(out) {
			for _, end := range slices.Concat(g.providers, g.consumers) {
				d := end.disk()
				checkDisk(t, d.Name, d)
				if strings.Contains(d.Name, "..") {
					t.Errorf("a disk is called %q", d.Name)
				}
			}
		}
	})
}
