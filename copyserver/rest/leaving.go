package rest

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	// leaveTimeout is how long clients get to send and take what is under way when the
	// server stops, stallTimeout how long without any progress.
	leaveTimeout = 3 * time.Second
	stallTimeout = 500 * time.Millisecond
)

// deadline is when a client has to have sent or taken something that gets d for
// it. A server that stops gives it less.
func (s *API) deadline(d time.Duration) time.Time {
	now := time.Now()
	if s.stopping.Err() == nil {
		return now.Add(d)
	}
	end := s.stopTime.Add(leaveTimeout)
	if stall := now.Add(min(d, stallTimeout)); stall.Before(end) {
		return stall
	}
	return end
}

// whileWaiting calls f, which waits for the client; when the server stops
// meanwhile, hurry is called to set the deadlines anew. It has returned when
// whileWaiting does.
func (s *API) whileWaiting(f, hurry func()) {
	done := make(chan struct{})
	forget := context.AfterFunc(s.stopping, func() {
		defer close(done)
		hurry()
	})
	f()
	if !forget() {
		<-done
	}
}

// withBody returns r with a body that has to come in time. It counts for every
// answer: what of a body was not read is waited for.
func (s *API) withBody(w http.ResponseWriter, r *http.Request) *http.Request {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.deadline(s.bodyTimeout))
	r = r.WithContext(r.Context()) // package http has uses for the original
	r.Body = &hastyBody{r.Body, s, control}
	return r
}

// hastyBody is the body of a request, which a server that stops does not wait
// for long.
type hastyBody struct {
	io.ReadCloser
	s       *API
	control *http.ResponseController
}

// Read is that of the body.
func (b *hastyBody) Read(p []byte) (n int, err error) {
	b.s.whileWaiting(func() { n, err = b.ReadCloser.Read(p) }, func() {
		_ = b.control.SetReadDeadline(b.s.deadline(stallTimeout))
	})
	return n, err
}

// answering calls f, which writes the answer to r. What of a body was not read is
// waited for first.
func (s *API) answering(w http.ResponseWriter, r *http.Request, f func()) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(s.deadline(2 * s.bodyTimeout))
	s.whileWaiting(func() {
		f()
		if r.ContentLength != 0 {
			_ = control.Flush() // here, not after the last handler, it waits
		}
	}, func() {
		_ = control.SetReadDeadline(s.deadline(stallTimeout))
		_ = control.SetWriteDeadline(s.deadline(stallTimeout))
	})
}
