package hostdisk

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"copyservices/rscli/hostdisk/hostdisktest"
)

const manyDisks = 4096

// largeTree writes a host with manyDisks volumes, in memory where the machine
// has a place for that: there are 60,000 files to make, and sysfs is in memory
// too.
func largeTree(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS == "windows" {
		tb.Skip("Windows has no colons in file names")
	}
	dir, err := os.MkdirTemp("/dev/shm", "hostdisk")
	if err != nil {
		dir = tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := hostdisktest.Large(dir, manyDisks); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestListMany(t *testing.T) {
	disks, warnings, err := List(t.Context(), Options{Root: largeTree(t)})
	check(t, err)
	checkWarnings(t, warnings)
	if len(disks) != manyDisks {
		t.Fatalf("listed %d disks", len(disks))
	}
	for i, d := range disks {
		name, serial := "/dev/"+hostdisktest.SDName(i), fmt.Sprintf("%03X13698", i)
		if volume, ok := d.Volume(); d.Name != name || !ok || string(volume) != serial {
			t.Fatalf("disk %d is %+v, want %s %s", i, d, name, serial)
		}
	}
}

func BenchmarkList4096(b *testing.B) {
	opts := Options{Root: largeTree(b)}
	for b.Loop() {
		if disks, _, err := List(b.Context(), opts); err != nil || len(disks) != manyDisks {
			b.Fatal(len(disks), err)
		}
	}
}
