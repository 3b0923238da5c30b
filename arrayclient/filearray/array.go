package filearray

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/records"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/writelog"
)

// Driver is the name of this driver in arrayclient.Properties.
const Driver = "filearray"

// Array is an open array. It implements arrayclient.Array and its optional
// acts.
type Array struct {
	configuration
	fsys disk.FS
	log  *slog.Logger
	now  func() time.Time

	store *records.Store

	ctx    context.Context // ends when the array closes
	cancel context.CancelFunc
	copies sync.WaitGroup
	// destages are the goroutines that destage in the background.
	destages sync.WaitGroup
	measures writelog.Measures
	// cannotClone is set when the file system turned out not to share blocks.
	cannotClone atomic.Bool
	slots       chan struct{} // background copies at work at a time
	finishing   relQueue
	rate        rate // of all background copying

	freezeTimeout time.Duration
	ending        atomic.Bool // Thaw was called: freezes hold nothing any more
}

// configuration is which volumes and relationships there are, and who may change that.
type configuration struct {
	serial string

	// acts is held by what creates, deletes, changes or relates volumes, one
	// after the other. It may be held over waiting for gates and for the
	// journal, so nothing else waits for it. doc.go has the order of all locks.
	acts lockorder.Mutex[lockorder.Acts]
	// mu guards what follows, and is held for moments. The committer changes
	// the maps on behalf of who holds acts, so who holds either may read them.
	mu       lockorder.RWMutex[lockorder.Maps]
	volumes  map[uint16]*volume
	rels     map[uint64]*relationship
	creating map[uint16]bool // ids of volumes whose files are being made
	nextUID  uint64          // for the next volume or relationship
	closed   bool
	underWay sync.WaitGroup // acts, from their begin to their end
}

// copySlots is how many pieces are copied in the background at a time.
const copySlots = 4

// CreateOptions say what array to create.
type CreateOptions struct {
	// Serial has five upper-case letters or digits; empty: random digits.
	Serial string

	journal int64 // bytes of each of the two; 0: disk.JournalSize
}

// Create makes an array without volumes in fsys, which holds none.
func Create(fsys disk.FS, opts CreateOptions) error {
	if opts.Serial == "" {
		opts.Serial = randomSerial()
	}
	if !arrayclient.ValidArraySerial(opts.Serial) {
		return fault.New(fault.Usage, "%q is not the serial of an array", opts.Serial).
			WithHint("an array's serial is 5 upper-case letters or digits, like 13698")
	}
	for _, dir := range recovery.Folders {
		if err := fsys.Mkdir(dir); err != nil {
			return err
		}
	}
	if err := removeLeftovers(fsys); err != nil {
		return err
	}
	size := cmp.Or(opts.journal, disk.JournalSize)
	if err := disk.CreateJournal(fsys, opts.Serial, size); err != nil {
		return err
	}
	if err := fsys.SyncDir("."); err != nil {
		return err
	}
	return disk.WriteMeta(fsys, opts.Serial, 1, disk.NewState())
}

// removeLeftovers removes what a Create made that was cut off.
func removeLeftovers(fsys disk.FS) error {
	if ok, err := Exists(fsys); ok || err != nil {
		return errors.Join(err, errors.New("there is an array already"))
	}
	for gen := range uint64(2) {
		for _, name := range []string{disk.MetaName(gen), disk.JournalName(gen)} {
			if err := fsys.Remove(name); err != nil && !disk.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}

func randomSerial() string {
	const digits = "0123456789"
	s := make([]byte, 5)
	for i := range s {
		n, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // crypto/rand does not fail on the systems Go runs on
		}
		s[i] = digits[n.Int64()]
	}
	return string(s)
}

// Exists reports whether there is an array, whole or damaged, in fsys. What is
// left of a Create that was cut off is none.
func Exists(fsys disk.FS) (bool, error) {
	a, b := disk.ReadMetaSlot(fsys, 0), disk.ReadMetaSlot(fsys, 1)
	if a.Err == nil || b.Err == nil {
		return true, nil
	}
	if disk.IsNotExist(a.Err) && disk.IsNotExist(b.Err) {
		return false, nil
	}
	var damage *disk.CorruptError
	for _, err := range []error{a.Err, b.Err} {
		if !disk.IsNotExist(err) && !errors.As(err, &damage) {
			return false, err
		}
	}
	return wasOpened(fsys)
}

// wasOpened reports whether an array whose meta files cannot be read has ever
// been opened: then the journals say so, or there are volumes.
func wasOpened(fsys disk.FS) (bool, error) {
	names, err := fsys.List(disk.VolumeDir)
	if err != nil || len(names) > 0 {
		return err == nil, err
	}
	j, err := disk.OpenJournal(fsys, "")
	if err != nil {
		var damage *disk.CorruptError
		if errors.As(err, &damage) {
			return true, nil // they are made before the meta file
		}
		return false, err
	}
	defer j.Close()
	gen, err := j.BegunAfter(0)
	return gen > 0, err
}

// Properties returns facts about the array.
func (a *Array) Properties(context.Context) (arrayclient.Properties, error) {
	capacity, free := a.fsys.Space()
	a.mu.RLock()
	defer a.mu.RUnlock()
	return arrayclient.Properties{
		ID:         arrayclient.ArrayID{MachineType: arrayclient.MachineType, Serial: a.serial},
		Driver:     Driver,
		Volumes:    len(a.volumes),
		MaxVolumes: arrayclient.MaxVolumes,
		MaxTargets: arrayclient.MaxTargets,
		TrackSize:  trackSize,
		Capacity:   capacity,
		Free:       free,
		CopyRate:   a.store.CopyRate(),
	}, nil
}

// Close ends background copying and writes a last checkpoint. Relationships
// go on when the array is opened again. No volume may be in use any more.
func (a *Array) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	a.mu.Unlock()
	a.underWay.Wait()
	a.cancel()
	a.copies.Wait()
	a.destages.Wait()
	err := a.lastCheckpoint()
	if err != nil && disk.IsFull(err) { // the journals have it all
		a.log.Warn("no checkpoint written: the disk is full", "error", err)
		err = nil
	}
	return errors.Join(err, a.closeFiles())
}

func (a *Array) lastCheckpoint() error {
	parallel.Each(a.allVolumes(), func(v *volume) error {
		err := v.settle()
		if err != nil {
			a.log.Error("volume not synced", "volume", string(v.serial), "error", err)
		}
		return err
	})
	a.destages.Wait() // what settling began
	err := a.retireLogs()
	if err != nil {
		return err
	}
	return a.store.LastCheckpoint()
}

func (a *Array) closeFiles() error {
	errs := []error{a.store.Journal.Close(), a.store.Spare.Close()}
	for _, r := range a.rels {
		errs = append(errs, r.bits().Each((*bitmap.Bitmap).Close))
	}
	errs = append(errs, parallel.Each(a.allVolumes(), func(v *volume) error {
		return errors.Join(v.log.CloseFile(), v.data.Close())
	}))
	return errors.Join(errs...)
}

func (a *Array) allVolumes() []*volume {
	return slices.Collect(maps.Values(a.volumes))
}

// lookup finds a volume by its serial. Array.acts or Array.mu is held.
func (c *configuration) lookup(serial arrayclient.Serial) (*volume, error) {
	s, err := arrayclient.ParseSerial(string(serial))
	if err != nil {
		return nil, err
	}
	if s.ArraySerial() == c.serial {
		if v := c.volumes[s.VolumeID()]; v != nil {
			return v, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no volume %s in array %s.%s",
		serial, arrayclient.MachineType, c.serial).
		WithHint("esscli list volume shows which there are")
}

// errClosed is the error of a closed array. Array.mu is held.
func (c *configuration) errClosed() error {
	if c.closed {
		return fault.New(fault.Server, "array %s.%s is closed", arrayclient.MachineType, c.serial)
	}
	return nil
}

// sortedKeys returns the keys of m in order.
func sortedKeys[K uint16 | uint64, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
