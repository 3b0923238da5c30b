package filearray

import (
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/lockorder"
)

// The locks in the order in which they are taken; doc.go has what each guards.
type (
	actsRank      struct{}
	gateRank      struct{}
	filesRank     struct{}
	tracksRank    struct{}
	recyclingRank struct{}
	stageRank     struct{}
	committerRank struct{}
	arrayRank     struct{}
	stateRank     struct{}
)

func (actsRank) Place() int      { return 1 }
func (gateRank) Place() int      { return 2 }
func (filesRank) Place() int     { return 4 }
func (tracksRank) Place() int    { return 3 }
func (recyclingRank) Place() int { return 5 }
func (stageRank) Place() int     { return 6 }
func (committerRank) Place() int { return 7 }
func (arrayRank) Place() int     { return 8 }
func (stateRank) Place() int     { return 9 }

func (actsRank) String() string      { return "Array.acts" }
func (gateRank) String() string      { return "volume.gate" }
func (filesRank) String() string     { return "volume.files" }
func (tracksRank) String() string    { return "volume.tracks" }
func (recyclingRank) String() string { return "stage.recycling" }
func (stageRank) String() string     { return "stage.mu" }
func (committerRank) String() string { return "committer" }
func (arrayRank) String() string     { return "Array.mu" }
func (stateRank) String() string     { return "Array.stateMu" }

// Many: an act locks the gates of all its volumes, in the order of their ids.
func (gateRank) Many() {}

// tracksLock locks tracks of a volume while they are copied.
type tracksLock struct {
	bitmap.RangeLock
	order lockorder.Ranges[tracksRank]
}

func (l *tracksLock) Lock(first, n int64) {
	l.order.Take()
	l.RangeLock.Lock(first, n)
}

func (l *tracksLock) Unlock(first, n int64) {
	l.RangeLock.Unlock(first, n)
	l.order.Release()
}
