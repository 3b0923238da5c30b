package recovery

import (
	"cmp"
	"path"

	"copyservices/arrayclient/filearray/disk"
)

// checkSession holds the session that a file began against the meta file.
func (l *Loaded) checkSession(name string, begun uint64) error {
	session := l.State.Session
	switch {
	case session == 0: // of a program that noted none
		return nil
	case begun < session:
		return disk.RestoredError(name, disk.MetaName(l.Gen))
	case begun > session && begun != disk.OpeningAfter(l.Gen):
		return l.metaTooOld(name)
	}
	return nil
}

// metaTooOld is the error for a meta file that is older than another file.
func (l *Loaded) metaTooOld(name string) error {
	return cmp.Or(l.stale, disk.RestoredError(disk.MetaName(l.Gen), name))
}

// checkGeneration holds the folder of volumes against the meta file.
func (l *Loaded) checkGeneration() error {
	f, err := l.fsys.Open(disk.GenerationName)
	if disk.IsNotExist(err) && l.State.Session == 0 {
		return nil
	}
	if disk.IsNotExist(err) {
		return disk.Corrupt(disk.GenerationName, "it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := disk.ReadHeader(f, disk.GenerationName, 0, disk.MagicGen, l.Serial)
	if err != nil {
		return err
	}
	l.durable = h.ID
	if h.ID > l.Gen {
		return l.missingMeta(h.ID)
	}
	return l.checkSession(disk.GenerationName, h.Length)
}

// checkUIDs looks for files of volumes that were made after the meta file and what
// the journals say.
func (l *Loaded) checkUIDs() error {
	names, err := l.fsys.List(disk.VolumeDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, uid, ok := disk.ParseSegmentName(name)
		if name = path.Join(disk.VolumeDir, name); ok && uid >= l.State.NextUID && !l.unfinished(name) {
			return l.metaTooOld(name)
		}
	}
	return nil
}

// BeginSession notes that opening gen has begun, durably.
func (l *Loaded) BeginSession(gen uint64) error {
	if err := l.Journal.BeginSession(l.Serial, gen); err != nil {
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
	h := disk.Header{Magic: disk.MagicGen, ID: l.durable, Length: gen, Serial: l.Serial}
	if _, err := f.WriteAt(h.Encode(), 0); err != nil {
		return err
	}
	return cmp.Or(f.Sync(), l.fsys.SyncDir(disk.VolumeDir), l.fsys.SyncDir(disk.GenerationDir))
}
