//go:build !lossy_targets && !lossy_volumes

package filearray

// Two syncs can be left out of a build, with a tag for each: lab/powerloss, which
// takes the power away, must see what is lost by that, or it sees nothing.
const (
	syncsTargets = true // before the marks of what they hold
	syncsVolumes = true // at a flush
)
