package rscli

import (
	"encoding/json"
	"net/http"
	"testing"

	"copyservices/copyserver/api"
)

func TestSetVolumeSendsWhatIsGiven(t *testing.T) {
	f := newFake(t)
	var got string
	f.handle("PATCH "+fakeVolumePath, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		got = string(body)
		sendJSON(w, http.StatusOK, api.Volume{Serial: "20313698", Size: 2 << 30, Label: "a\x1bb",
			Assigned: []api.HostAccess{{Host: "v"}, {Host: "w", ReadOnly: true}}})
	})
	b := newBench(t)
	for want, flags := range map[string][]string{
		`{"label":""}`:        {"--label="},
		`{"label":"x y"}`:     {"--label", "x y"},
		`{"size":2147483648}`: {"--size", "2GiB"},
		`{"assigned":[]}`:     {"--hosts", ""},
		`{"assigned":[{"host":"A"},{"host":"b c","read_only":true}]}`: {"--hosts", "A, b c:ro"},
		`{"label":"x","size":67108864}`:                               {"--label", "x", "--size", "64M"},
		`{"label":"none","size":67108864}`:                            {"--label", "none", "--size", "64M"},
	} {
		args := append([]string{"set", "volume", "20313698", "-s", f.addr()}, flags...)
		b.expect(b.run(newESSCLI, args...), 0)
		if got != want || b.stdout.String() != "volume 20313698 changed: 2GiB, label \"a\\x1bb\", hosts v,w:ro\n" {
			t.Errorf("%q: the server got %s, the user %s", flags, got, b.stdout.String())
		}
	}
	closed := closedPort(t)
	for want, flags := range map[string][]string{
		"hint: give --label, --size or --hosts": nil,
		`--size: "0": a size is not 0`:          {"--size", "0"},
		`"64MB" is not a size`:                  {"--size", "64MB"},
		`"rw" is nothing`:                       {"--hosts", "a:rw"},
		"a host needs a name":                   {"--hosts", "a,"},
	} {
		args := append([]string{"set", "volume", "20313698", "-s", closed}, flags...)
		b.expect(b.run(newESSCLI, args...), 2, want)
	}
}

func TestSetCopyRate(t *testing.T) {
	f := newFake(t)
	var got api.ArrayChange
	f.handle("PATCH /v1/arrays/2105.13698", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		sendJSON(w, http.StatusOK, api.Array{ID: "2105.13698", CopyRate: *got.CopyRate})
	})
	b := newBench(t)
	for text, want := range map[string]struct {
		bytes int64
		said  string
	}{
		"50MiB": {50 << 20, "50MiB/s"}, "65537": {65537, "65537/s"}, "0": {0, "none"},
		"none": {0, "none"},
	} {
		b.expect(b.run(newESSCLI, "set", "array", "2105.13698", "--copy-rate", text, "-s", f.addr()), 0)
		line := "array 2105.13698 changed: copy rate " + want.said + "\n"
		if got.CopyRate == nil || *got.CopyRate != want.bytes || b.stdout.String() != line {
			t.Errorf("%s: the server got %v, the user %s", text, got, b.stdout.String())
		}
	}
	b.expect(b.run(newESSCLI, "set", "array", "2105.13698", "-s", closedPort(t)), 2,
		"--copy-rate is missing")
	b.expect(b.run(newESSCLI, "set", "array", "2105.13698", "--copy-rate", "fast"), 2,
		`"fast" is not a copy rate`)
	b.expect(b.run(newESSCLI, "set", "relationship", "--copy-rate", "0"), 2, "no pair is given")
}
