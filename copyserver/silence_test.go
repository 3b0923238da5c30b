package copyserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
)

// nowhere is an array that no call gets to.
type nowhere struct{ arrayclient.Array }

func (nowhere) Close() error { return nil }

// Properties are those of array 2105.22222.
func (nowhere) Properties(context.Context) (arrayclient.Properties, error) {
	id := arrayclient.ArrayID{MachineType: "2105", Serial: "22222"}
	return arrayclient.Properties{ID: id, Driver: "nowhere", TrackSize: arrayclient.TrackSize}, nil
}

// TestRegisteredArrayOverREST is driven after a restart too, also when it is silent then.
func TestRegisteredArrayOverREST(t *testing.T) {
	dir := t.TempDir()
	away := arraystest.New(nowhere{})
	with := testSeams
	with.drivers = map[string]arrays.Driver{
		"test": func(_ context.Context, at arrays.Login) (arrayclient.Array, error) {
			if at.Password != "hunter2" {
				return nil, fault.New(fault.Denied, "wrong password")
			}
			return away, nil
		},
	}
	w := startWith(t, dir, with)
	e := api.Entry{Kind: taskstore.EntryESS, Address: "10.0.0.5", User: "u", Password: "hunter3", Driver: "test"}
	w.refused("POST", "/v1/entries", e, 422, fault.Refused, "wrong password")
	e.Password = "hunter2"
	var got api.Entry
	w.do("POST", "/v1/entries", e, 201, &got)
	if got.Array != "2105.22222" || got.Driver != "test" || got.Password != "" {
		t.Errorf("%+v", got)
	}
	w.end()
	away.Set(arraystest.Refusing)
	w = startWith(t, dir, with)
	var list []api.Array
	w.do("GET", "/v1/arrays", nil, 200, &list)
	if len(list) != 2 || list[1].ID != "2105.22222" || list[1].Driver != "test" || list[1].State != api.ArraySilent {
		t.Errorf("%+v", list)
	}
	w.do("DELETE", "/v1/entries/ess/10.0.0.5", nil, 204, nil)
	w.do("GET", "/v1/arrays", nil, 200, &list)
	if len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// TestRegisteredCopyserver drives the array of another server, which is known by its
// certificate.
func TestRegisteredCopyserver(t *testing.T) {
	with := testSeams
	with.drivers = drivers()
	other := startOptions(t, testSeams, t.TempDir(), func(o *Options) { o.ArraySerial = "33333" })
	v := other.volumes(2)
	w := startWith(t, t.TempDir(), with)
	e := api.Entry{
		Kind: taskstore.EntryESS, Address: other.Addr(), User: other.user, Password: other.pass,
		Driver: "copyserver", Fingerprint: "sha256:" + strings.Repeat("ab", 32),
	}
	w.refused("POST", "/v1/entries", e, 502, fault.Connection, "its certificate has the fingerprint")
	e.Fingerprint = secrets.Fingerprint(other.cert)
	var got api.Entry
	w.do("POST", "/v1/entries", e, 201, &got)
	if got.Array != "2105.33333" {
		t.Errorf("%+v", got)
	}
	w.core.Arrays.Settle(t.Context())
	w.do("POST", "/v1/relationships", api.EstablishRequest{
		Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}, Options: arrayclient.Options{NoCopy: true},
	}, 201, nil)
	var rels []api.Relationship
	if other.do("GET", "/v1/relationships", nil, 200, &rels); len(rels) != 1 {
		t.Errorf("%+v", rels)
	}
	w.do("DELETE", "/v1/entries/ess/"+other.Addr(), nil, 204, nil)
}

// TestSilentArrayOverREST is missing in lists, which say so, and is not the server's
// failure.
func TestSilentArrayOverREST(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	away := arraystest.New(nowhere{})
	away.Set(arraystest.Refusing)
	must(t, w.core.Arrays.Add(arrays.Added{
		ID: arrayclient.ArrayID{MachineType: "2105", Serial: "22222"}, Open: away.Open,
		Limits: arrays.DefaultLimits(), Logger: slog.New(slog.DiscardHandler),
	}))
	for path, entries := range map[string]int{"/v1/volumes": 2, "/v1/relationships": 0} {
		resp, body := w.request("GET", path, nil)
		var list []json.RawMessage
		must(t, json.Unmarshal(body, &list))
		warnings := resp.Header.Values(api.WarningHeader)
		if len(list) != entries || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "array 2105.22222 ") {
			t.Errorf("%s: %s, warnings %q", path, body, warnings)
		}
	}
	var list []api.Array
	w.do("GET", "/v1/arrays", nil, 200, &list)
	if len(list) != 2 || list[0].State != api.ArrayAnswers || list[1].State != api.ArraySilent ||
		list[1].Since.IsZero() || list[1].Reason == "" {
		t.Errorf("%+v", list)
	}
	w.do("GET", "/v1/volumes?serial="+v[0], nil, 200, nil)
	w.refused("GET", "/v1/volumes?serial=00022222", nil, 502, fault.Connection, "array 2105.22222 has not answered")
	w.refused("POST", "/v1/relationships", api.EstablishRequest{Pairs: []api.TaskPair{
		{Source: "00022222", Target: "00122222"},
	}}, 502, fault.Connection, "array 2105.22222 has not answered")
	start := time.Now()
	if resp, _ := w.request("GET", "/healthz", nil); resp.StatusCode != 200 || time.Since(start) > time.Minute {
		t.Errorf("/healthz: %s after %s", resp.Status, time.Since(start))
	}
	w.volumes(1) // in the server's own array
}
