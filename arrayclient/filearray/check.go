package filearray

import (
	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/segments"
)

// Check reads all that describes the array and returns what is wrong with it,
// nothing for a sound one. It changes nothing; the array must not be open. A
// meta file that a crash cut short is sound: the other one and the journals
// hold all that it would.
func Check(fsys disk.FS) []error {
	l, err := recovery.Load(fsys)
	if err != nil {
		return []error{err}
	}
	defer l.Close()
	var problems []error
	folder := segments.NewFolder(fsys, l.Serial, nil)
	for _, id := range sortedKeys(l.State.Volumes) {
		rec := l.State.Volumes[id]
		files, err := folder.Open(rec, l.State)
		if err == nil {
			a := &Array{fsys: fsys, serial: l.Serial, state: l.State, folder: folder}
			err = a.newVolume(rec, files).log.Check()
			segments.CloseFiles(files)
		}
		if ofVolume(err) {
			err = lostVolume(arrayclient.MakeSerial(id, l.Serial), err)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return append(problems, l.Problems()...)
}
