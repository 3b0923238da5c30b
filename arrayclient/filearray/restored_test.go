package filearray

import (
	"context"
	"copyservices/arrayclient/filearray/recovery"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// files returns the content of all files.
func (c *crashFS) files() map[string][]byte {
	list := map[string][]byte{}
	for name := range c.live {
		list[name] = c.content(name)
	}
	return list
}

// restore puts the files of a backup back whose names f picks, and removes those
// that it has not.
func (c *crashFS) restore(t *testing.T, backup map[string][]byte, f func(string) bool) {
	t.Helper()
	for _, name := range slices.Collect(maps.Keys(c.live)) {
		if f(name) {
			if err := c.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range backup {
		if !f(name) {
			continue
		}
		file, err := c.Create(name)
		if err == nil {
			_, err = file.WriteAt(content, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// afterBackup returns an array and a backup of it from before it was used in some
// sessions, of which the last is killed or ended.
func afterBackup(t *testing.T, sessions int, kill bool) (*crashFS, map[string][]byte) {
	t.Helper()
	fsys := newCrashFS()
	if err := Create(fsys, CreateOptions{Serial: "13698", journal: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	a := openTestArray(t, fsys)
	v := pairIn(t, a, arrayclient.Options{NoCopy: true})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	backup := fsys.files()
	for i := range sessions {
		a := openTestArray(t, fsys)
		vol := mustOpen(t, a, v[0])
		mustWrite(t, vol, int64(i), trackSize, byte(2+i))
		mustFlush(t, vol)
		mustDestage(t, a, v[0])
		mustWrite(t, vol, 4, 512, byte(2+i)) // its marks take down the stamp of the source
		mustDestage(t, a, v[0])
		if kill && i == sessions-1 {
			a.kill()
			return fsys.afterKill(), backup
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fsys, backup
}

// TestRestored: files of an older backup among newer ones are refused by name.
func TestRestored(t *testing.T) {
	under := func(prefixes ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		}
	}
	for title, c := range map[string]struct {
		restored func(string) bool
		name     string
	}{
		"meta and journals":       {under("meta.", "journal."), "meta."},
		"meta":                    {under("meta."), "meta."},
		"journals":                {under("journal."), "journal."},
		"one journal":             {under("journal.0"), "journal.0"},
		"all but volumes":         {under("meta.", "journal.", "bitmaps/", "stages/"), "meta."},
		"volumes":                 {under("volumes/"), "volumes/generation"},
		"volumes and their state": {under("volumes/", "bitmaps/"), ""},
	} {
		for sessions := 1; sessions <= 3; sessions += 2 {
			for _, kill := range []bool{false, true} {
				fsys, backup := afterBackup(t, sessions, kill)
				fsys.restore(t, backup, c.restored)
				a, err := Open(fsys, OpenOptions{})
				if err == nil {
					a.kill()
					t.Fatalf("%s, %d sessions, killed %t: opens", title, sessions, kill)
				}
				if !strings.Contains(err.Error(), c.name) {
					t.Fatalf("%s, %d sessions, killed %t: %v", title, sessions, kill, err)
				}
				if problems := Check(fsys); len(problems) == 0 {
					t.Fatalf("%s: check finds nothing", title)
				}
			}
		}
	}
}

// TestRestoredWhole: a backup of all is as good as ever.
func TestRestoredWhole(t *testing.T) {
	fsys, backup := afterBackup(t, 2, true)
	fsys.restore(t, backup, func(string) bool { return true })
	if problems := Check(fsys); problems != nil {
		t.Fatal(problems)
	}
	a := openTestArray(t, fsys)
	if p := readAll(t, mustOpen(t, a, mustList(t, a)[1].Serial)); p[0] != 1 {
		t.Fatal("the image is not that of the backup")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRestoredBeforeSessions: without the notes of sessions, as of the first
// program, older meta files and journals are known by what was made since.
func TestRestoredBeforeSessions(t *testing.T) {
	fsys, backup := afterBackup(t, 3, false)
	for name := range backup { // what that program did not write
		if strings.HasPrefix(name, disk.GenerationDir) {
			delete(backup, name)
		}
	}
	fsys.restore(t, backup, func(name string) bool {
		return strings.HasPrefix(name, "meta.") || strings.HasPrefix(name, "journal.") ||
			strings.HasPrefix(name, disk.GenerationDir)
	})
	for slot := range uint64(2) {
		m := disk.ReadMetaSlot(fsys, slot)
		m.State.Session = 0
		if err := disk.WriteMeta(fsys, m.Serial, m.Gen, m.State); err != nil {
			t.Fatal(err)
		}
	}
	a, err := Open(fsys, OpenOptions{})
	if err == nil {
		a.kill()
		t.Fatal("opens")
	}
	if !strings.Contains(err.Error(), "meta.") || fault.HintOf(err) == "" {
		t.Fatalf("hint %q: %v", fault.HintOf(err), err)
	}
}

// wantOlder holds that the array opens, that of its volumes the one whose file is
// older has failed by its name, and that check says so.
func wantOlder(t *testing.T, fsys *crashFS, name string) *Array {
	t.Helper()
	problems := Check(fsys)
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), name+" is older") ||
		fault.HintOf(problems[0]) == "" {
		t.Fatalf("check finds %v", problems)
	}
	a := openTestArray(t, fsys)
	for _, v := range mustList(t, a) {
		is := strings.HasPrefix(path.Base(name), string(v.Serial[:3]))
		if failed := strings.Contains(v.Failed, name+" is older"); failed != is {
			t.Fatalf("volume %s is listed with failure %q", v.Serial, v.Failed)
		}
	}
	return a
}

// TestRestoredVolume: one volume's file of an older backup, the source's or the
// target's, makes no image. The volume fails alone, and is as before when its file is
// back, or usable as it is when nothing counts on it any more.
func TestRestoredVolume(t *testing.T) {
	for _, kill := range []bool{false, true} {
		for sessions := 1; sessions <= 3; sessions += 2 {
			for id := range 2 {
				fsys, backup := afterBackup(t, sessions, kill)
				v := mustListClosed(t, fsys)
				name := disk.SegmentName(v[id], 0)
				newest := fsys.content(name)
				is := func(other string) bool { return other == name }
				for range 2 { // opening it changes nothing
					fsys.restore(t, backup, is)
					a := wantOlder(t, fsys, name)
					if err := a.Close(); err != nil {
						t.Fatal(err)
					}
				}
				fsys.restore(t, map[string][]byte{name: newest}, is)
				a := openTestArray(t, fsys)
				if p := readAll(t, mustOpen(t, a, mustList(t, a)[1].Serial)); p[0] != 1 || p[trackSize] != 1 {
					t.Fatal("the image is not what it was")
				}
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
				fsys.restore(t, backup, is)
				useOlder(t, fsys, name)
			}
		}
	}
}

// mustListClosed returns the records of the volumes of an array that is not open.
func mustListClosed(t *testing.T, fsys *crashFS) (list []*disk.VolumeRecord) {
	t.Helper()
	l, err := recovery.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, id := range sortedKeys(l.State.Volumes) {
		list = append(list, l.State.Volumes[id])
	}
	return list
}

// useOlder does what the hint says about the older file of one of the first two
// volumes: withdraws their relationship and starts again.
func useOlder(t *testing.T, fsys *crashFS, name string) {
	t.Helper()
	a := wantOlder(t, fsys, name)
	v, ctx := mustList(t, a), context.Background()
	pair := arrayclient.Pair{Source: v[0].Serial, Target: v[1].Serial}
	if _, err := a.Withdraw(ctx, []arrayclient.Pair{pair}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if problems := Check(fsys); problems != nil {
			t.Fatal(problems)
		}
		a = openTestArray(t, fsys)
		for _, s := range []arrayclient.Serial{pair.Source, pair.Target} {
			writeOnes(t, a, s, 9)
			mustFlush(t, mustOpen(t, a, s))
		}
		if err := a.Establish(ctx, []arrayclient.Pair{pair}, arrayclient.Options{Persistent: true}); err != nil {
			t.Fatal(err)
		}
		a.copies.Wait()
		if _, err := a.Withdraw(ctx, []arrayclient.Pair{pair}); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestoredVolumeStaged: writes that are staged are not brought to an older file.
func TestRestoredVolumeStaged(t *testing.T) {
	fsys, backup := afterBackup(t, 1, true)
	v := mustListClosed(t, fsys)
	name := disk.SegmentName(v[0], 0)
	fsys.restore(t, backup, func(other string) bool { return other == name })
	a := wantOlder(t, fsys, name)
	defer a.Close()
	if hint := fault.HintOf(Check(fsys)[0]); strings.Contains(hint, "as it is") {
		t.Fatalf("hint: %s", hint)
	}
	s, ctx := mustList(t, a), context.Background()
	pair := arrayclient.Pair{Source: s[0].Serial, Target: s[1].Serial}
	if _, err := a.Withdraw(ctx, []arrayclient.Pair{pair}); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteVolume(ctx, s[0].Serial); err != nil {
		t.Fatal(err)
	}
}

// TestStamps: a stamp is given with the first sync after the first write, and the
// next one not before its time. A damaged one is no reason to refuse the file.
func TestStamps(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	vol := volumeOf(t, a, v[2])
	stamp := func() uint64 {
		t.Helper()
		at := disk.HeaderOffset(vol.data.Size) + disk.StampStart
		file := vol.data.Files()[0]
		n, err := disk.ReadStamp(file, "the file", at, disk.StampHeader(a.serial, vol.uid, 0))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := stamp()
	mustFlush(t, mustOpen(t, a, v[2]))
	if stamp() != first {
		t.Fatal("a file that was not written to gets a stamp")
	}
	var last uint64
	for range 3 {
		mustWrite(t, mustOpen(t, a, v[2]), 0, 512, 1)
		mustFlush(t, mustOpen(t, a, v[2]))
		if last == 0 {
			last = stamp()
		}
		if now := stamp(); now != last || now <= first {
			t.Fatalf("stamps %d, %d, %d", first, last, now)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	name := disk.SegmentName(mustListClosed(t, fsys)[0], 0)
	damage(fsys, name, flip(1<<20+disk.StampStart+25))
	a = openTestArray(t, fsys)
	defer a.Close()
	if list := mustList(t, a); list[0].Failed != "" {
		t.Fatalf("a damaged stamp: %s", list[0].Failed)
	}
}

// TestCrashExpanded loses the power while volumes grow, with stamps given all the
// time, and become a pair.
func TestCrashExpanded(t *testing.T) {
	crashEverywhere(t, func(r *crashRun) {
		nocopy := arrayclient.Options{NoCopy: true}
		r.run([]func() bool{
			func() bool { return r.write(0, 0, 4) && r.flush(0) && r.write(0, 4, 4) },
			func() bool { return r.expand(0, crashVolume+3*trackSize) },
			func() bool { return r.expand(3, crashVolume+3*trackSize) },
			func() bool { return r.establish(nocopy, r.pair(0, 3)) },
			func() bool { return r.write(0, 1, 3) && r.destage(0) },
			func() bool { return r.array.Close() == nil },
		})
	})
}

// TestRestoredStage: writes that were staged when a backup was made are not brought
// to the volume once more.
func TestRestoredStage(t *testing.T) {
	for _, kill := range []bool{false, true} {
		fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, crashStaging)
		vol := mustOpen(t, a, v[0])
		mustWrite(t, vol, 2, 512, 2)
		mustFlush(t, vol)
		a.kill()
		fsys = fsys.afterKill()
		backup := fsys.files()
		a = openStagingArray(t, fsys, crashStaging)
		mustDestage(t, a, v[0])
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = openStagingArray(t, fsys, crashStaging)
		vol = mustOpen(t, a, v[0])
		mustWrite(t, vol, 2, 512, 3)
		mustWrite(t, vol, 5, 512, 3)
		mustFlush(t, vol)
		if kill {
			a.kill()
			fsys = fsys.afterKill()
		} else if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		name := disk.StageName(0, 1)
		fsys.restore(t, backup, func(other string) bool { return other == name })
		if kill {
			if err := wantOlder(t, fsys, name).Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		a = openStagingArray(t, fsys, crashStaging)
		if p := readAll(t, mustOpen(t, a, v[0])); p[2*trackSize] != 3 {
			t.Fatalf("the older write %d is there", p[2*trackSize])
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
