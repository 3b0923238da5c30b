//go:build linux

package testscripts

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"copyservices/copyserver"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
	"copyservices/taskstore/filestore"
)

// codeLab is a server in whose presence commands can end in every way.
type codeLab struct {
	env []string
}

// labVolume is the size of its volumes, in bytes.
const labVolume = 4 << 20

// newCodeLab has these variables for the lines: the server that answers, an
// address where NOBODY does, the STATE folder, one that is BROKEN, a SOURCE volume
// that is being copied, and that RUN.
func newCodeLab(t *testing.T) *codeLab {
	t.Helper()
	dir := t.TempDir()
	state, broken := filepath.Join(dir, "state"), filepath.Join(dir, "broken")
	changeState(t, state, func(store taskstore.Store) error {
		return store.Users().Put(taskstore.User{Name: "damaged", Role: taskstore.RoleMonitor, Hash: "none"})
	})
	changeState(t, broken, func(store taskstore.Store) error {
		return store.Entries().Put(taskstore.Entry{
			Kind: taskstore.EntryESS, Address: "10.0.0.5", User: "user", Sealed: "none"})
	})
	s := startServer(t, state)
	t.Cleanup(s.kill) // after the parallel lines
	lab := &codeLab{}
	source, run := lab.fill(t, s.client)
	hosts, err := filepath.Abs("hosts")
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("passw0rd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.env = []string{
		"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0", "RSCLI_SERVER=" + s.client.Answered(),
		"RSCLI_USER=superuser", "RSCLI_PASSWORD_FILE=" + password, "NOBODY=127.0.0.1:1",
		"HOSTS=" + hosts, "STATE=" + state, "BROKEN=" + broken, "SOURCE=" + source, "RUN=" + run,
	}
	return lab
}

// changeState makes a state folder and lets change put into its store what no
// server would.
func changeState(t *testing.T, dir string, change func(taskstore.Store) error) {
	t.Helper()
	opts := copyserver.DefaultOptions()
	opts.State, opts.Listen, opts.NBDListen, opts.ArraySerial = dir, "127.0.0.1:0", "none", "13698"
	s, err := copyserver.New(opts)
	if err == nil {
		err = s.Stop(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	store, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := change(store); err != nil {
		t.Fatal(err)
	}
}

// fill makes volumes and tasks, of which slow is running for longer than the test,
// and the user watcher. It returns the source and the run of slow.
func (lab *codeLab) fill(t *testing.T, c *api.Client) (source, run string) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.CreateUser(ctx, api.UserChange{
		Name: "watcher", Password: "passw0rd", Role: taskstore.RoleMonitor})
	must(err)
	volumes, err := c.CreateVolumes(ctx, api.VolumeCreate{Size: labVolume, Count: 8})
	must(err)
	small, err := c.CreateVolumes(ctx, api.VolumeCreate{Size: labVolume / 2, Count: 1})
	must(err)
	arrays, err := c.Arrays(ctx)
	must(err)
	rate := int64(64 << 10) // bytes a second: slow takes a minute
	_, err = c.ChangeArray(ctx, arrays[0].ID, api.ArrayChange{CopyRate: &rate})
	must(err)
	for i, name := range []string{"slow", "slow2", "quick", "done"} {
		if i < 2 {
			must(writeAll(ctx, c, volumes[2*i]))
		}
		createPair(t, c, name, volumes[2*i], volumes[2*i+1])
	}
	createPair(t, c, "impossible", volumes[4], small[0])
	slow, err := c.RunTask(ctx, "slow", api.RunRequest{Wait: true})
	must(err)
	_, err = c.RunTask(ctx, "done", api.RunRequest{})
	must(err)
	return string(volumes[0].Serial), slow.ID
}

func createPair(t *testing.T, c *api.Client, name string, source, target api.Volume) {
	t.Helper()
	_, err := c.CreateTask(t.Context(), api.Task{Name: name, Type: taskstore.TaskEstablish,
		Pairs: []api.TaskPair{{Source: string(source.Serial), Target: string(target.Serial)}}})
	if err != nil {
		t.Fatal(err)
	}
}

// writeAll fills a volume of labVolume bytes.
func writeAll(ctx context.Context, c *api.Client, v api.Volume) error {
	_, err := c.WriteContent(ctx, v.Serial, false, func(w io.Writer) error {
		content := bytes.Repeat([]byte("content "), labVolume/8)
		return api.SendStream(w, bytes.NewReader(content), labVolume, nil)
	})
	return err
}
