package hostdisk

import (
	"math/rand/v2"
	"slices"
	"testing"

	"copyservices/rscli/hostdisk/hostdisktest"
)

func TestCompareNames(t *testing.T) {
	want := []string{
		"/dev/cciss/c0d2", "/dev/cciss/c0d10",
		"/dev/mapper/backup", "/dev/mapper/mpath", "/dev/mapper/mpatha", "/dev/mapper/mpathz",
		"/dev/mapper/mpathaa", "/dev/mapper/mpathaa2", "/dev/mapper/mpathaa10",
		"/dev/nvme0n1", "/dev/nvme0n2", "/dev/nvme02n1", "/dev/nvme2n1", "/dev/nvme10n1",
		"/dev/sd", "/dev/sda", "/dev/sdb", "/dev/sdz", "/dev/sdaa", "/dev/sdab", "/dev/sdaaa",
		"/dev/vda", "/dev/vdaa",
		"Disk1", "Disk2", "Disk10", "hdisk2", "hdisk10",
	}
	got := slices.Clone(want)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		random.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		if slices.SortFunc(got, compareNames); !slices.Equal(got, want) {
			t.Fatalf("sorted: %q, want %q", got, want)
		}
	}
	for _, a := range want {
		for _, b := range want {
			if c := compareNames(a, b); c != -compareNames(b, a) || (c == 0) != (a == b) {
				t.Errorf("compareNames(%q, %q) = %d, and %d the other way round",
					a, b, c, compareNames(b, a))
			}
		}
	}
}

func TestCompareNamesCountsAsLinux(t *testing.T) {
	for i := range 20000 {
		a, b := "/dev/"+hostdisktest.SDName(i), "/dev/"+hostdisktest.SDName(i+1)
		if compareNames(a, b) >= 0 {
			t.Fatalf("%s does not come before %s", a, b)
		}
	}
}
