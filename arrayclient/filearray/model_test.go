package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/writelog"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random tests, 0 for a new one")
	opsFlag  = flag.Int("ops", 6000, "operations of the model test")
)

// model keeps a full copy of every volume's content.
type model struct {
	t        *testing.T
	rng      *rand.Rand
	fsys     *crashFS
	array    *Array
	measures writelog.Measures
	serials  []arrayclient.Serial
	content  map[arrayclient.Serial][]byte
	done     map[string]int
}

func (m *model) volume() arrayclient.Serial { return m.serials[m.rng.IntN(len(m.serials))] }

func (m *model) open(s arrayclient.Serial) arrayclient.VolumeIO {
	v, err := m.array.OpenVolume(context.Background(), s)
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

// extent picks a range of a volume, often within one track.
func (m *model) extent(s arrayclient.Serial) (off, n int64) {
	size := int64(len(m.content[s]))
	off = m.rng.Int64N(size)
	limit := []int64{512, 5000, trackSize, 3 * trackSize, size}[m.rng.IntN(5)]
	if m.rng.IntN(3) == 0 {
		off -= off % trackSize
	}
	return off, 1 + m.rng.Int64N(min(limit, size-off))
}

func (m *model) inhibited(s arrayclient.Serial) bool {
	rels, err := m.array.Relationships(context.Background(), s)
	if err != nil {
		m.t.Fatal(err)
	}
	return len(rels) == 1 && rels[0].Target == s && rels[0].Options.TargetInhibit
}

func (m *model) write() {
	s := m.volume()
	off, n := m.extent(s)
	p := make([]byte, n)
	zero := m.rng.IntN(4) == 0
	if !zero {
		pattern := binary.LittleEndian.AppendUint64(nil, m.rng.Uint64()|0x0101010101010101)
		for i := 0; i < len(p); i += copy(p[i:], pattern) {
		}
	}
	inhibited := m.inhibited(s)
	v := m.open(s)
	defer v.Close()
	var err error
	if zero {
		err = v.Zero(off, n, m.rng.IntN(2) == 0)
	} else {
		_, err = v.WriteAt(p, off)
	}
	if inhibited && err != nil && fault.KindOf(err) == fault.Refused {
		return
	}
	if err != nil {
		m.t.Fatalf("write %d at %d to %s: %v", n, off, s, err)
	}
	copy(m.content[s][off:], p)
}

func (m *model) read() {
	s := m.volume()
	off, n := m.extent(s)
	v := m.open(s)
	defer v.Close()
	m.compare(s, v, off, n)
}

func (m *model) compare(s arrayclient.Serial, v arrayclient.VolumeIO, off, n int64) {
	m.t.Helper()
	p := make([]byte, n)
	if _, err := v.ReadAt(p, off); err != nil {
		m.t.Fatalf("read %d at %d of %s: %v", n, off, s, err)
	}
	if want := m.content[s][off : off+n]; !bytes.Equal(p, want) {
		for i := range p {
			if p[i] != want[i] {
				m.t.Fatalf("%s differs at %d", s, off+int64(i))
			}
		}
	}
}

func (m *model) extents() {
	s := m.volume()
	off, n := m.extent(s)
	v := m.open(s)
	defer v.Close()
	pos := off
	err := v.Extents(off, n, func(length int64, hole bool) bool {
		part := m.content[s][pos : pos+length]
		if hole && !bytes.Equal(part, make([]byte, length)) {
			m.t.Fatalf("%s has data in what is reported a hole, %d bytes at %d", s, length, pos)
		}
		pos += length
		return true
	})
	if err != nil || pos != off+n {
		m.t.Fatalf("extents of %s: end at %d, not %d: %v", s, pos, off+n, err)
	}
}

// alike returns another volume as large as s, if there is one.
func (m *model) alike(s arrayclient.Serial) arrayclient.Serial {
	for _, i := range m.rng.Perm(len(m.serials)) {
		if o := m.serials[i]; o != s && len(m.content[o]) == len(m.content[s]) {
			return o
		}
	}
	return s
}

func (m *model) establish() {
	var pairs []arrayclient.Pair
	for range 1 + m.rng.IntN(3) {
		p := arrayclient.Pair{Source: m.volume(), Target: m.volume()}
		if m.rng.IntN(2) == 0 {
			p.Target = m.alike(p.Source)
		}
		pairs = append(pairs, p)
	}
	opts := arrayclient.Options{
		NoCopy:        m.rng.IntN(2) == 0,
		Persistent:    m.rng.IntN(4) == 0,
		TargetInhibit: m.rng.IntN(8) == 0,
		Record:        m.rng.IntN(3) == 0,
		Freeze:        m.rng.IntN(4) == 0,
	}
	err := m.array.Establish(context.Background(), pairs, opts)
	if fault.KindOf(err) == fault.Refused {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.done["established"]++
	for _, p := range pairs {
		copy(m.content[p.Target], m.content[p.Source])
	}
	if opts.Freeze {
		if err := m.array.ConsistencyCreated(context.Background(), pairs); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *model) withdraw() {
	rels, err := m.array.Relationships(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	if len(rels) == 0 {
		return
	}
	p := rels[m.rng.IntN(len(rels))].Pair
	undefined, err := m.array.Withdraw(context.Background(), []arrayclient.Pair{p})
	if fault.KindOf(err) == fault.NotFound {
		return // it has just completed
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.done["withdrawn"]++
	for _, u := range undefined {
		m.adopt(u.Target)
	}
}

// adopt takes over what a volume with undefined content happens to hold.
func (m *model) adopt(s arrayclient.Serial) {
	v := m.open(s)
	defer v.Close()
	if _, err := v.ReadAt(m.content[s], 0); err != nil {
		m.t.Fatal(err)
	}
}

// refresh resyncs or reverses a relationship.
func (m *model) refresh() {
	rels, err := m.array.Relationships(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, i := range m.rng.Perm(len(rels)) {
		if !rels[i].Options.Record {
			continue
		}
		what, p := m.array.Resync, rels[i].Pair
		from, to, name := p.Source, p.Target, "resynced"
		if m.rng.IntN(2) == 0 {
			what, from, to, name = m.array.Reverse, to, from, "reversed"
		}
		err := what(context.Background(), []arrayclient.Pair{p})
		if fault.KindOf(err) == fault.Refused {
			continue
		}
		if err != nil {
			m.t.Fatal(err)
		}
		m.done[name]++
		copy(m.content[to], m.content[from])
		return
	}
}

func (m *model) expand() {
	s := m.volume()
	size := int64(len(m.content[m.volume()]))
	err := m.array.ExpandVolume(context.Background(), s, size)
	if fault.KindOf(err) == fault.Refused {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.done["expanded"]++
	m.content[s] = append(m.content[s], make([]byte, size-int64(len(m.content[s])))...)
}

func (m *model) backgroundCopy() {
	rels, err := m.array.Relationships(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range rels {
		if r.State == arrayclient.StateNoCopy {
			err := m.array.BackgroundCopy(context.Background(), []arrayclient.Pair{r.Pair})
			if err != nil && fault.KindOf(err) != fault.NotFound {
				m.t.Fatal(err)
			}
			return
		}
	}
}

// settings replaces a volume by a new one under its id, or changes the rate.
func (m *model) settings() {
	ctx := context.Background()
	if m.rng.IntN(2) == 0 {
		rates := []int64{0, 64 << 20, 1 << 30}
		if err := m.array.SetCopyRate(ctx, rates[m.rng.IntN(len(rates))]); err != nil {
			m.t.Fatal(err)
		}
		return
	}
	s := m.volume()
	err := m.array.DeleteVolume(ctx, s)
	if fault.KindOf(err) == fault.Refused {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	clear(m.content[s])
	spec := arrayclient.VolumeSpec{Size: int64(len(m.content[s])), First: string(s[:3])}
	if _, err := m.array.CreateVolumes(ctx, spec); err != nil {
		m.t.Fatal(err)
	}
	m.done["replaced"]++
}

// restart opens the array again, after a clean end or after a kill.
func (m *model) restart() {
	if m.rng.IntN(2) == 0 {
		if err := m.array.Close(); err != nil {
			m.t.Fatal(err)
		}
	} else {
		m.array.kill()
	}
	if problems := Check(m.fsys); problems != nil {
		m.t.Fatal(problems)
	}
	m.array = openStagingArray(m.t, m.fsys, m.measures)
	m.done["restarted"]++
}

func (m *model) step() {
	switch n := m.rng.IntN(1000); {
	case n < 450:
		m.write()
	case n < 800:
		m.read()
	case n < 850:
		m.extents()
	case n < 930:
		m.establish()
	case n < 955:
		m.refresh()
	case n < 986:
		m.withdraw()
	case n < 994:
		m.backgroundCopy()
	case n < 995:
		m.expand()
	case n < 997:
		m.settings()
	default:
		m.restart()
	}
}

// TestModel holds random operations against a model that keeps full copies.
func TestModel(t *testing.T) {
	rng, fsys := newRand(t), newCrashFS()
	fsys.noClone = rng.IntN(2) == 0
	measures := writelog.Default
	if rng.IntN(2) == 0 { // full again and again
		measures.Areas = 2 + rng.IntN(3)
		measures.Area = 96 << 10
		measures.Longest = 80 << 10
		measures.After = time.Millisecond
	}
	m := &model{
		t: t, rng: rng, fsys: fsys, array: createStagingArray(t, fsys, measures), measures: measures,
		content: map[arrayclient.Serial][]byte{}, done: map[string]int{},
	}
	for _, size := range []int64{1 << 20, 1<<20 + 512, 1<<20 + trackSize, 2 << 20} {
		for _, s := range mustCreate(t, m.array, size, 2) {
			m.serials = append(m.serials, s)
			m.content[s] = make([]byte, size)
		}
	}
	for range *opsFlag {
		m.step()
	}
	for _, s := range m.serials {
		v := m.open(s)
		m.compare(s, v, 0, v.Size())
		v.Close()
	}
	if err := m.array.Close(); err != nil {
		t.Fatal(err)
	}
	if problems := Check(fsys); problems != nil {
		t.Fatal(problems)
	}
	for _, what := range []string{"established", "withdrawn", "resynced", "reversed", "restarted"} {
		if m.done[what] == 0 && *opsFlag >= 4000 {
			t.Errorf("nothing was %s", what)
		}
	}
}
