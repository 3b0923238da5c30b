package remote_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays/remote"
)

// TestActsAreThoseOfTheOtherServer: no act is claimed that the array there lacks.
func TestActsAreThoseOfTheOtherServer(t *testing.T) {
	t.Parallel()
	all := arrayclient.Features(&filearray.Array{})
	without := func(no ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(f string) bool { return slices.Contains(no, f) })
	}
	for name, c := range map[string]struct {
		nbd        string
		told, want []string
	}{
		"all":                 {"127.0.0.1:1", all, all},
		"none":                {"127.0.0.1:1", []string{}, []string{}},
		"some":                {"", []string{"expand", "freeze"}, []string{"freeze", "expand"}},
		"no NBD":              {"", all, without("content")},
		"unknown here":        {"", []string{"label", "teleport"}, []string{"label"}},
		"records, no resyncs": {"", []string{"record"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			a := open(t, pretended(t, c.nbd, c.told))
			if got := arrayclient.Features(a); !slices.Equal(got, c.want) {
				t.Errorf("the acts are %v, not %v", got, c.want)
			}
			if _, ok := arrayclient.As[arrayclient.Rehearser](a); ok {
				t.Error("there are rehearsals, which the API has not")
			}
		})
	}
}

// pretended is a server whose array has those features.
func pretended(t *testing.T, nbd string, features []string) remote.Config {
	t.Helper()
	answers := map[string]any{
		"/v1/server":            api.Server{NBD: nbd, Arrays: []string{"2105.13698", "2105.55555"}},
		"/v1/arrays/2105.13698": api.Array{ID: "2105.13698", Features: features},
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answers[r.URL.Path]); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return remote.Config{
		Servers: []string{strings.TrimPrefix(s.URL, "https://")},
		TLS:     func(string) *tls.Config { return &tls.Config{RootCAs: roots} },
	}
}
