package filestore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
)

var (
	task = taskstore.Task{
		Name: "VMWare_W2K_FC", Type: taskstore.TaskEstablish,
		Pairs: []taskstore.TaskPair{
			{Source: "rich-w2k-os-1:Disk1", Target: "RICH-W2K-OS-2:Disk1"},
			{Source: "20513698", Target: "20613698"},
		},
		Options: arrayclient.Options{NoCopy: true},
	}
	when = time.Date(2005, 3, 1, 12, 0, 0, 123456789, time.UTC)
	run  = taskstore.Run{
		ID: "20050301-120000-ab", Task: task.Name, Type: task.Type, User: "superuser",
		State: taskstore.RunFailed, Started: when, Ended: when.Add(time.Second),
		Pairs:    []taskstore.ResolvedPair{{Source: "20513698", Target: "20613698", From: task.Pairs[1]}},
		Warnings: []string{"a warning"},
		Error:    &fault.Detail{Kind: fault.Refused, Message: "no: \"x\"", Hint: "do y"},
		Key:      "0123456789abcdef", Body: "hash", Percent: 40,
	}
	host = taskstore.Host{
		Name: "rich-w2k-os-1", OS: "windows",
		Devices: []taskstore.Device{{Name: "Disk1", Serial: "20313698"}}, Primed: when,
	}
)

func open(t *testing.T, dir string) *filestore.Dir {
	t.Helper()
	d, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingOutlivesReopening(t *testing.T) {
	dir := t.TempDir()
	user := taskstore.User{Name: "superuser", Role: taskstore.RoleAdmin, Hash: "$x", Created: when}
	entry := taskstore.Entry{
		Kind: taskstore.EntryESS, Address: "10.0.0.5", User: "u", Sealed: "s", Added: when,
	}
	request := taskstore.Request{Key: "fedcba9876543210", Started: when, Status: 201, Answer: "{}\n"}
	credential := taskstore.Credential{Serial: "0a1b", Host: "h", Created: when, Revoked: when}
	assignment := taskstore.Assignment{
		Volume: "20A13698", Hosts: []taskstore.HostAccess{{Host: "h"}, {Host: "i", ReadOnly: true}},
	}
	d := open(t, dir)
	must(t, d.Credentials().Create(credential))
	must(t, d.Assignments().Create(assignment))
	must(t, d.Tasks().Create(task))
	must(t, d.Hosts().Create(host))
	must(t, d.Users().Create(user))
	must(t, d.Entries().Create(entry))
	must(t, d.Runs().Create(run))
	must(t, d.Requests().Create(request))
	must(t, d.Close())

	d = open(t, dir)
	wantSame(t, d.Tasks(), task.Name, task)
	wantSame(t, d.Hosts(), strings.ToUpper(host.Name), host)
	wantSame(t, d.Users(), user.Name, user)
	wantSame(t, d.Entries(), "ess/10.0.0.5", entry)
	wantSame(t, d.Runs(), run.ID, run)
	wantSame(t, d.Requests(), request.Key, request)
	wantSame(t, d.Credentials(), "0a1b", credential)
	wantSame(t, d.Assignments(), "20A13698", assignment)
	if errs := filestore.Check(dir); len(errs) != 0 {
		t.Errorf("check: %v", errs)
	}
}

func wantSame[T any](t *testing.T, c taskstore.Collection[T], name string, want T) {
	t.Helper()
	got, err := c.Get(name)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %+v (%v), want %+v", name, got, err, want)
	}
}

func TestNamesWithoutCase(t *testing.T) {
	tasks := open(t, t.TempDir()).Tasks()
	must(t, tasks.Create(task))
	other := task
	other.Name, other.Type = strings.ToLower(task.Name), taskstore.TaskWithdraw
	other.Options = arrayclient.Options{}
	err := tasks.Create(other)
	if fault.KindOf(err) != fault.Usage || !errors.Is(err, fault.ErrExists) {
		t.Errorf("second of the name: %v", err)
	}
	must(t, tasks.Put(other))
	got, err := tasks.Get(other.Name)
	must(t, err)
	if got.Name != task.Name || got.Type != taskstore.TaskWithdraw {
		t.Errorf("after Put: %+v, want the first name and the new type", got)
	}
	must(t, tasks.Delete(other.Name))
	if err := tasks.Delete(task.Name); fault.KindOf(err) != fault.NotFound {
		t.Errorf("second delete: %v", err)
	}
	if _, err := tasks.Get(task.Name); fault.KindOf(err) != fault.NotFound {
		t.Errorf("get after delete: %v", err)
	}
}

// Two ways to write one name, as a Mac and a Linux terminal send them.
const composed, decomposed = "j\u00fcrgen", "ju\u0308rgen"

func TestNamesWithoutFormOfAccents(t *testing.T) {
	d := open(t, t.TempDir())
	user := taskstore.User{Name: composed, Role: taskstore.RoleMonitor, Hash: "$x", Created: when}
	must(t, d.Users().Create(user))
	again := user
	again.Name = decomposed
	if err := d.Users().Create(again); !errors.Is(err, fault.ErrExists) {
		t.Errorf("the name in its other form: %v", err)
	}
	wantSame(t, d.Users(), strings.ToUpper(decomposed), user)
	must(t, d.Users().Delete(decomposed))
}

// oldUser stores a user and gives its file the name that it had while the two
// forms were two names.
func oldUser(t *testing.T, dir, name, file string, role taskstore.Role) taskstore.User {
	t.Helper()
	u := taskstore.User{Name: name, Role: role, Hash: "$x", Created: when}
	other := t.TempDir()
	d := open(t, other)
	must(t, d.Users().Create(u))
	must(t, d.Close())
	made, err := os.ReadDir(filepath.Join(other, "users"))
	must(t, err)
	data, err := os.ReadFile(filepath.Join(other, "users", made[0].Name()))
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "users"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "users", file), data, 0o600))
	return u
}

const composedFile, decomposedFile = "j%C3%9Crgen.yaml", "ju%CC%88rgen.yaml"

func TestOldFileOfDecomposedName(t *testing.T) {
	dir := t.TempDir()
	u := oldUser(t, dir, decomposed, decomposedFile, taskstore.RoleMonitor)
	if errs := filestore.Check(dir); len(errs) != 0 {
		t.Errorf("check: %v", errs)
	}
	d := open(t, dir)
	wantSame(t, d.Users(), composed, u)
	u.Role = taskstore.RoleAdmin
	must(t, d.Users().Put(u))
	must(t, d.Close())
	d = open(t, dir)
	wantSame(t, d.Users(), decomposed, u)
	must(t, d.Users().Delete(composed))
	if left, _ := os.ReadDir(filepath.Join(dir, "users")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestOldFilesOfBothForms: a folder that has both opens, each is who it was, and
// one of them can go.
func TestOldFilesOfBothForms(t *testing.T) {
	dir := t.TempDir()
	one := oldUser(t, dir, composed, composedFile, taskstore.RoleMonitor)
	two := oldUser(t, dir, decomposed, decomposedFile, taskstore.RoleOperator)
	d := open(t, dir)
	wantSame(t, d.Users(), composed, one)
	wantSame(t, d.Users(), decomposed, two)
	two.Role = taskstore.RoleAdmin
	must(t, d.Users().Put(two))
	must(t, d.Close())
	d = open(t, dir)
	wantSame(t, d.Users(), composed, one)
	wantSame(t, d.Users(), decomposed, two)
	must(t, d.Users().Delete(decomposed))
	wantSame(t, d.Users(), decomposed, one)
	must(t, d.Close())
	wantSame(t, open(t, dir).Users(), composed, one)
}

func TestAnswersAreCopies(t *testing.T) {
	d := open(t, t.TempDir())
	must(t, d.Runs().Create(run))
	got, err := d.Runs().Get(run.ID)
	must(t, err)
	got.Pairs[0].Source, got.Error.Message, got.Warnings[0] = "x", "x", "x"
	wantSame(t, d.Runs(), run.ID, run)
}

func TestListOrder(t *testing.T) {
	d := open(t, t.TempDir())
	for i, id := range []string{"c", "a", "b"} {
		r := run
		r.ID, r.Started = id, when.Add(time.Duration(i)*time.Nanosecond)
		must(t, d.Runs().Create(r))
		h := host
		h.Name = id
		must(t, d.Hosts().Create(h))
	}
	runs, err := d.Runs().List()
	must(t, err)
	hosts, err := d.Hosts().List()
	must(t, err)
	var got string
	for i := range runs {
		got += runs[i].ID + hosts[i].Name
	}
	if got != "caabbc" {
		t.Errorf("runs and hosts in order %s, want oldest first and by name", got)
	}
}

func TestPruneKeepsRunningAndSpared(t *testing.T) {
	d := open(t, t.TempDir())
	for i := range 10 {
		r := run
		r.ID, r.Started = strconv.Itoa(i), when.Add(time.Duration(i))
		if i == 1 {
			r.State = taskstore.RunRunning
		}
		must(t, d.Runs().Create(r))
	}
	spare := func(r taskstore.Run) bool { return r.ID == "2" }
	if n, err := taskstore.Prune(d.Runs(), 6, spare); n != 2 || err != nil {
		t.Errorf("pruned %d, %v; want runs 0 and 3", n, err)
	}
	if n, err := taskstore.Prune(d.Runs(), 100, spare); n != 0 || err != nil {
		t.Errorf("pruned %d, %v of few", n, err)
	}
}

func TestRefusesFilesItCannotTake(t *testing.T) {
	for name, damage := range map[string]func(text string) string{
		"checksum": func(s string) string { return strings.Replace(s, "Disk1", "Disk2", 1) },
		"newer":    func(s string) string { return strings.Replace(s, "task 1", "task 2", 1) },
		"kind":     func(s string) string { return strings.Replace(s, "task 1", "host 1", 1) },
		"magic":    func(s string) string { return s[1:] },
		"cut":      func(s string) string { return s[:len(s)-3] },
		"empty":    func(string) string { return "" },
		"line":     func(s string) string { return s[:20] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, open(t, dir).Tasks().Create(task))
			path := filepath.Join(dir, "tasks", "vmware_w2k_fc.yaml")
			data, err := os.ReadFile(path)
			must(t, err)
			bad := []byte(damage(string(data)))
			must(t, os.WriteFile(path, bad, 0o600))
			_, err = filestore.Open(dir)
			if err == nil || !strings.Contains(err.Error(), path) || fault.HintOf(err) == "" {
				t.Errorf("opened with %v, want an error with a hint that names the file", err)
			}
			if errs := filestore.Check(dir); len(errs) != 1 {
				t.Errorf("check found %v", errs)
			}
			if after, _ := os.ReadFile(path); string(after) != string(bad) {
				t.Error("the file was changed")
			}
		})
	}
}

// TestFormats: a file has the number of the first format that can hold it. All formats
// are read, and one that came later is refused with its number.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	first, second := run, run
	first.ID, second.ID, second.Phase = "first", "second", taskstore.PhaseCopy
	must(t, d.Runs().Create(first))
	must(t, d.Runs().Create(second))
	for id, line := range map[string]string{
		"first": "# copyservices run 1 sha256:", "second": "# copyservices run 2 sha256:",
	} {
		data, err := os.ReadFile(filepath.Join(dir, "runs", id+".yaml"))
		if err != nil || !strings.HasPrefix(string(data), line) {
			t.Errorf("%s: %v, the file is %.60q", id, err, data)
		}
	}
	d = open(t, dir)
	for _, want := range []taskstore.Run{first, second} {
		if got, err := d.Runs().Get(want.ID); err != nil || got.Phase != want.Phase {
			t.Errorf("read %+v, %v", got, err)
		}
	}
	path := filepath.Join(dir, "runs", "second.yaml")
	data, err := os.ReadFile(path)
	must(t, err)
	newer := strings.Replace(string(data), "run 2", "run 7", 1)
	must(t, os.WriteFile(path, []byte(newer), 0o600))
	_, err = filestore.Open(dir)
	want := path + ": it has the format 7, and this copyserver reads formats up to 2"
	if err == nil || err.Error() != want || fault.HintOf(err) != "start the version of copyserver that wrote it, or a later one" {
		t.Errorf("a later format: %v, hint %q", err, fault.HintOf(err))
	}
}

// TestFormatsOfEntries: one that earlier servers know has their format.
func TestFormatsOfEntries(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	kept := taskstore.Entry{Kind: taskstore.EntryESS, Address: "ess1", User: "u", Sealed: "s"}
	driven := kept
	driven.Address, driven.Driver, driven.Array = "ess2", "copyserver", "2105.75AB1"
	driven.Fingerprint = "sha256:" + strings.Repeat("ab", 32)
	for want, e := range map[string]taskstore.Entry{"entry 1 ": kept, "entry 2 ": driven} {
		must(t, d.Entries().Create(e))
		files, err := filepath.Glob(filepath.Join(dir, "entries", "*"+e.Address+"*"))
		must(t, err)
		data, err := os.ReadFile(files[0])
		if err != nil || len(files) != 1 || !strings.Contains(string(data), want) {
			t.Errorf("%s: %v, the file is %.60q", e.Address, err, data)
		}
		got, err := open(t, dir).Entries().Get(taskstore.EntryName(e.Kind, e.Address))
		if err != nil || got != e {
			t.Errorf("read %+v, %v, want %+v", got, err, e)
		}
	}
	for text, change := range map[string]func(*taskstore.Entry){
		"only an array with a driver": func(e *taskstore.Entry) { e.Driver = "" },
		"is not an array":             func(e *taskstore.Entry) { e.Array = "x" },
		"fingerprint":                 func(e *taskstore.Entry) { e.Fingerprint = "ab" },
		"as fingerprints are stored":  func(e *taskstore.Entry) { e.Fingerprint = strings.Repeat("ab", 32) },
	} {
		e := driven
		change(&e)
		if err := d.Entries().Put(e); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRefusesStrangeAndRenamedFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, dir).Tasks().Create(task))
	tasks := filepath.Join(dir, "tasks")
	must(t, os.Rename(filepath.Join(tasks, "vmware_w2k_fc.yaml"), filepath.Join(tasks, "a.yaml")))
	must(t, os.WriteFile(filepath.Join(tasks, "notes.txt"), nil, 0o600))
	_, err := filestore.Open(dir)
	if err == nil || !strings.Contains(err.Error(), "a.yaml") ||
		!strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("opened with %v, want both files named", err)
	}
}

func TestInvalidThingsAreNotStored(t *testing.T) {
	d := open(t, t.TempDir())
	if err := d.Tasks().Put(taskstore.Task{Name: "x"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("put: %v", err)
	}
	if all, err := d.Tasks().List(); len(all) != 0 || err != nil {
		t.Errorf("list after a refusal: %v %v", all, err)
	}
}

func TestClosedStoreTakesNoChanges(t *testing.T) {
	d := open(t, t.TempDir())
	must(t, d.Close())
	if err := d.Tasks().Create(task); fault.KindOf(err) != fault.Server {
		t.Errorf("create after close: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	d := open(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			h := host
			h.Name = "host" + strconv.Itoa(i%4)
			for range 5 {
				if err := d.Hosts().Put(h); err != nil {
					t.Error(err)
				}
				if _, err := d.Hosts().List(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, _ := d.Hosts().List(); len(all) != 4 {
		t.Errorf("%d hosts, want 4", len(all))
	}
}

// TestCrashAtEveryStep ends a change at each of its steps, as a crash or an
// error would, and opens the folder again: the old or the new task is there,
// and what the change answered is true.
func TestCrashAtEveryStep(t *testing.T) {
	changed := task
	changed.Options = arrayclient.Options{Persistent: true}
	for step := 1; ; step++ {
		dir := t.TempDir()
		must(t, open(t, dir).Tasks().Create(task))
		fsys := &crashing{FS: atomicfile.OS(), left: step, err: syscall.EIO}
		d, err := filestore.OpenFS(dir, fsys)
		must(t, err)
		changeErr := d.Tasks().Put(changed)
		inMemory, _ := d.Tasks().Get(task.Name)
		if changeErr == nil && step > 6 {
			return // every step was crashed at
		}
		got, err := open(t, dir).Tasks().Get(task.Name)
		must(t, err)
		switch {
		case changeErr == nil:
			t.Fatalf("step %d: no error", step)
		case errors.Is(changeErr, atomicfile.ErrUnsure):
			if err := d.Tasks().Put(changed); fault.KindOf(err) != fault.Server {
				t.Errorf("step %d: a change after a failed sync: %v", step, err)
			}
		case !reflect.DeepEqual(got, task) || !reflect.DeepEqual(inMemory, task):
			t.Errorf("step %d: %v, and yet the task is %+v", step, changeErr, got)
		}
		wantClean(t, dir)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	fsys := &crashing{FS: atomicfile.OS(), left: 3, err: syscall.ENOSPC}
	d, err := filestore.OpenFS(dir, fsys)
	must(t, err)
	err = d.Tasks().Create(task)
	want := "no space left in folder " + filepath.Join(dir, "tasks")
	if fault.KindOf(err) != fault.Server || !strings.Contains(err.Error(), want) ||
		fault.HintOf(err) == "" {
		t.Errorf("%v, want %q, a hint and kind server", err, want)
	}
	fsys.left = 1000
	must(t, d.Tasks().Create(task))
	wantSame(t, open(t, dir).Tasks(), task.Name, task)
}

func wantClean(t *testing.T, dir string) {
	t.Helper()
	if errs := filestore.Check(dir); len(errs) != 0 {
		t.Errorf("check: %v", errs)
	}
	left, err := filepath.Glob(filepath.Join(dir, "tasks", ".tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

// crashing does left-1 steps and fails each one after that.
type crashing struct {
	atomicfile.FS
	left int
	err  error
}

func (c *crashing) step() error {
	if c.left--; c.left <= 0 {
		return c.err
	}
	return nil
}

func (c *crashing) CreateTemp(dir, pattern string) (atomicfile.File, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	f, err := c.FS.CreateTemp(dir, pattern)
	return &crashingFile{f, c}, err
}

func (c *crashing) Rename(from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.FS.Rename(from, to)
}

func (c *crashing) Remove(name string) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.FS.Remove(name)
}

func (c *crashing) OpenDir(dir string) (atomicfile.Folder, error) {
	f, err := c.FS.OpenDir(dir)
	return crashingFolder{f, c}, err
}

type crashingFolder struct {
	atomicfile.Folder
	c *crashing
}

func (f crashingFolder) Sync() error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.Folder.Sync()
}

type crashingFile struct {
	atomicfile.File
	c *crashing
}

func (f *crashingFile) Chmod(mode fs.FileMode) error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.File.Chmod(mode)
}

// Write tears: half of the data gets there.
func (f *crashingFile) Write(p []byte) (int, error) {
	if err := f.c.step(); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *crashingFile) Sync() error {
	if err := f.c.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

func TestLoadFileMissing(t *testing.T) {
	err := filestore.LoadFile(t.TempDir()+"/none", "task", new(taskstore.Task))
	if !strings.Contains(err.Error(), "none") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
