package program

import (
	"testing"
)

func TestRoughSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 1023: "1023", 1024: "1KiB", 1536: "1.5KiB", 264212084 << 10: "252GiB", 3 << 50: "3PiB",
	} {
		if got := RoughSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
