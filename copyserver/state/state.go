// Package state is the state folder of a server: what is in it, its lock, how a new
// one is made, and its check. The parts in it are those of packages filestore,
// secrets and filearray.
package state

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/access"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
	"copyservices/taskstore/notation"
)

// What is in a state folder. The identity is written last when a folder is
// initialised: without it, what else is there is from an attempt that was cut
// off, and the next one goes on with it.
const (
	identityName = "server.yaml"
	lockName     = "lock"
	keyName      = "secret.key"
	tlsName      = "tls"
	arrayName    = "array"

	authorityName = "authority"
)

// lostFound is in every fresh ext4 file system.
const lostFound = "lost+found"

const identityWord = "server" // in the first line of the file

// identity is what makes a state folder one.
type identity struct {
	ID      string    `yaml:"id"` // random, for the life of the folder
	Created time.Time `yaml:"created"`
}

// Folder is an open, locked state folder. Its fields are nil as far as opening
// did not get.
type Folder struct {
	ID        string // random, for the life of the folder
	Store     *filestore.Dir
	Box       *secrets.Box       // seals registered passwords
	Cert      tls.Certificate    // of HTTPS
	Authority *secrets.Authority // of credentials for hosts
	Array     *filearray.Array

	dir  string
	lock *Lock
}

// Opening is what Open needs to know.
type Opening struct {
	Dir         string
	ArraySerial string   // of an array to create; empty: random
	Names       []string // for the certificate, if it is to be created
	FS          atomicfile.FS
	Cost        access.Cost
	Logger      *slog.Logger
	Lock        *Lock // of a folder that is locked already; else nil
}

// LockKnown locks a folder that holds a state; for one that does not exist or is
// empty it returns nil. It changes nothing.
func LockKnown(dir string) (*Lock, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
		return nil, nil
	}
	return lockFolder(dir)
}

// Open opens the state folder, creating what a new one lacks. It takes
// charge of the lock.
func Open(ctx context.Context, o Opening) (*Folder, error) {
	if o.Lock == nil {
		var err error
		if o.Lock, err = makeFolder(o); err != nil {
			return nil, err
		}
	}
	s := &Folder{dir: o.Dir, lock: o.Lock}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeFolder makes the state folder and locks it.
func makeFolder(o Opening) (*Lock, error) {
	if err := checkFolder(o.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fault.New(fault.Failed, "cannot create the state folder: %w", err)
	}
	if err := atomicfile.SyncDir(o.FS, filepath.Dir(o.Dir)); err != nil {
		return nil, fault.New(fault.Failed, "cannot sync the folder of %s: %w", o.Dir, err)
	}
	return lockFolder(o.Dir)
}

// checkFolder refuses a folder that is neither empty nor ours.
func checkFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Failed, "cannot read the state folder: %w", err)
	}
	ours := append(filestore.Folders(), identityName, lockName, keyName, tlsName, arrayName,
		authorityName, lostFound)
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) && !atomicfile.IsTemp(e.Name()) {
			if _, err := os.Stat(filepath.Join(dir, identityName)); err == nil {
				continue // ours, with something of somebody else's in it
			}
			return fault.New(fault.Usage, "%s is not a state folder, and not empty: it holds %s",
				dir, e.Name()).
				WithHint("give an empty folder, or one that does not exist yet")
		}
	}
	return nil
}

// open goes through a fresh folder twice: it creates what has to be there to
// be loaded, loads, and adds what needs the loaded parts. Each step finds out
// for itself whether an earlier attempt did it.
func (s *Folder) open(ctx context.Context, o Opening) error {
	if err := atomicfile.Clean(s.dir); err != nil {
		return err
	}
	var id identity
	path := filepath.Join(s.dir, identityName)
	err := filestore.LoadFile(path, identityWord, &id)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if fresh {
		if err := s.prepare(o); err != nil {
			return err
		}
	}
	if err := s.load(o); err != nil {
		return err
	}
	if fresh {
		o.Logger.Info("initialising the state folder", "state", s.dir)
		if id, err = s.initialise(ctx, o); err != nil {
			return err
		}
	}
	s.ID = id.ID
	return nil
}

// prepare creates what load needs.
func (s *Folder) prepare(o Opening) error {
	for _, name := range []string{tlsName, arrayName} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			return fault.New(fault.Failed, "cannot create a folder in the state folder: %w", err)
		}
	}
	key := filepath.Join(s.dir, keyName)
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		if err := secrets.CreateKey(o.FS, key); err != nil {
			return err
		}
	}
	fsys, err := s.arrayFS()
	if err != nil {
		return err
	}
	there, err := filearray.Exists(fsys)
	if err != nil || there {
		return err
	}
	return filearray.Create(fsys, filearray.CreateOptions{Serial: o.ArraySerial})
}

func (s *Folder) arrayFS() (disk.FS, error) {
	fsys, err := disk.OS(filepath.Join(s.dir, arrayName))
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot open the array's folder: %w", err).
			WithHint("restore it from a backup of the state folder")
	}
	return fsys, nil
}

// load opens the parts of a folder. What is missing or damaged is named and
// never made anew: a new key would not open the stored passwords, a new array
// would have no volumes.
func (s *Folder) load(o Opening) error {
	var err error
	if s.Box, err = secrets.OpenBox(filepath.Join(s.dir, keyName)); err != nil {
		return err
	}
	if s.Cert, err = secrets.KeyPair(o.FS, filepath.Join(s.dir, tlsName), o.Names); err != nil {
		return err
	}
	if s.Store, err = filestore.OpenFS(s.dir, o.FS); err != nil {
		return err
	}
	if err := s.openAuthority(o.FS); err != nil {
		return err
	}
	fsys, err := s.arrayFS()
	if err != nil {
		return err
	}
	s.Array, err = filearray.Open(fsys, filearray.OpenOptions{Logger: o.Logger})
	return err
}

// openAuthority makes the authority of a folder that never had one: of a new
// one, or of one from before there were authorities.
func (s *Folder) openAuthority(fsys atomicfile.FS) error {
	dir := filepath.Join(s.dir, authorityName)
	issued, err := s.Store.Credentials().List()
	if err != nil {
		return err
	}
	if !secrets.HasAuthority(dir) && len(issued) == 0 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fault.New(fault.Failed, "cannot create a folder in the state folder: %w", err)
		}
		if err := secrets.CreateAuthority(fsys, dir); err != nil {
			return err
		}
		if err := atomicfile.SyncDir(fsys, s.dir); err != nil {
			return fault.New(fault.Failed, "cannot sync %s: %w", s.dir, err)
		}
	}
	s.Authority, err = secrets.OpenAuthority(dir)
	return err
}

// initialise adds the first user and the identity to a new folder.
func (s *Folder) initialise(ctx context.Context, o Opening) (identity, error) {
	var random [8]byte
	rand.Read(random[:]) // never fails, see its documentation
	id := identity{hex.EncodeToString(random[:]), time.Now().UTC()}
	users, err := s.Store.Users().List()
	if err != nil {
		return id, err
	}
	if len(users) == 0 {
		first, err := access.New(s.Store.Users(), o.Cost).FirstUser(ctx)
		if err != nil {
			return id, err
		}
		if err := s.Store.Users().Create(first); err != nil {
			return id, err
		}
	}
	return id, filestore.SaveFile(o.FS, filepath.Join(s.dir, identityName), identityWord, id)
}

// Close gives back what open took, as far as it got.
func (s *Folder) Close() error {
	var errs []error
	if s.Array != nil {
		errs = append(errs, s.Array.Close())
	}
	if s.Store != nil {
		errs = append(errs, s.Store.Close())
	}
	return errors.Join(append(errs, s.lock.Release())...)
}

// CertificateNames are the names under which clients reach the server: its
// own, those of the loopback, and the listening address or, where that is
// every address, all of the machine's.
func CertificateNames(listen string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && isDNSName(host) {
		names = append(names, host)
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return names
	}
	host = notation.WithoutZone(host)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		names = append(names, machineAddresses()...)
	} else if ip != nil || isDNSName(host) {
		names = append(names, host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func machineAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // fewer names in the certificate are no reason not to start
	}
	var names []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			names = append(names, n.IP.String())
		}
	}
	return names
}

func isDNSName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	return s != "" && len(s) <= 253 && strings.Trim(s, allowed) == ""
}
