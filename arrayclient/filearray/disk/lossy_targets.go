//go:build lossy_targets

package disk

// This build is for lab/powerloss only; see lossless.go.
const (
	SyncsTargets = false
	SyncsVolumes = true
)
