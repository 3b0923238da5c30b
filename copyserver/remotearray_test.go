package copyserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/remote"
	"copyservices/taskstore"
)

// startOther starts a server whose array has another serial.
func startOther(t *testing.T) *world {
	t.Helper()
	return startOptions(t, testSeams, t.TempDir(), func(o *Options) { o.ArraySerial = "22222" })
}

// drive makes the array of other one that w drives too.
func (w *world) drive(other *world) arrayclient.ArrayID {
	w.Helper()
	a, err := remote.Open(w.Context(), remote.Config{
		Servers: []string{other.Addr()}, User: access.DefaultUser, Password: access.DefaultPassword,
		TLS: func(string) *tls.Config {
			return pinned(other.Server).Transport.(*http.Transport).TLSClientConfig
		},
	})
	must(w.T, err)
	p, err := a.Properties(w.Context())
	must(w.T, err)
	must(w.T, w.core.Arrays.Add(arrays.Added{
		ID: p.ID, Driver: p.Driver, Limits: arrays.Limits{Read: time.Minute, Act: time.Minute, Retry: time.Second},
		Open:   func(context.Context) (arrayclient.Array, error) { return a, nil },
		Logger: slog.New(slog.DiscardHandler),
	}))
	w.core.Arrays.Settle(w.Context())
	return p.ID
}

func (w *world) serials(path string) []string {
	w.Helper()
	var list []api.Volume
	w.do("GET", path, nil, 200, &list)
	var out []string
	for _, v := range list {
		out = append(out, string(v.Serial))
	}
	return out
}

// TestArrayOfAnotherServer has an array come, work and go while the server runs: its
// volumes are listed, primed by a host, copied by a stored task and read, here and there.
func TestArrayOfAnotherServer(t *testing.T) {
	near, far := start(t, t.TempDir()), startOther(t)
	own := near.volumes(1)
	id := near.drive(far)
	var list []api.Array
	near.do("GET", "/v1/arrays", nil, 200, &list)
	if len(list) != 2 || list[1].ID != id.String() || list[1].Driver != remote.Driver ||
		list[1].State != api.ArrayAnswers || !slices.Contains(list[1].Features, "resync") {
		t.Fatalf("the arrays are %+v", list)
	}
	var made []api.Volume
	near.do("POST", "/v1/volumes", api.VolumeCreate{Array: id.String(), Size: contentSize, Count: 2}, 201, &made)
	source, target := string(made[0].Serial), string(made[1].Serial)
	if got := near.serials("/v1/volumes"); !slices.Equal(got, []string{own[0], source, target}) {
		t.Errorf("the volumes here are %v", got)
	}
	if got := far.serials("/v1/volumes"); !slices.Equal(got, []string{source, target}) {
		t.Errorf("the volumes there are %v", got)
	}
	near.do("PUT", "/v1/hosts/vm", api.Host{Name: "vm", OS: "Linux", Devices: []api.Device{
		{Name: "Disk1", Serial: made[0].Serial}, {Name: "Disk2", Serial: made[1].Serial},
	}}, 200, nil)
	near.task("nightly", taskstore.TaskEstablish, "vm:Disk1", "vm:Disk2")
	data := image(1, contentSize)
	content := func(serial string) string { return "/v1/volumes/" + serial + "/content" }
	near.do("PUT", content(source), bytes.NewReader(data), 200, nil, "Content-Type", api.RawContentType)
	var run api.Run
	near.do("POST", "/v1/tasks/nightly/runs", api.RunRequest{Wait: true}, 201, &run)
	near.do("GET", "/v1/runs/"+run.ID+"?wait=60", nil, 200, &run)
	if run.State != taskstore.RunDone || run.Percent != 100 || run.Pairs[0].Target != target {
		t.Fatalf("the run is %+v", run)
	}
	for _, w := range []*world{near, far} {
		if !bytes.Equal(w.bytesOf(content(target)), data) {
			t.Error("the copy is another")
		}
	}
	near.refused("POST", "/v1/relationships", api.EstablishRequest{
		Pairs: []api.TaskPair{{Source: source, Target: own[0]}},
	}, 422, fault.Refused, "different arrays")

	must(t, near.core.Arrays.Remove(id, func() error { return nil }))
	if got := near.serials("/v1/volumes"); !slices.Equal(got, own) {
		t.Errorf("without the array the volumes are %v", got)
	}
	near.refused("POST", "/v1/tasks/nightly/runs", api.RunRequest{}, 404, fault.NotFound, "belongs to no array")
}

// TestServersThatDriveEachOther answer, each for what is its own.
func TestServersThatDriveEachOther(t *testing.T) {
	one, two := start(t, t.TempDir()), startOther(t)
	first, second := one.volumes(1)[0], two.volumes(1)[0]
	one.drive(two)
	two.drive(one)
	if got := one.serials("/v1/volumes"); !slices.Equal(got, []string{first, second}) {
		t.Errorf("one has %v", got)
	}
	if got := two.serials("/v1/volumes"); !slices.Equal(got, []string{second, first}) {
		t.Errorf("two has %v", got)
	}
	for _, w := range []*world{one, two} {
		var rels []api.Relationship
		w.do("GET", "/v1/relationships", nil, 200, &rels)
		if rels == nil || len(rels) != 0 {
			t.Errorf("relationships %+v", rels)
		}
	}
}
