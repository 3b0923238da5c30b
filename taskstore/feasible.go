package taskstore

import (
	"copyservices/arrayclient/fault"
)

// Feasible refuses a task that no array could ever carry out, whatever its volumes
// are: one that copies a volume onto itself, or whose pairs collide with each
// other. t is valid. Tasks that were stored before are not held against this: they
// are refused when they are run. The error is of kind Usage.
func (t Task) Feasible() error {
	f := feasible{sources: map[string]bool{}, targets: map[string]bool{}}
	for _, p := range t.Pairs {
		if err := f.add(p, t.Type == TaskEstablish); err != nil {
			return fault.New(fault.Usage, "task %q: %w", t.Name, err).
				WithHint("take that pair out, or give it another target")
		}
	}
	return nil
}

// feasible holds the ends of the pairs that were looked at.
type feasible struct{ sources, targets map[string]bool }

func (f *feasible) add(p TaskPair, establish bool) error {
	source, target := meant(p.Source), meant(p.Target)
	switch {
	case source == target:
		return fault.New(fault.Usage, "%s cannot be copied onto itself", p.Source)
	case !establish:
		return nil
	case f.targets[target]:
		return fault.New(fault.Usage, "%s is the target of two pairs", p.Target)
	case f.targets[source]:
		return fault.New(fault.Usage, "%s is both a source and a target", p.Source)
	case f.sources[target]:
		return fault.New(fault.Usage, "%s is both a source and a target", p.Target)
	}
	f.sources[source], f.targets[target] = true, true
	return nil
}

// meant is the same for two ends that certainly name one volume.
func meant(end string) string {
	e, err := ParseEndpoint(end)
	if err != nil || e.Serial != "" {
		return string(e.Serial)
	}
	return Key(e.Host) + ":" + e.Device
}
