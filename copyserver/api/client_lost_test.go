package api

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// TestClientTakesNoAnswerToItsLeaving: the client gives up, which a server sees
// a moment before the connection is closed. What it answers then is nobody's.
func TestClientTakesNoAnswerToItsLeaving(t *testing.T) {
	for _, answer := range []*http.Response{
		{StatusCode: 200, Body: http.NoBody},
		{StatusCode: 204, Body: http.NoBody},
		{StatusCode: 500, Body: io.NopCloser(strings.NewReader(
			`{"error":{"kind":"interrupted","message":"interrupted"}}`))},
	} {
		c := newClient(t, "127.0.0.1:1")
		c.opts.Timeout = 5 * time.Millisecond
		c.roundTrip = func(r *http.Request) (*http.Response, error) {
			httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
			<-r.Context().Done()
			return answer, nil
		}
		_, err := c.Hosts(t.Context())
		wantFault(t, err, fault.Connection, "no answer in time")
		err = c.DeleteTask(t.Context(), "X")
		wantFault(t, err, fault.Connection, "no answer in time")
	}
}

// TestClientTakesNoPartForTheWhole: an answer that is empty or cut off is lost,
// and what a proxy says is not the server's.
func TestClientTakesNoPartForTheWhole(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"the answer was empty": func(http.ResponseWriter, *http.Request) {},
		"the answer was cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":`)
		},
		"a proxy answered 502 Bad Gateway": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		},
	} {
		var got requests
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if got.add(r) > 2 {
				writeJSON(w, 201, Run{ID: "7"})
				return
			}
			answer(w, r)
		})
		run, err := newClient(t, addrOf(s)).RunTask(t.Context(), "X", RunRequest{})
		if err != nil || run.ID != "7" {
			t.Errorf("%s: %+v, %v", want, run, err)
		}
		_, err = newClient(t, addrOf(serve(t, answer))).Hosts(t.Context())
		wantFault(t, err, fault.Connection, want)
	}
}
