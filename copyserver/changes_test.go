package copyserver

import (
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

func TestVolumeIsChanged(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	path := "/v1/volumes/" + v[0]
	var out api.Volume
	w.do("PATCH", path, `{"label":"data","size":2097152}`, 200, &out)
	if out.Label != "data" || out.Size != 2<<20 || string(out.Serial) != v[0] {
		t.Errorf("changed %+v", out)
	}
	w.refused("PATCH", path, `{}`, 400, fault.Usage, "no change of volume "+v[0])
	w.refused("PATCH", path, `{"label":null}`, 400, fault.Usage, "no change")
	w.refused("PATCH", path, `{"size":-1}`, 400, fault.Usage, "-1 bytes")
	w.refused("PATCH", "/v1/volumes/0FF13698", `{"size":1}`, 404, fault.NotFound, "0FF13698")
	out = api.Volume{}
	w.do("PATCH", path, `{"label":""}`, 200, &out)
	if out.Label != "" || out.Size != 2<<20 {
		t.Errorf("changed %+v", out)
	}
}

// TestVolumeChangeIsAllOrNothing: the label is put back when the expansion is
// refused.
func TestVolumeChangeIsAllOrNothing(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	w.do("PATCH", "/v1/volumes/"+v[0], `{"label":"before"}`, 200, nil)
	w.refused("PATCH", "/v1/volumes/"+v[0], `{"label":"after","size":4096}`, 400,
		fault.Usage, "4096 bytes")
	req := api.EstablishRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	for _, serial := range v {
		w.refused("PATCH", "/v1/volumes/"+serial, `{"label":"after","size":4194304}`, 422,
			fault.Refused, serial)
	}
	var out api.Volume
	w.do("GET", "/v1/volumes/"+v[0], nil, 200, &out)
	if out.Label != "before" || out.Size != 1<<20 {
		t.Errorf("after refusals %+v", out)
	}
}

func TestCopyRates(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	v := w.volumes(4)
	pairs := []api.TaskPair{{Source: v[0], Target: v[1]}, {Source: v[2], Target: v[3]}}
	req := api.EstablishRequest{Pairs: pairs}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	var arr api.Array
	w.do("PATCH", "/v1/arrays/2105.13698", `{"copy_rate":1048576}`, 200, &arr)
	rate := int64(65536)
	change := api.CopyRateRequest{Pairs: pairs[1:], CopyRate: &rate}
	w.do("POST", "/v1/relationships/copy-rate", change, 200, nil)
	w.refused("PATCH", "/v1/arrays/2105.13698", `{}`, 400, fault.Usage, "no copy_rate")
	w.refused("PATCH", "/v1/arrays/2105.13698", `{"copy_rate":5}`, 400, fault.Usage, "5 bytes")
	w.refused("PATCH", "/v1/arrays/2105.99999", `{"copy_rate":0}`, 404, fault.NotFound, "99999")
	change.CopyRate = nil
	w.refused("POST", "/v1/relationships/copy-rate", change, 400, fault.Usage, "no copy_rate")
	change.CopyRate, change.Pairs = &rate, append(pairs, api.TaskPair{Source: v[1], Target: v[0]})
	w.refused("POST", "/v1/relationships/copy-rate", change, 404, fault.NotFound, v[1])
	w.end()

	w = start(t, dir)
	var rels []api.Relationship
	w.do("GET", "/v1/relationships", nil, 200, &rels)
	w.do("GET", "/v1/arrays/2105.13698", nil, 200, &arr)
	if arr.CopyRate != 1<<20 || rels[0].CopyRate != 0 || rels[1].CopyRate != rate {
		t.Errorf("after a restart %+v, %+v", arr, rels)
	}
	w.do("PATCH", "/v1/arrays/2105.13698", `{"copy_rate":0}`, 200, &arr)
	if arr.CopyRate != 0 {
		t.Errorf("without a bound %+v", arr)
	}
}

// TestArrayWithoutOptionalActs refuses what the array cannot do, by name.
func TestArrayWithoutOptionalActs(t *testing.T) {
	seams := testSeams
	seams.wrap = func(a *filearray.Array) arrayclient.Array {
		return struct{ arrayclient.Array }{a}
	}
	w := startWith(t, t.TempDir(), seams)
	v := w.volumes(2)
	path := "/v1/volumes/" + v[0]
	pairs := []api.TaskPair{{Source: v[0], Target: v[1]}}
	req := api.EstablishRequest{Pairs: pairs}
	req.Options.Record = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	const not = "array 2105.13698 does not support "
	w.refused("PATCH", path, `{"label":"x"}`, 422, fault.Refused, not+"the change of labels")
	w.refused("PATCH", path, `{"size":2097152}`, 422, fault.Refused, not+"the expansion of volumes")
	w.refused("PATCH", "/v1/arrays/2105.13698", `{"copy_rate":0}`, 422, fault.Refused,
		not+"copy rates")
	rate := int64(0)
	w.refused("POST", "/v1/relationships/copy-rate",
		api.CopyRateRequest{Pairs: pairs, CopyRate: &rate}, 422, fault.Refused, not+"copy rates")
	for _, kind := range taskstore.TaskTypes[2:] {
		w.task(string(kind), kind, v...)
		w.refused("POST", "/v1/tasks/"+string(kind)+"/runs", "{}", 422, fault.Refused,
			not+string(kind))
	}
}
