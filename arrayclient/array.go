// Package arrayclient defines what a storage array is to the rest of the
// suite: the Array interface, its words (serials, pairs, relationships,
// options) and its errors. Drivers live in subfolders and never import each
// other; package arraytest holds the rules that all of them must pass.
package arrayclient

import (
	"context"
	"io"
	"time"
)

// TrackSize is the unit of copying of the ESS in bytes: a track of an open systems
// volume. That of an array is in its Properties.
const TrackSize = 64 << 10

// MaxTargets is how many targets one source of an ESS can have at a time (IBM DS6000
// series redbook, page 78). That of an array is in its Properties.
const MaxTargets = 12

// Array is one storage system. Every method may be called from many
// goroutines at once. Errors carry a kind of package fault: NotFound for a
// volume that is not there, Refused for an operation against the rules (the
// message names the volumes), Usage for values no array would take.
// An operation that returns an error has changed nothing.
type Array interface {
	// Properties returns facts about the array. MUST NOT fail because of
	// the state of single volumes.
	Properties(ctx context.Context) (Properties, error)

	// Volumes returns all volumes ordered by serial. MUST return an empty
	// slice, not an error, where there are none.
	Volumes(ctx context.Context) ([]Volume, error)

	// CreateVolumes creates spec.Count volumes, all or none. Their content
	// MUST read as zeros.
	CreateVolumes(ctx context.Context, spec VolumeSpec) ([]Volume, error)

	// DeleteVolume deletes a volume and its content. MUST refuse one that is
	// in a relationship or in use by a host.
	DeleteVolume(ctx context.Context, serial Serial) error

	// Establish starts a relationship for every pair, or for none. When it
	// returns nil, each target MUST read as its source did at one instant
	// between call and return, also after a crash.
	Establish(ctx context.Context, pairs []Pair, opts Options) error

	// Withdraw ends the relationships of all pairs, or of none. Withdrawing
	// an incomplete copy leaves the target's content undefined; the returned
	// slice names the pairs for which that is so. MUST answer NotFound when
	// a pair has no relationship.
	Withdraw(ctx context.Context, pairs []Pair) (undefined []Pair, err error)

	// Relationships returns the established pairs ordered by source and
	// target. With serials given, only those in which one of them takes part.
	Relationships(ctx context.Context, serials ...Serial) ([]Relationship, error)

	// Close ends background work and releases the array. Relationships stay
	// and go on at the next start. MUST be idempotent.
	Close() error
}

// Resyncer is an array that can refresh targets with recorded tracks only.
type Resyncer interface {
	Resync(ctx context.Context, pairs []Pair) error
}

// Reverser is an array that can copy changes back: the target becomes the
// source.
type Reverser interface {
	Reverse(ctx context.Context, pairs []Pair) error
}

// BackgroundCopier is an array that can start the copying of a nocopy
// relationship.
type BackgroundCopier interface {
	BackgroundCopy(ctx context.Context, pairs []Pair) error
}

// RateSetter is an array whose background copying can be slowed down.
type RateSetter interface {
	// SetCopyRate bounds the background copy of pairs, or of the whole array
	// when none is given, to so many bytes a second; 0 is no bound. MUST hold
	// for copies that are running.
	SetCopyRate(ctx context.Context, bytesPerSecond int64, pairs ...Pair) error
}

// Expander is an array whose volumes can grow.
type Expander interface {
	// ExpandVolume makes a volume size bytes large; what is added MUST read as
	// zeros. MUST refuse a volume that is in a relationship, and a smaller
	// size.
	ExpandVolume(ctx context.Context, serial Serial, size int64) error
}

// Freezer is an array that can hold the writes to the sources of a
// consistency group and release them.
type Freezer interface {
	ConsistencyCreated(ctx context.Context, pairs []Pair) error
}

// Act names what a task does to the relationships of an array.
type Act string

// The acts.
const (
	ActEstablish          Act = "establish"
	ActWithdraw           Act = "withdraw"
	ActResync             Act = "resync"
	ActReverse            Act = "reverse"
	ActBackgroundCopy     Act = "background-copy"
	ActConsistencyCreated Act = "consistency-created"
)

// Rehearser is an array that can tell what it would refuse.
type Rehearser interface {
	// Rehearse returns the error with which the act would be refused now, nil
	// when it would be begun; opts are those of ActEstablish. MUST change
	// nothing. What only shows in the doing, such as a full disk, it need not
	// know.
	Rehearse(ctx context.Context, act Act, pairs []Pair, opts Options) error
}

// Thawer is an array whose freezes can all be released at once.
type Thawer interface {
	// Thaw lets the writes go on that freezes hold, and from then on no freeze
	// MUST hold any: an establish with freeze that is at work is no exception.
	// It is for the end of the server, which must not wait for writes that
	// wait. Images that were to be of one instant may then not be, which
	// ConsistencyCreated MUST NOT deny.
	Thaw()
}

// Labeler is an array whose volumes' labels can be changed.
type Labeler interface {
	// SetLabel changes the label of a volume; empty takes it away.
	SetLabel(ctx context.Context, serial Serial, label string) error
}

// Opener is an array whose volumes' content can be read and written through
// it.
type Opener interface {
	// OpenVolume returns the content of a volume as hosts see it: for a copy
	// target, the point-in-time image. Close it after use.
	OpenVolume(ctx context.Context, serial Serial) (VolumeIO, error)
}

// VolumeIO is the content of one volume. Offsets and lengths are in bytes;
// ranges beyond the end fail with io.ErrUnexpectedEOF and change nothing.
type VolumeIO interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the volume's size in bytes.
	Size() int64
	// Flush makes all writes that returned before it durable.
	Flush() error
	// Zero makes n bytes from off read as zeros, and gives their space back
	// where punch is set and the storage can.
	Zero(off, n int64, punch bool) error
	// Extents calls f, in order and without gaps, for the extents that cover
	// n bytes from off. A hole reads as zeros; what is not a hole may too.
	// It stops early when f returns false.
	Extents(off, n int64, f func(length int64, hole bool) bool) error
}

// Properties are facts about an array.
type Properties struct {
	ID         ArrayID
	Driver     string // name of the driver, "filearray" for the embedded one
	Volumes    int    // how many volumes exist
	MaxVolumes int    // how many there can be
	MaxTargets int    // how many targets one source can have at a time
	TrackSize  int64  // bytes of a track: the unit of copying, and of what is counted
	// EstimatedCounts: what Relationships tell of tracks out of sync and changed is
	// estimated, not counted. A copy is complete when its state says so, or when no
	// track is out of sync, all the same.
	EstimatedCounts bool
	Capacity        int64 // bytes of the storage underneath, 0 when not known
	Free            int64 // bytes of it still free
	CopyRate        int64 // bound of all background copying, bytes a second; 0 for none
}

// Tracks returns how many tracks a volume of that size has.
func (p Properties) Tracks(size int64) int64 { return (size + p.TrackSize - 1) / p.TrackSize }

// VolumeSpec asks for new volumes.
type VolumeSpec struct {
	Size  int64  // bytes; a multiple of 512
	Count int    // 0 means 1
	Label string // free text, may be empty
	// First is the wanted id of the first volume; the others follow it
	// without gaps. Empty: the lowest free ids.
	First string
}

// Volume describes one volume.
type Volume struct {
	Serial    Serial
	Size      int64 // bytes
	Allocated int64 // bytes of storage it occupies
	Label     string
	Created   time.Time
	// Failed is why the volume no longer takes I/O; empty for a good one.
	Failed string
	// LastCopy tells what the volume's content came from when it was last a
	// target; nil when it never was one.
	LastCopy *LastCopy
}

// LastCopy is the history of a target that outlives its relationship.
type LastCopy struct {
	Source      Serial
	Established time.Time
	Ended       time.Time // zero while the relationship exists
	// Outcome is OutcomeActive while the relationship exists and has not failed.
	Outcome Outcome
}

// Outcome is how a copy ended.
type Outcome string

// The outcomes of a copy.
const (
	OutcomeActive    Outcome = "active"    // the relationship exists
	OutcomeComplete  Outcome = "complete"  // every track was copied
	OutcomeUndefined Outcome = "undefined" // withdrawn or failed before that: the content is undefined
)

// Options of an establish, under their DS CLI meanings.
type Options struct {
	NoCopy        bool `json:"nocopy" yaml:"nocopy"`                 // -nocp: copy only tracks about to change
	Record        bool `json:"record" yaml:"record"`                 // -record: remember changed tracks; implies Persistent
	Persistent    bool `json:"persistent" yaml:"persistent"`         // -persist: stay after the copy is complete
	Freeze        bool `json:"freeze" yaml:"freeze"`                 // -freeze: hold writes to the sources
	TargetInhibit bool `json:"target_inhibit" yaml:"target_inhibit"` // -tgtinhibit: writes to the target fail
}

// State of a relationship.
type State string

// The states of a relationship.
const (
	StateCopying  State = "copying"
	StateNoCopy   State = "nocopy"
	StateComplete State = "complete" // persistent, all copied
	StateFrozen   State = "frozen"
	StateFailed   State = "failed" // the target could not take a track; the source goes on
)

// Relationship is an established pair.
type Relationship struct {
	Pair
	Options     Options
	State       State
	Tracks      int64     // of the source
	OutOfSync   int64     // tracks not yet copied
	Changed     int64     // tracks changed since, with change recording
	CopyRate    int64     // bound of its background copy, bytes a second; 0 for none
	Established time.Time // the instant of the image
	Completed   time.Time // zero while OutOfSync > 0
	// Reason of StateFailed; or what released a freeze early, such as its timeout.
	Reason string
}

// Percent is how much has been copied, 0 to 100, rounded down.
func (r Relationship) Percent() int {
	if r.Tracks == 0 {
		return 100
	}
	return int((r.Tracks - r.OutOfSync) * 100 / r.Tracks)
}
