package hostdisk

import (
	"cmp"
	"strings"
)

// letterFamilies are the names that Linux numbers in letters: a to z, then aa.
// No family is the beginning of another, which keeps the order total.
var letterFamilies = []string{
	"/dev/sd", "/dev/vd", "/dev/xvd", "/dev/hd", "/dev/dasd", "/dev/mapper/mpath",
}

// compareNames orders device names as people count: sdz before sdaa, disk2
// before disk10.
func compareNames(a, b string) int {
	for _, family := range letterFamilies {
		restA, okA := strings.CutPrefix(a, family)
		restB, okB := strings.CutPrefix(b, family)
		if okA && okB {
			if c := cmp.Compare(letters(restA), letters(restB)); c != 0 {
				return c
			}
			return compareNumbered(restA, restB)
		}
		if okA || okB {
			break
		}
	}
	return compareNumbered(a, b)
}

// letters counts the lower-case letters that s begins with.
func letters(s string) int {
	return len(s) - len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))
}

// compareNumbered compares bytes, but runs of digits by their value.
func compareNumbered(a, b string) int {
	whole := strings.Compare(a, b)
	for a != "" && b != "" {
		numA, restA := cutNumber(a)
		numB, restB := cutNumber(b)
		c := cmp.Compare(a[0], b[0])
		if restA != a && restB != b {
			c = cmp.Or(cmp.Compare(len(numA), len(numB)), strings.Compare(numA, numB))
		} else {
			restA, restB = a[1:], b[1:]
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), whole)
}

// cutNumber cuts the digits that s begins with, without leading zeros.
func cutNumber(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return strings.TrimLeft(s[:len(s)-len(rest)], "0"), rest
}
