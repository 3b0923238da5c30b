package api

import (
	"net/http"
	"strings"
	"testing"

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
