package filearray

import (
	"maps"
	"slices"
	"strings"
	"testing"

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
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
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
		if strings.HasPrefix(name, generationDir) {
			delete(backup, name)
		}
	}
	fsys.restore(t, backup, func(name string) bool {
		return strings.HasPrefix(name, "meta.") || strings.HasPrefix(name, "journal.") ||
			strings.HasPrefix(name, generationDir)
	})
	for slot := range uint64(2) {
		m := readMetaSlot(fsys, slot)
		m.state.Session = 0
		if err := writeMeta(fsys, m.serial, m.gen, m.state); err != nil {
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
