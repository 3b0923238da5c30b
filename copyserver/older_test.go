package copyserver

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// unpackState unpacks a state folder into dir. Blocks of zeros become holes.
func unpackState(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	must(t, err)
	defer f.Close()
	plain, err := gzip.NewReader(f)
	must(t, err)
	in := tar.NewReader(plain)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		unpackFile(t, path, in, h.Size)
	}
}

func unpackFile(t *testing.T, path string, in io.Reader, size int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(size))
	block, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(block)) {
		p := block[:min(int64(len(block)), size-at)]
		_, err := io.ReadFull(in, p)
		must(t, err)
		if !bytes.Equal(p, zeros[:len(p)]) {
			_, err = f.WriteAt(p, at)
			must(t, err)
		}
	}
}

// TestOpensOlderState opens the folder of a server of the first version, which
// was killed while writes to a source were staged.
func TestOpensOlderState(t *testing.T) {
	dir := t.TempDir()
	unpackState(t, filepath.Join("testdata", "state-1.tgz"), dir)
	wantInOrder(t, dir)
	w := start(t, dir)
	for serial, tracks := range map[string]string{
		"20013698": "2222156111111111", // the last write of 5 was flushed, that of 6 was not
		"20113698": "1111111111111113", // an image, then written to
		"20213698": "1111111111111111",
		"20313698": "4444444400000000",
		"20413698": "4444444400000000",
		"20513698": "0000000000000000",
	} {
		sparse, err := api.NewSparseReader(bytes.NewReader(w.content(serial)), fault.Server)
		must(t, err)
		var plain bytes.Buffer
		must(t, api.ReceiveStream(sparse, &plain, func(int64) {}))
		content := plain.Bytes()
		for i, want := range tracks {
			track := content[i*arrayclient.TrackSize : (i+1)*arrayclient.TrackSize]
			if !bytes.Equal(track, bytes.Repeat([]byte{byte(want - '0')}, len(track))) {
				t.Errorf("volume %s: track %d begins with %d, not %c", serial, i, track[0], want)
			}
		}
	}
	var rels []api.Relationship
	w.do(http.MethodGet, "/v1/relationships", nil, 200, &rels)
	if len(rels) != 2 || rels[0].State != arrayclient.StateNoCopy ||
		rels[1].State != arrayclient.StateComplete || *rels[1].Changed != 6 {
		t.Errorf("relationships: %#v", rels)
	}
	var tasks []taskstore.Task
	w.do(http.MethodGet, "/v1/tasks", nil, 200, &tasks)
	var hosts []taskstore.Host
	w.do(http.MethodGet, "/v1/hosts", nil, 200, &hosts)
	var runs []api.Run
	w.do(http.MethodGet, "/v1/runs", nil, 200, &runs)
	if len(tasks) != 2 || len(hosts) != 1 || len(runs) != 1 || runs[0].State != taskstore.RunDone {
		t.Errorf("tasks %+v, hosts %+v, runs %+v", tasks, hosts, runs)
	}
	w.as("cimuser", "cimpass").do(http.MethodGet, "/v1/tasks/VMWare_W2K_FC", nil, 200, nil)
	w.do(http.MethodPost, "/v1/tasks/nightly/runs", map[string]any{}, 201, nil)
	w.end()
	wantInOrder(t, dir)
}
