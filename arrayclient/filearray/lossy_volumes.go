//go:build lossy_volumes && !lossy_targets

package filearray

// This build is for lab/powerloss only; see lossless.go.
const (
	syncsTargets = true
	syncsVolumes = false
)
