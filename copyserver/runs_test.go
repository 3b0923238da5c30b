package copyserver

import (
	"encoding/json"
	"testing"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// TestListOfRunsTellsHowManyThereAre: a list that ends at its limit looks like a
// whole one otherwise.
func TestListOfRunsTellsHowManyThereAre(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(3)
	for i, name := range []string{"often", "once"} {
		w.do("POST", "/v1/tasks", api.Task{
			Name: name, Type: taskstore.TaskEstablish, Options: arrayclient.Options{NoCopy: true},
			Pairs: []api.TaskPair{{Source: v[0], Target: v[1+i]}},
		}, 201, nil)
	}
	for _, name := range []string{"often", "once", "often"} {
		w.do("POST", "/v1/tasks/"+name+"/runs", api.RunRequest{}, 201, nil)
	}
	for query, want := range map[string]struct {
		listed int
		total  string
	}{
		"":                    {3, "3"},
		"?limit=2":            {2, "3"},
		"?limit=1&task=OFTEN": {1, "2"},
		"?task=once":          {1, "1"},
		"?task=never":         {0, "0"},
	} {
		resp, body := w.request("GET", "/v1/runs"+query, nil)
		var runs []api.Run
		must(t, json.Unmarshal(body, &runs))
		if total := resp.Header.Get(api.TotalHeader); len(runs) != want.listed || total != want.total {
			t.Errorf("%q: %d runs listed of %q, want %d of %s", query, len(runs), total, want.listed, want.total)
		}
	}
}
