package notation

import (
	"math"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// sizeUnits by their names in lower case. All are powers of 1024; MB and the
// like are left out, for they mean one thing here and another there.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tib": 1 << 40,
}

const sizeHint = "a size is a number of bytes, or has a unit: KiB, MiB, GiB, TiB, or K, M, G, T for short; " +
	"all are powers of 1024, and MB, GB, TB are not taken because to some they are powers of 1000"

// ParseSize reads a number of bytes of at least 1: 64MiB, 64M, 1.5GiB or
// 67108864.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	whole, fraction, _ := strings.Cut(digits, ".")
	if !known || !isDigits(whole+fraction) {
		return 0, fault.New(fault.Usage, "%.40q is not a size", s).WithHint("%s", sizeHint)
	}
	size, ok := scaled(whole, fraction, unit)
	switch {
	case !ok:
		return 0, fault.New(fault.Usage, "%.40q is not a whole number of bytes", s)
	case size == 0:
		return 0, fault.New(fault.Usage, "%.40q: a size is not 0", s)
	}
	return size, nil
}

// scaled returns whole.fraction times unit, if that is a whole number.
func scaled(whole, fraction string, unit int64) (int64, bool) {
	fraction = strings.TrimRight(fraction, "0")
	if fraction == "" {
		n, err := strconv.ParseInt("0"+whole, 10, 64)
		return n * unit, err == nil && n <= math.MaxInt64/unit
	}
	n, err := strconv.ParseFloat(whole+"."+fraction, 64)
	n *= float64(unit)
	return int64(n), err == nil && n == math.Trunc(n) && n < 1<<53
}

// FormatSize writes bytes in the largest unit that divides them, as ParseSize
// takes it.
func FormatSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + units[i]
}
