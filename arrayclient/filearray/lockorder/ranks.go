package lockorder

// The locks of an array in the order in which they are taken; package filearray tells
// what each guards.
type (
	// Acts is the rank of Array.acts.
	Acts struct{}
	// Gate is the rank of the gates of volumes. An act locks those of all its volumes,
	// in the order of their ids.
	Gate struct{}
	// Tracks is the rank of tracks that are being copied.
	Tracks struct{}
	// Files is the rank of the files of volumes, while no gate is held.
	Files struct{}
	// Recycling is the rank of the contents of write logs.
	Recycling struct{}
	// Log is the rank of the indexes of write logs.
	Log struct{}
	// Committer is the rank of the journal: of who waits until something is in it.
	Committer struct{}
	// Maps is the rank of Array.mu.
	Maps struct{}
	// State is the rank of the state of package records.
	State struct{}
)

// The places of the ranks.
func (Acts) Place() int      { return 1 }
func (Gate) Place() int      { return 2 }
func (Tracks) Place() int    { return 3 }
func (Files) Place() int     { return 4 }
func (Recycling) Place() int { return 5 }
func (Log) Place() int       { return 6 }
func (Committer) Place() int { return 7 }
func (Maps) Place() int      { return 8 }
func (State) Place() int     { return 9 }

func (Acts) String() string      { return "Array.acts" }
func (Gate) String() string      { return "volume.gate" }
func (Tracks) String() string    { return "volume.tracks" }
func (Files) String() string     { return "volume.files" }
func (Recycling) String() string { return "Log.recycling" }
func (Log) String() string       { return "Log.mu" }
func (Committer) String() string { return "committer" }
func (Maps) String() string      { return "Array.mu" }
func (State) String() string     { return "Store.stateMu" }

// Many makes Gate a rank of which one goroutine may hold several.
func (Gate) Many() {}
