package rest

import "testing"

// FuzzRanges: whatever a header says, what is read of it lies within the volume.
func FuzzRanges(f *testing.F) {
	for _, header := range []string{"bytes=0-", "bytes=-5", "bytes=9223372036854775807-", "bytes 1-2/3",
		"bytes 0-9223372036854775806/*", "bytes 5-4/*", "bytes 1-2/18446744073709551616"} {
		f.Add(header, int64(1<<20))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size = max(size, 1)
		within := func(r byteRange) bool {
			return 0 <= r.first && r.first <= r.last && r.last < size && r.length() > 0
		}
		if r, err := parseRange(header, size); err == nil && r != nil && !within(*r) {
			t.Errorf("Range %q of %d bytes: %+v", header, size, r)
		}
		r, err := parseContentRange(header)
		if err == nil && r.fits(size) == nil && !within(r.byteRange) {
			t.Errorf("Content-Range %q of %d bytes: %+v", header, size, r)
		}
	})
}
