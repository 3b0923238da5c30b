package filearray

import (
	"cmp"
	"path"
)

// checkSession holds the session that a file began against the meta file.
func (l *loaded) checkSession(name string, begun uint64) error {
	session := l.state.Session
	switch {
	case session == 0: // of a program that noted none
		return nil
	case begun < session:
		return errRestored(name, metaName(l.gen))
	case begun > session && begun != openingAfter(l.gen):
		return l.metaTooOld(name)
	}
	return nil
}

// metaTooOld is the error for a meta file that is older than another file.
func (l *loaded) metaTooOld(name string) error {
	return cmp.Or(l.stale, errRestored(metaName(l.gen), name))
}

// checkGeneration holds the folder of volumes against the meta file.
func (l *loaded) checkGeneration() error {
	f, err := l.fsys.Open(generationName)
	if isNotExist(err) && l.state.Session == 0 {
		return nil
	}
	if isNotExist(err) {
		return corrupt(generationName, "it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := readHeader(f, generationName, 0, magicGen, l.serial)
	if err != nil {
		return err
	}
	l.durable = h.id
	if h.id > l.gen {
		return l.missingMeta(h.id)
	}
	return l.checkSession(generationName, h.length)
}

// checkUIDs looks for files of volumes that were made after the meta file and what
// the journals say.
func (l *loaded) checkUIDs() error {
	names, err := l.fsys.List(volumeDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, uid, ok := parseSegmentName(name)
		if name = path.Join(volumeDir, name); ok && uid >= l.state.NextUID && !l.unfinished(name) {
			return l.metaTooOld(name)
		}
	}
	return nil
}

// beginSession notes that opening gen has begun, durably.
func (l *loaded) beginSession(gen uint64) error {
	if err := l.journal.beginSession(l.serial, gen); err != nil {
		return err
	}
	if err := l.fsys.Mkdir(generationDir); err != nil {
		return err
	}
	f, err := l.fsys.Open(generationName)
	if isNotExist(err) {
		f, err = l.fsys.Create(generationName)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := header{magic: magicGen, id: l.durable, length: gen, serial: l.serial}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	return cmp.Or(f.Sync(), l.fsys.SyncDir(volumeDir), l.fsys.SyncDir(generationDir))
}

// noteDurable notes that meta file gen is durable. Nobody waits for that.
func (a *Array) noteDurable(gen, session uint64) {
	f, err := a.fsys.Open(generationName)
	if err == nil {
		defer f.Close()
		h := header{magic: magicGen, id: gen, length: session, serial: a.serial}
		_, err = f.WriteAt(h.encode(), 0)
	}
	if err != nil {
		a.log.Warn("the generation is not noted", "error", err)
	}
}
