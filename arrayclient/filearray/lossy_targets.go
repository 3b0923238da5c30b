//go:build lossy_targets

package filearray

// This build is for lab/powerloss only; see lossless.go.
const (
	syncsTargets = false
	syncsVolumes = true
)
