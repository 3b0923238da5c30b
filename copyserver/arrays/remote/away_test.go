package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays/remote"
)

const size = 1 << 20

func create(t *testing.T, a arrayclient.Array, n int) []arrayclient.Serial {
	t.Helper()
	volumes, err := a.CreateVolumes(t.Context(), arrayclient.VolumeSpec{Size: size, Count: n})
	must(t, err)
	serials := make([]arrayclient.Serial, len(volumes))
	for i, v := range volumes {
		serials[i] = v.Serial
	}
	return serials
}

func openVolume(t *testing.T, a arrayclient.Array, serial arrayclient.Serial) arrayclient.VolumeIO {
	t.Helper()
	opener, ok := arrayclient.As[arrayclient.Opener](a)
	if !ok {
		t.Fatal("the array does not open volumes")
	}
	v, err := opener.OpenVolume(t.Context(), serial)
	must(t, err)
	t.Cleanup(func() { must(t, v.Close()) })
	return v
}

// calls are some of each kind.
func calls(a arrayclient.Array, v []arrayclient.Serial) map[string]func(context.Context) error {
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	opener, _ := arrayclient.As[arrayclient.Opener](a)
	return map[string]func(context.Context) error{
		"properties": func(ctx context.Context) error { _, err := a.Properties(ctx); return err },
		"volumes":    func(ctx context.Context) error { _, err := a.Volumes(ctx); return err },
		"establish": func(ctx context.Context) error {
			return a.Establish(ctx, pairs, arrayclient.Options{NoCopy: true})
		},
		"open": func(ctx context.Context) error {
			v, err := opener.OpenVolume(ctx, v[2])
			if err == nil {
				err = v.Close()
			}
			return err
		},
	}
}

// TestAway: the other server ends and comes back under an open array and an open volume.
func TestAway(t *testing.T) {
	t.Parallel()
	f := startFar(t, nil)
	a := open(t, f.config())
	v := create(t, a, 3)
	disk := openVolume(t, a, v[0])
	data := bytes.Repeat([]byte{7}, size)
	_, err := disk.WriteAt(data, 0)
	must(t, err)
	must(t, disk.Flush())
	_, err = disk.WriteAt(data[:512], 512)
	must(t, err)
	f.stop()
	begin := time.Now()
	for name, call := range calls(a, v) {
		t.Log(name)
		wantFault(t, call(t.Context()), fault.Connection, "no answer from "+f.way.addr())
	}
	_, err = disk.ReadAt(make([]byte, 1), 0)
	wantFault(t, err, fault.Connection)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("that nobody answers was told after %v", took)
	}

	f.start()
	for name, call := range calls(a, v) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s, once it is back: %v", name, err)
		}
	}
	got := make([]byte, size)
	// Who has failed to connect does not try again at once.
	eventually(t, func() error { _, err := disk.ReadAt(got, 0); return err })
	if !bytes.Equal(got, data) {
		t.Error("the content is another")
	}
	wantFault(t, disk.Flush(), fault.Failed, "may be lost")
	must(t, disk.Flush())
}

// TestSilent: the other server takes requests and never answers.
func TestSilent(t *testing.T) {
	t.Parallel()
	f := startFar(t, nil)
	config := f.config()
	config.Timeout, config.DialTimeout = 300*time.Millisecond, 300*time.Millisecond
	a := open(t, f.config())
	v := create(t, a, 3)
	var quick arrayclient.Array
	eventually(t, func() (err error) { quick, err = remote.Open(t.Context(), config); return err })
	defer quick.Close()
	f.way.set(&f.way.mute, true)
	begin := time.Now()
	for name, call := range calls(quick, v) {
		t.Log(name)
		wantFault(t, call(t.Context()), fault.Connection, f.way.addr())
	}
	_, err := remote.Open(t.Context(), config)
	wantFault(t, err, fault.Connection, f.way.addr())
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("that nobody answers was told after %v", took)
	}
	for name, call := range calls(a, v) { // whose own limits are long
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Log(name)
		wantFault(t, call(ctx), fault.TimedOut)
		cancel()
	}
	f.way.set(&f.way.mute, false)
	f.way.hangUp()
	eventually(t, func() error { _, err := quick.Properties(t.Context()); return err })
}

// eventually is for what may fail for a while.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 100 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(err)
}

// TestLostAnswers: what was done and not answered is asked for again, and done once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	f := startFar(t, nil)
	a := open(t, f.config())
	f.way.set(&f.way.cut, true)
	v := create(t, a, 2)
	volumes, err := a.Volumes(t.Context())
	must(t, err)
	if len(volumes) != 2 {
		t.Fatalf("%d volumes were created, not 2", len(volumes))
	}
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	f.way.set(&f.way.cut, true)
	must(t, a.Establish(t.Context(), pairs, arrayclient.Options{NoCopy: true}))
	f.way.set(&f.way.cut, true)
	undefined, err := a.Withdraw(t.Context(), pairs)
	must(t, err)
	if len(undefined) != 1 || undefined[0] != pairs[0] {
		t.Errorf("undefined are %v", undefined)
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	f := startFar(t, nil)
	for name, c := range map[string]struct {
		change func(*remote.Config)
		kind   fault.Kind
		texts  []string
	}{
		"password": {func(c *remote.Config) { c.Password = "wrong" }, fault.Denied,
			[]string{f.way.addr(), "denies user superuser"}},
		"certificate": {func(c *remote.Config) { c.TLS = func(string) *tls.Config { return &tls.Config{} } },
			fault.Connection, []string{f.way.addr(), "certificate"}},
		"array": {func(c *remote.Config) { c.Array = arrayclient.ArrayID{MachineType: "2107", Serial: "75FA120"} },
			fault.NotFound, []string{"no array 2107.75FA120"}},
		"no server": {func(c *remote.Config) { c.Servers = nil }, fault.Usage, nil},
	} {
		config := f.config()
		c.change(&config)
		_, err := remote.Open(t.Context(), config)
		t.Log(name, err)
		wantFault(t, err, c.kind, c.texts...)
	}
}
