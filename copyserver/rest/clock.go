package rest

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// A request can say how long it may still begin. Counted from its arrival that
// would be too long by the time it was on its way, so it may also be counted from
// a moment that the client knows: every answer carries a stamp of the server's
// clock, which was read before the answer was received.

// clock tells the time of this process, whatever the system's clock does.
type clock struct {
	name  string // random: stamps of another process mean nothing here
	start time.Time
}

func newClock() clock {
	var b [6]byte
	rand.Read(b[:]) // never fails, see its documentation
	return clock{hex.EncodeToString(b[:]), time.Now()}
}

func (c clock) stamp() string {
	return c.name + "-" + strconv.FormatInt(time.Since(c.start).Milliseconds(), 10)
}

// parse returns the time of a stamp; ok is false for another process's.
func (c clock) parse(stamp string) (t time.Time, ok bool) {
	digits, ok := strings.CutPrefix(stamp, c.name+"-")
	n, err := strconv.ParseInt(digits, 10, 52)
	if !ok || err != nil || n < 0 {
		return t, false
	}
	return c.start.Add(time.Duration(n) * time.Millisecond), true
}

// errStamp answers a stamp of another process: the client has a new one with it.
type errStamp struct{ error }

func (e errStamp) Unwrap() error { return e.error }

// maxBegin bounds what the arithmetic has to hold.
const maxBegin = 365 * 24 * time.Hour

// until returns when what is asked for may begin at the latest; zero for
// whenever.
func (s *API) until(q *call) (time.Time, error) {
	text := q.Header.Get(api.BeginHeader)
	if text == "" {
		return time.Time{}, nil
	}
	digits, stamp, stamped := strings.Cut(text, " after ")
	n, err := strconv.ParseInt(digits, 10, 63)
	if err != nil || n < 0 || n > int64(maxBegin/time.Millisecond) {
		return time.Time{}, fault.New(fault.Usage, "%s is a number of milliseconds, not %.80q",
			api.BeginHeader, text)
	}
	from := q.arrived
	if stamped {
		var ok bool
		if from, ok = s.clock.parse(stamp); !ok {
			return time.Time{}, errStamp{fault.New(fault.Usage,
				"the stamp %.80q is not of this server's clock", stamp).
				WithHint("take that of this answer")}
		}
	}
	return from.Add(time.Duration(n) * time.Millisecond), nil
}

// inTime refuses a request that has come too late to be begun.
func (s *API) inTime(q *call) error {
	until, err := s.until(q)
	if err == nil && !until.IsZero() && !time.Now().Before(until) {
		err = fault.New(fault.TimedOut, "the request was not begun: the time for that is up").
			WithHint("nothing was done")
	}
	return err
}
