package copyserver

import (
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
)

// nowhere is an array that no call gets to.
type nowhere struct{ arrayclient.Array }

func (nowhere) Close() error { return nil }

// TestSilentArrayOverREST is missing in lists, which say so, and is not the server's
// failure.
func TestSilentArrayOverREST(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	away := arraystest.New(nowhere{})
	away.Set(arraystest.Refusing)
	must(t, w.core.Arrays.Add(arrays.Added{
		ID: arrayclient.ArrayID{MachineType: "2105", Serial: "22222"}, Array: away,
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
