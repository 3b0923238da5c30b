package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"copyservices/arrayclient/fault"
)

var (
	errSlowDial = errors.New("no connection in time")
	errSilent   = errors.New("no answer in time")
	errEmpty    = errors.New("the answer was empty")
	errCut      = errors.New("the answer was cut off")
)

// causeOf prefers the reason for which ctx was cancelled to the error that
// the cancelling led to.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// classify tells what the failure of a round trip means. connected: the
// request had a connection to be written to.
func classify(ctx context.Context, server string, err error, connected bool) error {
	var final *fault.Error
	if errors.As(err, &final) {
		return final
	}
	if isForeign(err) {
		return notOurs(server, "it does not speak HTTP/1.1")
	}
	var away *unreachable
	cause := causeOf(ctx, err)
	switch {
	case connected:
		return &lost{server, cause}
	case errors.As(err, &away):
		return away
	}
	return &unreachable{server, cause}
}

// isForeign recognises net/http's complaints about an answer that is no HTTP;
// it has no error types for them.
func isForeign(err error) bool {
	return strings.Contains(err.Error(), "malformed HTTP")
}

func isSilence(err error) bool {
	var away *unreachable
	var gone *lost
	return errors.As(err, &away) || errors.As(err, &gone)
}

// reason is err in few words: the address and the call that net puts in
// front of it are known to the reader of our messages.
func reason(err error) string {
	var op *net.OpError
	var name *net.DNSError
	var sys *os.SyscallError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, io.ErrClosedPipe), // of content that was abandoned
		errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.As(err, &name):
		return strings.TrimSpace(name.Err + " " + name.Name)
	case errors.As(err, &sys):
		return sys.Err.Error()
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}

// What to do about a server B that is another server than A.
const (
	backupIs   = "server B is a copyserver that takes over the state folder of server A"
	BackupHint = backupIs + "; if A has a new certificate, pin it: rsTestConnection --trust"
)

// noAnswer is the error of a request that no server answered.
func noAnswer(opts Options, r *request, failures []error, sent bool) error {
	all := textOf(failures)
	hint := cmp.Or(opts.NoAnswerHint,
		"check that copyserver runs there and that --server names its host and port")
	var other *stranger
	if errors.As(failures[len(failures)-1], &other) {
		hint = BackupHint
		if opts.KnownID != nil {
			hint = backupIs
		}
	}
	if sent && r.repeat != safe {
		return fault.New(fault.Connection,
			"the answer was lost, the request may have been carried out: %s", all).
			WithHint("look whether it was: rsQuery, esscli list run")
	}
	return fault.New(fault.Connection, "no answer from %s", all).WithHint("%s", hint)
}

func textOf(failures []error) string {
	texts := make([]string, len(failures))
	for i, err := range failures {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// stopped is the error of a request whose context ended.
func stopped(ctx context.Context, r *request, sent bool) error {
	kind, text := fault.TimedOut, "no answer before the time was up"
	if errors.Is(ctx.Err(), context.Canceled) {
		kind, text = fault.Interrupted, "interrupted"
	}
	if sent && r.method != http.MethodGet {
		return fault.New(kind, "%s; the request may have been carried out", text).
			WithHint("look whether it was: rsQuery, esscli list run")
	}
	return fault.New(kind, "%s", text)
}

// answerError is the error that an answer with a status of 300 or more
// carries.
func answerError(server string, resp *http.Response, body []byte) error {
	var e ErrorBody
	if json.Unmarshal(body, &e) == nil && e.Error.Kind != "" && e.Error.Message != "" {
		switch resp.StatusCode {
		case http.StatusPreconditionFailed:
			return errStamp
		case http.StatusServiceUnavailable:
			return &lost{server, e.Error.Err()}
		}
		return e.Error.Err()
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &lost{server, errors.New("a proxy answered " + resp.Status)}
	}
	return notOurs(server, "it answered "+resp.Status)
}

func notOurs(server, why string) error {
	return fault.New(fault.Server, "%s is not a Copy Services server: %s", server, why).
		WithHint("check the host and port given with --server")
}
