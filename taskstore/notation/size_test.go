package notation

import (
	"testing"
)

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 512: "512", 1024: "1KiB", 1536: "1536",
		64 << 20: "64MiB", 3 << 30: "3GiB", 16 << 40: "16TiB",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}
