// Package notation reads what people write for a value: a number, a size, a
// duration, an address, a fingerprint. Flags, environment, files and requests
// read a value by the same function, so that one spelling means one thing
// everywhere, and values are compared by what they mean. The errors are of kind
// Usage.
package notation

import (
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// ParseNumber reads a decimal number from least to most. A zero in front does
// not make it octal.
func ParseNumber(s string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '+' || n < least || n > most {
		return 0, fault.New(fault.Usage, "%.40q is not a number from %d to %d", s, least, most)
	}
	return n, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
