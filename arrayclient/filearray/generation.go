package filearray

import (
	"cmp"
	"path"

	"copyservices/arrayclient/filearray/disk"
)

// checkSession holds the session that a file began against the meta file.
func (l *loaded) checkSession(name string, begun uint64) error {
	session := l.state.Session
	switch {
	case session == 0: // of a program that noted none
		return nil
	case begun < session:
		return disk.RestoredError(name, disk.MetaName(l.gen))
	case begun > session && begun != disk.OpeningAfter(l.gen):
		return l.metaTooOld(name)
	}
	return nil
}

// metaTooOld is the error for a meta file that is older than another file.
func (l *loaded) metaTooOld(name string) error {
	return cmp.Or(l.stale, disk.RestoredError(disk.MetaName(l.gen), name))
}

// checkGeneration holds the folder of volumes against the meta file.
func (l *loaded) checkGeneration() error {
	f, err := l.fsys.Open(disk.GenerationName)
	if disk.IsNotExist(err) && l.state.Session == 0 {
		return nil
	}
	if disk.IsNotExist(err) {
		return disk.Corrupt(disk.GenerationName, "it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := disk.ReadHeader(f, disk.GenerationName, 0, disk.MagicGen, l.serial)
	if err != nil {
		return err
	}
	l.durable = h.ID
	if h.ID > l.gen {
		return l.missingMeta(h.ID)
	}
	return l.checkSession(disk.GenerationName, h.Length)
}

// checkUIDs looks for files of volumes that were made after the meta file and what
// the journals say.
func (l *loaded) checkUIDs() error {
	names, err := l.fsys.List(disk.VolumeDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, uid, ok := disk.ParseSegmentName(name)
		if name = path.Join(disk.VolumeDir, name); ok && uid >= l.state.NextUID && !l.unfinished(name) {
			return l.metaTooOld(name)
		}
	}
	return nil
}

// beginSession notes that opening gen has begun, durably.
func (l *loaded) beginSession(gen uint64) error {
	if err := l.journal.BeginSession(l.serial, gen); err != nil {
		return err
	}
	if err := l.fsys.Mkdir(disk.GenerationDir); err != nil {
		return err
	}
	f, err := l.fsys.Open(disk.GenerationName)
	if disk.IsNotExist(err) {
		f, err = l.fsys.Create(disk.GenerationName)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := disk.Header{Magic: disk.MagicGen, ID: l.durable, Length: gen, Serial: l.serial}
	if _, err := f.WriteAt(h.Encode(), 0); err != nil {
		return err
	}
	return cmp.Or(f.Sync(), l.fsys.SyncDir(disk.VolumeDir), l.fsys.SyncDir(disk.GenerationDir))
}

// noteDurable notes that meta file gen is durable. Nobody waits for that.
func (a *Array) noteDurable(gen, session uint64) {
	f, err := a.fsys.Open(disk.GenerationName)
	if err == nil {
		defer f.Close()
		h := disk.Header{Magic: disk.MagicGen, ID: gen, Length: session, Serial: a.serial}
		_, err = f.WriteAt(h.Encode(), 0)
	}
	if err != nil {
		a.log.Warn("the generation is not noted", "error", err)
	}
}
