// Package recovery finds out what an array was when it was last used, killed or cut off.
//
// Load reads the newer valid meta file and the bitmaps of its relationships, and replays
// the journals behind it (load.go). It changes nothing and repairs nothing: what a crash
// can leave half written is never needed. A file that was whole once and is not any more
// is an error that names it; so are meta files, journals and a folder of volumes that are
// not of one age, as after a part of a backup was put back (generation.go). What the
// files say of each other, and which of them nobody knows, is held against the state when
// somebody asks, or the array is opened (check.go).
//
// The files of volumes are none of its business: each of them may fail alone.
package recovery
