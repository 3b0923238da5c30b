package rest

import (
	"strings"
	"testing"

	"copyservices/copyserver/api"
)

func TestContentTypes(t *testing.T) {
	const raw, sparse = api.RawContentType, api.SparseContentType
	for accept, want := range map[string]string{
		"": raw, "*/*": raw, "application/octet-stream": raw, "application/*": raw,
		"application/json": raw, "text/html;q=": raw, ";;": raw,
		sparse:                              sparse,
		"application/json, " + sparse:       sparse, // what the commands send
		strings.ToUpper(sparse):             sparse,
		"*/*, " + sparse:                    sparse,
		sparse + ";q=0.5, */*;q=0.1":        sparse,
		sparse + ";q=0":                     raw,
		sparse + ";q=x":                     raw,
		sparse + ";q=NaN":                   raw,
		sparse + ";q=0.1, */*":              raw,
		raw + ", " + sparse + ";q=0.9":      raw,
		"application/vnd.copyservices.*":    raw,
		raw + ";q=0.2," + sparse + ";q=0.3": sparse,
	} {
		var header []string
		if accept != "" {
			header = []string{accept}
		}
		if got := wantsSparse(header); got != (want == sparse) {
			t.Errorf("Accept %q: sparse is %t", accept, got)
		}
	}
	if !wantsSparse([]string{"application/json", sparse}) {
		t.Error("the second Accept header was not read")
	}
}
