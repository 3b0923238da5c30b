package notation

import (
	"strconv"
	"time"

	"copyservices/arrayclient/fault"
)

// ParseDuration reads 90s, 5m, 1h30m, or a plain number of seconds; 0 is one.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if seconds, numErr := strconv.ParseUint(s, 10, 31); numErr == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < 0 {
		return 0, fault.New(fault.Usage, "%.40q is not a duration, like 90s or 5m", s)
	}
	return d, nil
}
