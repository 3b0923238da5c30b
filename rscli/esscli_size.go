package rscli

import (
	"math"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// byteSize is a flag's value in bytes.
type byteSize int64

// sizeUnits by their names in lower case. All are powers of 1024; MB and the
// like are left out, for they mean one thing here and another there.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tib": 1 << 40,
}

// Set reads 64MiB, 64M, 1.5GiB or 67108864.
func (b *byteSize) Set(s string) error {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if !known || err != nil || strings.Trim(digits, "0123456789.") != "" {
		return fault.New(fault.Usage, "%q is not a size", s).
			WithHint("a size is like 64MiB, 1GiB or 67108864; units are powers of 1024")
	}
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil && whole <= math.MaxInt64/unit {
		*b = byteSize(whole * unit)
	} else if n *= float64(unit); n == math.Trunc(n) && n < 1<<62 {
		*b = byteSize(n)
	} else {
		return fault.New(fault.Usage, "%q is not a whole number of bytes that a volume can have", s)
	}
	if *b <= 0 {
		return fault.New(fault.Usage, "%q is no size for a volume", s)
	}
	return nil
}

func (b *byteSize) String() string {
	if b == nil || *b == 0 {
		return ""
	}
	return formatSize(int64(*b))
}

// roughSize writes a number of bytes that nobody will type again, with one
// digit after the point.
func roughSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value /= 1024
		i++
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + units[i]
}
