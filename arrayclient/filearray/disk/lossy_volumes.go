//go:build lossy_volumes && !lossy_targets

package disk

// This build is for lab/powerloss only; see lossless.go.
const (
	SyncsTargets = true
	SyncsVolumes = false
)
