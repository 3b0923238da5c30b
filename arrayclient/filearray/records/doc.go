// Package records is how an array remembers. What it knows beside the bytes of volumes
// is its state, which records make, and the bits of its relationships, which marks set.
// The Store has both in memory, in the journal, and as of the last checkpoint in the meta
// file and the bitmaps' files.
//
// A change is first written to the journal and synced, then made in memory, then answered
// (commit.go). The committer does that for all who wait at the time, so that they share
// the cost of the sync, and it alone does it: between two batches memory and journal
// agree. Then a checkpoint can be taken, which empties the journal while changes go on
// (checkpoint.go).
//
// A mark says that a target holds tracks. The data must be durable before it: whoever
// commits marks has called SyncTargets. A target that cannot be synced fails, and is never
// marked.
package records
