// Package disk is what the embedded array keeps on the disk: the file system
// that it needs of a machine, the formats of its files, and the state that they
// hold. It knows no host, lock or copy; what may be written when is up to the
// engine above it.
//
// All numbers are little endian and all checksums CRC-32C. Every file has a
// header with magic, version and checksum (format.go). The journal takes down
// each change as a record (journal.go, records.go). The state is what all records
// together make (state.go); the meta files hold it as of a checkpoint (meta.go).
// A volume's own bytes are raw in segment files (volumefile.go).
package disk
