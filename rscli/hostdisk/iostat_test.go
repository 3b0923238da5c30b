package hostdisk

import "testing"

func TestSolaris(t *testing.T) {
	f := sampleTools(t, map[string]string{"iostat -En": "solaris/iostat"})
	disks, warnings := f.list("solaris", Options{})
	want := "c3t5005076300C00203d4=20413698[c4t5005076300C40203d4] " +
		"c8t6005076300C002030000000000000203d0=20313698"
	if got := showDisks(t, disks); got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "c3t5005076300C00203d4 and c4t5005076300C40203d4 are both volume")
	if disks[1].Size != 1<<30 {
		t.Errorf("%s has %d bytes", disks[1].Name, disks[1].Size)
	}
}

func TestSolarisAll(t *testing.T) {
	f := sampleTools(t, map[string]string{"iostat -En": "solaris/iostat"})
	disks, _ := f.list("illumos", Options{All: true, Models: []string{"2107"}})
	want := `c0t0d0= | MegaRaid | PERC 3/DC
c1t0d0=43W14Z080040A34E | HITACHI | DK32EJ72NSUN72G
c2d0=VB9bd6bcc9-ded7 |  | VBOX HARDDISK
c3t5005076300C00203d4=20413698 | IBM | 2105F20
c4t5005076300C40203d4=20413698 | IBM | 2105F20
c8t6005076300C002030000000000000203d0=20313698 | IBM | 2105800`
	if got := showAll(t, disks); got != want {
		t.Errorf("listed\n%s\nwant\n%s", got, want)
	}
}

func FuzzIostat(f *testing.F) {
	f.Add([]byte("c1t0d0 Soft Errors: 0\nVendor: IBM Product: 2105800 Revision: 1 Serial No: 20313698" +
		" Size: 1.07GB <1073741824 bytes>\n"))
	f.Add([]byte("sd0 Soft Errors: 0\nSize: <-1 bytes>Vendor: \x1bSerial No:\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, d := range parseIostat(out) {
			checkDisk(t, d.Name, d)
		}
	})
}
