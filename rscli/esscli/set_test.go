package esscli

import (
	"encoding/json"
	"net/http"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

func TestSetVolumeSendsWhatIsGiven(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got string
	f.Handle("PATCH "+fakeVolumePath, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		got = string(body)
		rsclitest.SendJSON(w, http.StatusOK, api.Volume{Serial: "20313698", Size: 2 << 30, Label: "a\x1bb",
			Assigned: []api.HostAccess{{Host: "v"}, {Host: "w", ReadOnly: true}}})
	})
	b := rsclitest.NewBench(t)
	for want, flags := range map[string][]string{
		`{"label":""}`:        {"--label="},
		`{"label":"x y"}`:     {"--label", "x y"},
		`{"size":2147483648}`: {"--size", "2GiB"},
		`{"assigned":[]}`:     {"--hosts", ""},
		`{"assigned":[{"host":"A"},{"host":"b c","read_only":true}]}`: {"--hosts", "A, b c:ro"},
		`{"label":"x","size":67108864}`:                               {"--label", "x", "--size", "64M"},
		`{"label":"none","size":67108864}`:                            {"--label", "none", "--size", "64M"},
	} {
		args := append([]string{"set", "volume", "20313698", "-s", f.Addr()}, flags...)
		b.Expect(b.Run(New, args...), 0)
		if got != want || b.Out.String() != "volume 20313698 changed: 2GiB, label \"a\\x1bb\", hosts v,w:ro\n" {
			t.Errorf("%q: the server got %s, the user %s", flags, got, b.Out.String())
		}
	}
	closed := rsclitest.ClosedPort(t)
	for want, flags := range map[string][]string{
		"hint: give --label, --size or --hosts": nil,
		`--size: "0": a size is not 0`:          {"--size", "0"},
		`"64MB" is not a size`:                  {"--size", "64MB"},
		`"rw" is nothing`:                       {"--hosts", "a:rw"},
		"a host needs a name":                   {"--hosts", "a,"},
	} {
		args := append([]string{"set", "volume", "20313698", "-s", closed}, flags...)
		b.Expect(b.Run(New, args...), 2, want)
	}
}

func TestSetCopyRate(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got api.ArrayChange
	f.Handle("PATCH /v1/arrays/2105.13698", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		rsclitest.SendJSON(w, http.StatusOK, api.Array{ID: "2105.13698", CopyRate: *got.CopyRate})
	})
	b := rsclitest.NewBench(t)
	for text, want := range map[string]struct {
		bytes int64
		said  string
	}{
		"50MiB": {50 << 20, "50MiB/s"}, "65537": {65537, "65537/s"}, "0": {0, "none"},
		"none": {0, "none"},
	} {
		b.Expect(b.Run(New, "set", "array", "2105.13698", "--copy-rate", text, "-s", f.Addr()), 0)
		line := "array 2105.13698 changed: copy rate " + want.said + "\n"
		if got.CopyRate == nil || *got.CopyRate != want.bytes || b.Out.String() != line {
			t.Errorf("%s: the server got %v, the user %s", text, got, b.Out.String())
		}
	}
	b.Expect(b.Run(New, "set", "array", "2105.13698", "-s", rsclitest.ClosedPort(t)), 2,
		"--copy-rate is missing")
	b.Expect(b.Run(New, "set", "array", "2105.13698", "--copy-rate", "fast"), 2,
		`"fast" is not a copy rate`)
	b.Expect(b.Run(New, "set", "relationship", "--copy-rate", "0"), 2, "no pair is given")
}
