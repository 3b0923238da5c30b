package rest

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore/notation"
)

func errorBody(err error) api.ErrorBody { return api.ErrorBody{Error: fault.DetailOf(err)} }

// encode returns the JSON of an answer's body.
func encode(body any) []byte {
	if data, ok := body.([]byte); ok {
		return data
	}
	data, err := json.Marshal(body)
	if err != nil {
		// Nothing the API answers with can fail to encode.
		panic(err)
	}
	return append(data, '\n')
}

// writeAnswer answers the request. Of a long answer, which the client may take its
// time to take, the memory is the client's.
func (q *call) writeAnswer(a answer) error {
	if a.body != nil {
		data := encode(a.body)
		a.body = data
		if len(data) > smallAnswer {
			if err := q.take(int64(len(data))); err != nil {
				writeError(q.w, err)
				return err
			}
		}
	}
	writeAnswer(q.w, a)
	return nil
}

func writeAnswer(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	data := encode(a.body)
	h.Set("Content-Type", cmp.Or(a.kind, "application/json"))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(a.status)
	// A client that went away is no failure of the server's.
	_, _ = w.Write(data)
}

// read returns the body of a request, which must be JSON of at most
// api.MaxBody bytes. A longer one is not read to its end.
func (q *call) read() ([]byte, error) {
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fault.New(fault.Usage, "the request's content type is not application/json")
	}
	if q.ContentLength > api.MaxBody {
		return nil, tooLarge(&http.MaxBytesError{Limit: api.MaxBody})
	}
	body := http.MaxBytesReader(q.w.ResponseWriter, q.Body, api.MaxBody)
	data, err := io.ReadAll(kept{body, q})
	if errors.Is(err, errCrowded) {
		return nil, err
	}
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		return nil, tooLarge(limit)
	}
	if err != nil {
		// The deadline stays: what is missing is waited for before the answer.
		return nil, fault.New(fault.Usage, "the request broke off: %w", err)
	}
	// The next read may be that for the client's leaving, in a long poll.
	_ = q.control.SetReadDeadline(time.Time{})
	return data, nil
}

func tooLarge(err *http.MaxBytesError) error {
	return fault.New(fault.Usage, "a request has at most %d bytes: %w", err.Limit, err)
}

// decode reads the body into v, a pointer, and returns it as it came.
func (q *call) decode(v any) ([]byte, error) {
	data, err := q.read()
	if err != nil {
		return nil, err
	}
	return data, decodeStrict(data, v)
}

// wait returns how long the client is ready to wait for its answer.
func (q *call) wait() (time.Duration, error) {
	return q.duration("wait", time.Second, api.MaxWait)
}

// maxLine is far more than anybody waits for another run.
const maxLine = 365 * 24 * time.Hour

// line returns how long a request for a run stands in line.
func (q *call) line() (time.Duration, error) {
	return q.duration("line", time.Millisecond, maxLine)
}

// duration returns a number of units that the query may name; 0 where it does not.
func (q *call) duration(name string, unit, most time.Duration) (time.Duration, error) {
	query := q.URL.Query()
	if !query.Has(name) {
		return 0, nil
	}
	n, err := notation.ParseNumber(query.Get(name), 0, int64(most/unit))
	if err != nil {
		return 0, fault.New(fault.Usage, "%s, in %s: %w", name, unitNames[unit], err)
	}
	return time.Duration(n) * unit, nil
}

var unitNames = map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}
