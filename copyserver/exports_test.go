package copyserver

import (
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/exports"
	"copyservices/export"
	"copyservices/export/nbd"
)

func TestExports(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	e := exports.Volumes{Arrays: w.core.Arrays, Attached: export.NewAttachments()}
	list, err := e.List(t.Context(), nbd.Peer{})
	must(t, err)
	if len(list) != 2 || list[0].Name != v[0] || list[0].Size != 1<<20 {
		t.Errorf("exports %+v", list)
	}
	disk, readOnly, err := e.Open(t.Context(), nbd.Peer{}, v[1])
	must(t, err)
	if disk.Size() != 1<<20 || readOnly {
		t.Errorf("%d bytes, read only %v", disk.Size(), readOnly)
	}
	w.refused("DELETE", "/v1/volumes/"+v[1], nil, 422, fault.Refused, v[1])
	must(t, disk.Close())
	for _, name := range []string{"", "00a13698", "0FF13698", "00099999", strings.Repeat("x", 5000)} {
		if _, _, err := e.Open(t.Context(), nbd.Peer{}, name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}
