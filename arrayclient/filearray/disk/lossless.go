//go:build !lossy_targets && !lossy_volumes

package disk

// SyncsTargets and SyncsVolumes are two syncs that can be left out of a build, with a
// tag for each: lab/powerloss, which takes the power away, must see what is lost by
// that, or it sees nothing.
const (
	SyncsTargets = true // before the marks of what they hold
	SyncsVolumes = true // at a flush
)
