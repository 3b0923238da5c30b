package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
)

// Check reads everything in a state folder, which no server may have open,
// and changes nothing. It returns what is wrong, an error for each file or
// finding.
func Check(dir string) []error {
	if _, err := os.Stat(filepath.Join(dir, identityName)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fault.New(fault.NotFound, "%s is not a state folder of copyserver's", dir)
		}
		return []error{err}
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return []error{err}
	}
	errs := checkState(dir)
	if err := lock.Release(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// checkState goes on after every finding: an administrator wants the whole
// list.
func checkState(dir string) []error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	note(filestore.LoadFile(filepath.Join(dir, identityName), identityWord, new(identity)))
	note(checkKeyPair(filepath.Join(dir, tlsName)))
	stored := filestore.Check(dir)
	errs = append(errs, stored...)
	box, err := secrets.OpenBox(filepath.Join(dir, keyName))
	note(err)
	if len(stored) == 0 {
		errs = append(errs, checkStored(dir, box)...)
	}
	fsys, err := disk.OS(filepath.Join(dir, arrayName))
	note(err)
	if err == nil {
		errs = append(errs, filearray.Check(fsys)...)
	}
	return errs
}

// checkKeyPair does not let a missing pair be created.
func checkKeyPair(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, secrets.CertFile)); err != nil {
		return err
	}
	_, err := secrets.KeyPair(atomicfile.OS(), dir, nil)
	return err
}

// checkStored checks what belongs to things in the store, which is whole.
func checkStored(dir string, box *secrets.Box) []error {
	store, err := filestore.Open(dir)
	if err != nil {
		return []error{err}
	}
	defer store.Close()
	errs := checkAuthority(filepath.Join(dir, authorityName), store)
	if box != nil {
		errs = append(errs, checkSealed(store, box)...)
	}
	return errs
}

// checkAuthority finds an authority damaged, or gone after it issued
// credentials. A folder from before there were any has none.
func checkAuthority(dir string, store taskstore.Store) []error {
	issued, err := store.Credentials().List()
	if err == nil && (secrets.HasAuthority(dir) || len(issued) > 0) {
		_, err = secrets.OpenAuthority(dir)
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// checkSealed opens every stored password.
func checkSealed(store taskstore.Store, box *secrets.Box) []error {
	entries, err := store.Entries().List()
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, e := range entries {
		if _, err := box.Open(e.SealLabel(), e.Sealed); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
