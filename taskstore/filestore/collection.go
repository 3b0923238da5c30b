package filestore

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// files is a collection in a folder.
type files[T any] struct {
	kindOf[T]
	dir  string
	fsys atomicfile.FS

	writing sync.Mutex // held over a change, so that readers don't wait for the disk
	mu      sync.RWMutex
	things  map[string]T      // by key
	places  map[string]string // by key, the files of things that are not in fileName
	stopped error             // why no more changes are taken; nil while they are
}

func newFiles[T any](dir string, fsys atomicfile.FS, kind kindOf[T]) *files[T] {
	return &files[T]{
		kindOf: kind, fsys: fsys, dir: filepath.Join(dir, kind.folder), things: map[string]T{},
		places: map[string]string{},
	}
}

// load also clears away what a crash left behind.
func (c *files[T]) load() []error {
	if err := makeFolder(c.dir); err != nil {
		return []error{err}
	}
	if err := atomicfile.Clean(c.dir); err != nil {
		return []error{err}
	}
	return c.check()
}

// check reads all files, leaving temporary ones alone.
func (c *files[T]) check() []error {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []error{fault.New(fault.Failed, "cannot read folder %s: %w", c.dir, err)}
	}
	var errs []error
	old := map[string]T{} // by file
	for _, e := range entries {
		if atomicfile.IsTemp(e.Name()) {
			continue
		}
		if err := c.read(e.Name(), old); err != nil {
			errs = append(errs, err)
		}
	}
	for file, v := range old {
		c.place(file, v)
	}
	return errs
}

// place takes a thing whose file has the name that oldFileName gives. One whose
// accents alone tell it from another stays apart under its exact name, so that
// both can be reached, and one of them be deleted.
func (c *files[T]) place(file string, v T) {
	key := taskstore.Key(c.name(v))
	if _, taken := c.things[key]; taken {
		key = taskstore.FoldCase(c.name(v))
	}
	c.things[key], c.places[key] = v, file
}

// key returns the key under which a thing of that name is kept. The caller holds
// mu.
func (c *files[T]) key(name string) string {
	apart := taskstore.FoldCase(name)
	if _, ok := c.places[apart]; ok {
		return apart
	}
	return taskstore.Key(name)
}

// path returns the file of the thing of that name.
func (c *files[T]) path(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if file, ok := c.places[c.key(name)]; ok {
		return filepath.Join(c.dir, file)
	}
	return filepath.Join(c.dir, fileName(name))
}

// read takes one file into memory, or into old. That the file's name fits what is
// in it keeps two files from holding the same thing.
func (c *files[T]) read(file string, old map[string]T) error {
	var v T
	path := filepath.Join(c.dir, file)
	if !strings.HasSuffix(file, extension) {
		return fault.New(fault.Failed, "%s is not a file of copyserver's", path).
			WithHint("move it out of the folder")
	}
	if err := loadFile(path, c.word, max(c.formats, firstFormat), &v); err != nil {
		return err
	}
	if err := c.validate(v); err != nil {
		return fault.New(fault.Failed, "%s: %w", path, err).WithHint("%s", hintFor(err))
	}
	name := c.name(v)
	want := fileName(name)
	if want != file && oldFileName(name) == file {
		old[file] = v
		return nil
	}
	if want != file {
		return fault.New(fault.Failed, "%s holds %s %q, whose file is %s", path, c.word, name, want).
			WithHint("was the file renamed? give it its name back")
	}
	c.things[taskstore.Key(name)] = v
	return nil
}

// List returns all in their order.
func (c *files[T]) List() ([]T, error) {
	c.mu.RLock()
	all := make([]T, 0, len(c.things))
	for _, v := range c.things {
		all = append(all, c.clone(v))
	}
	c.mu.RUnlock()
	slices.SortFunc(all, func(a, b T) int {
		if c.less != nil {
			return c.less(a, b)
		}
		return cmp.Compare(taskstore.Key(c.name(a)), taskstore.Key(c.name(b)))
	})
	return all, nil
}

// Get returns the thing of that name.
func (c *files[T]) Get(name string) (T, error) {
	v, ok := c.get(name)
	if !ok {
		return v, c.missing(name)
	}
	return c.clone(v), nil
}

func (c *files[T]) get(name string) (T, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.things[c.key(name)]
	return v, ok
}

func (c *files[T]) missing(name string) error {
	return fault.New(fault.NotFound, "no %s named %q", c.word, name)
}

func withArticle(word string) string {
	if strings.ContainsRune("aeio", rune(word[0])) { // "a user"
		return "an " + word
	}
	return "a " + word
}

// Create stores v, whose name must be free.
func (c *files[T]) Create(v T) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if old, ok := c.get(c.name(v)); ok {
		return fault.New(fault.Usage, "%s named %s %w", withArticle(c.word), c.name(old), fault.ErrExists)
	}
	return c.write(v)
}

// Put stores v, in place of the one of its name.
func (c *files[T]) Put(v T) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(v)
}

// write puts the file in its place before the memory: whoever reads a thing
// can rely on it. The caller holds writing.
func (c *files[T]) write(v T) error {
	if err := c.validate(v); err != nil {
		return err
	}
	if err := c.refusal(); err != nil {
		return err
	}
	name := c.name(v)
	if old, ok := c.get(name); ok && c.rename != nil {
		v = c.rename(v, c.name(old))
	}
	format := firstFormat
	if c.format != nil {
		format = c.format(v)
	}
	if err := saveFile(c.fsys, c.path(name), c.word, format, v); err != nil {
		return c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.things[c.key(name)] = c.clone(v)
	return nil
}

// Delete removes the thing of that name.
func (c *files[T]) Delete(name string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, ok := c.get(name); !ok {
		return c.missing(name)
	}
	if err := c.refusal(); err != nil {
		return err
	}
	if err := atomicfile.Remove(c.fsys, c.path(name)); err != nil {
		return c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := c.key(name)
	delete(c.things, key)
	delete(c.places, key)
	return nil
}

func (c *files[T]) refusal() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.stopped
}

// failed stops the collection after a failed sync of its folder: what is on
// disk is then unknown, and another try would hide that.
func (c *files[T]) failed(err error) error {
	if errors.Is(err, atomicfile.ErrUnsure) {
		c.stop(fault.New(fault.Server, "no changes in %s after a failed sync: %w", c.dir, err).
			WithHint("restart copyserver; if it goes on, the disk under the folder is failing"))
	}
	return fault.New(fault.Server, "%w", err).WithHint("%s", fault.HintOf(err))
}

func (c *files[T]) close() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.stop(fault.New(fault.Server, "the store is closed"))
}

func (c *files[T]) stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = err
}
