package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

func TestTextThatIsNotUTF8IsNotSent(t *testing.T) {
	var seen requests
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		writeJSON(w, 201, User{Name: "u"})
	})
	c := newClient(t, addrOf(s))
	for _, bad := range []string{"\xff", "p\xe4ss", `\\` + "\xfe"} {
		_, err := c.CreateUser(t.Context(), UserChange{Name: "u", Password: bad})
		wantFault(t, err, fault.Usage, "not UTF-8", "encoding")
	}
	if n := len(seen.seen()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, good := range []string{"pä ss", "\ufffd", `\ufffd`, `\\ufffd`} {
		if _, err := c.CreateUser(t.Context(), UserChange{Name: "u", Password: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestNamesThatNoPathCarries(t *testing.T) {
	c := newClient(t, closedPort(t))
	for _, name := range []string{"", ".", "..", strings.Repeat("x", maxName+1)} {
		_, err := c.Task(t.Context(), name)
		wantFault(t, err, fault.Usage, "is not a name")
		if len(err.Error()) > 120 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

// TestContentWhoseSourceStandsStill must not hide that the server is gone or
// that nobody waits any more.
func TestContentWhoseSourceStandsStill(t *testing.T) {
	for name, c := range map[string]struct {
		kind   fault.Kind
		text   string
		hangUp bool
	}{
		"server gone": {fault.Connection, "the connection was closed", true},
		"interrupted": {fault.Interrupted, "interrupted", false},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			ctx, interrupt := context.WithCancel(t.Context())
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadFull(r.Body, make([]byte, 4)); err != nil {
					t.Error(err)
				}
				if !c.hangUp {
					interrupt()
					_, _ = io.ReadAll(r.Body)
				} else if conn, _, err := http.NewResponseController(w).Hijack(); err != nil {
					t.Error(err)
				} else {
					conn.Close()
				}
			})
			done := make(chan error)
			go func() {
				_, err := newClient(t, addrOf(s)).WriteContent(ctx, "20313698", false, func(w io.Writer) error {
					_, err := w.Write([]byte("some"))
					<-release // the tape is rewinding
					return err
				})
				done <- err
			}()
			select {
			case err := <-done:
				wantFault(t, err, c.kind, c.text)
			case <-time.After(20 * time.Second):
				t.Fatal("it waits for its source")
			}
		})
	}
}
