package arrays_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
)

// quick are limits that a test can wait for.
var quick = arrays.Limits{
	Read: 200 * time.Millisecond, Act: 300 * time.Millisecond, Retry: 5 * time.Millisecond,
}

// shelf is an array of volumes that are never used.
type shelf struct {
	arrayclient.Array // nil: other acts are not for this test
	id                arrayclient.ArrayID
	volumes           int
	rates             atomic.Int64
	opened            atomic.Int64
}

func newShelf(serial string) *shelf {
	return &shelf{id: arrayclient.ArrayID{MachineType: "2105", Serial: serial}, volumes: 2}
}

func (s *shelf) Properties(context.Context) (arrayclient.Properties, error) {
	return arrayclient.Properties{ID: s.id, Driver: "shelf", Volumes: s.volumes}, nil
}

func (s *shelf) Volumes(context.Context) ([]arrayclient.Volume, error) {
	var out []arrayclient.Volume
	for i := range s.volumes {
		out = append(out, arrayclient.Volume{Serial: s.volume(i)})
	}
	return out, nil
}

func (s *shelf) volume(i int) arrayclient.Serial {
	return arrayclient.Serial(fmt.Sprintf("%03X%s", i, s.id.Serial))
}

func (s *shelf) Establish(context.Context, []arrayclient.Pair, arrayclient.Options) error { return nil }

func (s *shelf) SetCopyRate(_ context.Context, rate int64, _ ...arrayclient.Pair) error {
	s.rates.Store(rate)
	return nil
}

func (s *shelf) OpenVolume(context.Context, arrayclient.Serial) (arrayclient.VolumeIO, error) {
	s.opened.Add(1)
	return &content{shelf: s}, nil
}

func (s *shelf) Close() error { return nil }

type content struct {
	arrayclient.VolumeIO
	shelf *shelf
}

func (c *content) Close() error {
	c.shelf.opened.Add(-1)
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("%v (%s), want %q of kind %s", err, fault.KindOf(err), text, kind)
	}
}

// world is a registry of the server's own array 11111, to which others are added.
type world struct {
	*testing.T
	*arrays.Registry
	own *shelf
}

// ends closes the registry, with which an array that was removed is closed, once.
func (w *world) ends(away *arraystest.Away) {
	w.Helper()
	must(w.T, w.Registry.Close(w.Context()))
	if times, late := away.Closed(); times != 1 || late {
		w.Errorf("closed %d times, late: %v", times, late)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	own := newShelf("11111")
	r, err := arrays.New(t.Context(), own)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		must(t, r.Close(ctx))
	})
	return &world{t, r, own}
}

// add adds an array of that serial in that mood, and waits until it was asked.
func (w *world) add(serial string, mood arraystest.Mood) (*shelf, *arraystest.Away) {
	w.Helper()
	inner := newShelf(serial)
	away := arraystest.New(inner)
	away.Set(mood)
	w.Cleanup(func() { away.Set(arraystest.Answering) })
	must(w.T, w.Add(arrays.Added{
		ID: inner.id, Driver: "shelf", Open: away.Open, Limits: quick, Logger: slog.New(slog.DiscardHandler),
	}))
	w.Settle(w.Context())
	return inner, away
}

// answers waits until the array is in that state.
func (w *world) answers(id arrayclient.ArrayID, want bool) arrays.Description {
	w.Helper()
	for range 2000 {
		d, err := w.Describe(w.Context(), id.String())
		must(w.T, err)
		if d.State.Answers == want {
			return d
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.Fatalf("array %s does not come to answer: %v", id, want)
	panic("unreachable")
}

// listed returns the volumes and what the warnings say, in a time that silent arrays
// may take.
func (w *world) listed() (serials []string, warnings string) {
	w.Helper()
	all, err := w.Volumes(w.Context())
	must(w.T, err)
	for _, v := range all.All {
		serials = append(serials, string(v.Serial))
	}
	return serials, strings.Join(all.Warnings, "\n")
}

func TestVolumesOfAllArrays(t *testing.T) {
	w := newWorld(t)
	w.add("22222", arraystest.Answering)
	w.add("33333", arraystest.Answering)
	want := []string{"00011111", "00111111", "00022222", "00122222", "00033333", "00133333"}
	if got, warnings := w.listed(); !slices.Equal(got, want) || warnings != "" {
		t.Errorf("volumes %q, warnings %q", got, warnings)
	}
	found, err := w.VolumesOf(t.Context(), "00133333", "00011111", "00022222")
	must(t, err)
	if len(found) != 3 || found[0].Serial != "00133333" || found[1].Array != w.own.id {
		t.Errorf("volumes named: %+v", found)
	}
	for serial, text := range map[arrayclient.Serial]string{
		"FFF22222": "no volume FFF22222", "00099999": "volume 00099999 belongs to no array",
	} {
		_, err := w.VolumesOf(t.Context(), "00011111", serial)
		wantFault(t, err, fault.NotFound, text)
	}
}

// TestSilentArrayIsMissing in every way in which an array does not answer: from the
// start, and when it stops to. What others hold is listed, and it comes back.
func TestSilentArrayIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		mood arraystest.Mood
		text string
	}{
		"hanging":  {arraystest.Hanging, "no answer within 200ms"},
		"stuck":    {arraystest.Stuck, "no answer within 200ms"},
		"refusing": {arraystest.Refusing, "192.0.2.5: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			inner, away := w.add("22222", c.mood)
			for round := range 2 {
				got, warnings := w.listed()
				if !slices.Equal(got, []string{"00011111", "00111111"}) ||
					!strings.HasPrefix(warnings, "array 2105.22222 ") || !strings.Contains(warnings, c.text) {
					t.Errorf("round %d: volumes %q, warnings %q", round, got, warnings)
				}
				_, err := w.VolumesOf(t.Context(), "00022222")
				wantFault(t, err, fault.Connection, "array 2105.22222 has not answered since")
				if d := w.answers(inner.id, false); d.State.Reason != c.text || d.State.Since.IsZero() {
					t.Errorf("round %d: state %+v", round, d.State)
				}
				away.Set(arraystest.Answering)
				if d := w.answers(inner.id, true); d.Driver != "shelf" || d.State.Reason != "" {
					t.Errorf("round %d: %+v", round, d)
				}
				if got, warnings := w.listed(); len(got) != 4 || warnings != "" {
					t.Errorf("round %d: volumes %q, warnings %q", round, got, warnings)
				}
				away.Set(c.mood)
			}
		})
	}
}

// TestSilenceIsFoundOutOnce: whoever comes later does not wait.
func TestSilenceIsFoundOutOnce(t *testing.T) {
	w := newWorld(t)
	_, away := w.add("22222", arraystest.Answering)
	away.Set(arraystest.Stuck)
	w.listed()
	start := time.Now()
	for range 50 {
		w.listed()
	}
	if took := time.Since(start); took > 25*quick.Read {
		t.Errorf("50 lists take %s", took)
	}
}

// TestFailureIsNoSilence: an array that answers with an error is missing, and nothing
// else.
func TestFailureIsNoSilence(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Answering)
	away.Set(arraystest.Failing)
	got, warnings := w.listed()
	if len(got) != 2 || warnings != "array 2105.22222: volumes does not work" {
		t.Errorf("volumes %q, warnings %q", got, warnings)
	}
	away.Set(arraystest.Answering)
	if got, warnings := w.listed(); len(got) != 4 || warnings != "" {
		t.Errorf("volumes %q, warnings %q", got, warnings)
	}
	w.answers(inner.id, true)
}

// TestActsHaveALimit, those too that only some arrays have, and say that their outcome
// is not known.
func TestActsHaveALimit(t *testing.T) {
	for name, act := range map[string]func(context.Context, arrayclient.Array) error{
		"establish": func(ctx context.Context, a arrayclient.Array) error {
			return a.Establish(ctx, nil, arrayclient.Options{})
		},
		"copy rates": func(ctx context.Context, a arrayclient.Array) error {
			setter, ok := arrayclient.As[arrayclient.RateSetter](a)
			if !ok {
				return fault.New(fault.Refused, "no copy rates")
			}
			return setter.SetCopyRate(ctx, 7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			inner, away := w.add("22222", arraystest.Answering)
			arr, _, err := w.Named("2105.22222")
			must(t, err)
			must(t, act(t.Context(), arr))
			away.Set(arraystest.Stuck)
			err = act(t.Context(), arr)
			wantFault(t, err, fault.Connection, "array 2105.22222 does not answer: no answer within 300ms")
			if hint := fault.HintOf(err); !strings.Contains(hint, name) || !strings.Contains(hint, "is not known") {
				t.Errorf("hint %q", hint)
			}
			wantFault(t, act(t.Context(), arr), fault.Connection, "has not answered since")
			away.Set(arraystest.Answering)
			w.answers(inner.id, true)
			must(t, act(t.Context(), arr))
		})
	}
}

// TestActsAreThoseOfTheArray: the limit in front of it adds none.
func TestActsAreThoseOfTheArray(t *testing.T) {
	w := newWorld(t)
	w.add("22222", arraystest.Answering)
	arr, _, err := w.Named("2105.22222")
	must(t, err)
	if got := arrayclient.Features(arr); !slices.Equal(got, []string{"copy-rate", "content"}) {
		t.Errorf("features %q", got)
	}
}

// TestAnotherArrayInItsPlace gets no calls.
func TestAnotherArrayInItsPlace(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Hanging)
	inner.id.Serial = "44444"
	away.Set(arraystest.Answering)
	id := arrayclient.ArrayID{MachineType: "2105", Serial: "22222"}
	for range 2000 {
		d, err := w.Describe(t.Context(), id.String())
		must(t, err)
		if d.State.Reason == "array 2105.44444 answers in its place" {
			_, err := w.VolumesOf(t.Context(), "00022222")
			wantFault(t, err, fault.Connection, "in its place")
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("it is not found out")
}

func TestClientThatLeaves(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Answering)
	away.Set(arraystest.Hanging)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.VolumesOf(ctx, "00022222")
	if fault.KindOf(err) != fault.Interrupted {
		t.Errorf("%v", err)
	}
	away.Set(arraystest.Answering)
	if d, err := w.Describe(t.Context(), inner.id.String()); err != nil || !d.State.Answers {
		t.Errorf("%+v, %v", d, err)
	}
}

func idle() error { return nil }

func TestRemove(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Answering)
	wantFault(t, w.Remove(w.own.id, idle), fault.Refused, "array 2105.11111 is the server's own")
	busy := fault.New(fault.Busy, "a run")
	wantFault(t, w.Remove(inner.id, func() error { return busy }), fault.Busy, "a run")
	calls := 0
	wantFault(t, w.Remove(inner.id, func() error {
		if calls++; calls == 2 {
			return busy
		}
		return nil
	}), fault.Busy, "a run")
	v, err := w.Open(t.Context(), "00022222")
	must(t, err)
	wantFault(t, w.Remove(inner.id, idle), fault.Busy, "array 2105.22222 is at work, or volumes of it are open")
	must(t, v.Close())
	if got, _ := w.listed(); len(got) != 4 {
		t.Errorf("volumes %q", got)
	}
	arr, _, err := w.Named("2105.22222")
	must(t, err)
	must(t, w.Remove(inner.id, idle))
	wantFault(t, w.Remove(inner.id, idle), fault.NotFound, "no array 2105.22222 on this server")
	_, err = arr.Volumes(t.Context())
	wantFault(t, err, fault.NotFound, "array 2105.22222 is no longer on this server")
	if got, warnings := w.listed(); len(got) != 2 || warnings != "" {
		t.Errorf("volumes %q, warnings %q", got, warnings)
	}
	w.ends(away)
}

// TestRemoveDuringCalls is refused while one changes something, be it that the array
// hangs.
func TestRemoveDuringCalls(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Answering)
	arr, _, err := w.Named("2105.22222")
	must(t, err)
	away.Set(arraystest.Stuck)
	var calls sync.WaitGroup
	calls.Go(func() { _ = arr.Establish(context.Background(), nil, arrayclient.Options{}) })
	for away.Inside() == 0 {
		time.Sleep(time.Millisecond)
	}
	wantFault(t, w.Remove(inner.id, idle), fault.Busy, "array 2105.22222 is at work")
	calls.Wait()
	w.answers(inner.id, false)
	away.Set(arraystest.Hanging)   // lets the call go that was stuck
	err = w.Remove(inner.id, idle) // also one that does not answer
	for ; fault.KindOf(err) == fault.Busy; err = w.Remove(inner.id, idle) {
		time.Sleep(time.Millisecond)
	}
	must(t, err)
	w.ends(away)
}

// TestLateVolumeIsClosed: an array may open a volume when nobody waits for it any more.
func TestLateVolumeIsClosed(t *testing.T) {
	w := newWorld(t)
	inner, away := w.add("22222", arraystest.Answering)
	away.Slow(2 * quick.Read)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Open(ctx, "00022222"); err == nil {
		t.Error("opened")
	}
	must(t, w.Remove(inner.id, idle))
	must(t, w.Close(t.Context()))
	if n := inner.opened.Load(); n != 0 {
		t.Errorf("%d volumes are left open", n)
	}
}

// TestArraysComeAndGoUnderLoad has lists, acts and open volumes at work meanwhile.
func TestArraysComeAndGoUnderLoad(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	var load, changes sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				w.use(ctx)
			}
		})
	}
	moods := []arraystest.Mood{arraystest.Answering, arraystest.Refusing, arraystest.Failing}
	for i := range 3 {
		changes.Go(func() {
			serial := strings.Repeat(fmt.Sprint(i+2), 5)
			for round := range 15 {
				w.addAndRemove(serial, moods[(i+round)%len(moods)])
			}
		})
	}
	changes.Wait()
	stop()
	load.Wait()
	if got, warnings := w.listed(); len(got) != 2 || warnings != "" {
		t.Errorf("volumes %q, warnings %q", got, warnings)
	}
}

// use does what a server does with its arrays, whatever comes of it; the server's own
// is always there.
func (w *world) use(ctx context.Context) {
	all, err := w.Volumes(ctx)
	if err != nil || len(all.All) < 2 {
		w.Errorf("volumes %+v, %v", all, err)
	}
	for _, name := range w.Names() {
		arr, _, err := w.Named(name)
		if err != nil {
			continue
		}
		_ = arr.Establish(ctx, nil, arrayclient.Options{})
		if name == w.own.id.String() {
			continue
		}
		if v, err := w.Open(ctx, arrayclient.Serial("000"+name[5:])); err == nil {
			_ = v.Close()
		}
	}
}

// addAndRemove returns when the array is closed. It may be busy at times.
func (w *world) addAndRemove(serial string, mood arraystest.Mood) {
	inner := newShelf(serial)
	away := arraystest.New(inner)
	away.Set(mood)
	if err := w.Add(arrays.Added{
		ID: inner.id, Driver: "shelf", Open: away.Open, Limits: quick, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		w.Error(err)
		return
	}
	time.Sleep(time.Millisecond)
	err := w.Remove(inner.id, idle)
	for ; fault.KindOf(err) == fault.Busy; err = w.Remove(inner.id, idle) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		w.Error(err)
	}
	for range 2000 {
		times, late := away.Closed()
		if late || times > 1 {
			w.Errorf("closed %d times, late: %v", times, late)
			return
		}
		if times == 1 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	w.Errorf("array %s is not closed", serial)
}
