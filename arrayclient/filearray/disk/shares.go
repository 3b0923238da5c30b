package disk

import "slices"

// partners returns the uids of the volumes whose blocks the target may share
// once it shares those of the source.
func partners(source, target *VolumeRecord) []uint64 {
	list := append(slices.Clone(source.Shares), source.UID)
	list = slices.DeleteFunc(list, func(uid uint64) bool { return uid == target.UID })
	slices.Sort(list)
	return list
}

// Shares reports whether it is noted that the target of rel may share the
// source's blocks, and those of the volumes that share them.
func (s *State) Shares(rel *RelationshipRecord) bool {
	source, target := s.Volumes[rel.Source], s.Volumes[rel.Target]
	return !slices.ContainsFunc(partners(source, target), func(uid uint64) bool {
		return !slices.Contains(target.Shares, uid)
	})
}

// share notes that the target of a relationship may share the source's blocks.
func (s *State) share(uid *uint64) {
	rel := s.Relationships[*uid]
	if rel == nil {
		return
	}
	target := s.Volumes[rel.Target]
	fresh := partners(s.Volumes[rel.Source], target)
	s.setShares(target, append(fresh, target.Shares...))
	for _, v := range s.Volumes {
		if slices.Contains(fresh, v.UID) {
			s.setShares(v, append(slices.Clone(v.Shares), target.UID))
		}
	}
}

// endSharing forgets the partners of a target that has been copied anew all
// over: what it shares, it shares with its source and the partners of that.
func (s *State) endSharing(rel *RelationshipRecord) {
	source, target := s.Volumes[rel.Source], s.Volumes[rel.Target]
	if rel.Refreshed || source == nil || target == nil || source.Size != target.Size {
		return
	}
	var rest []uint64
	if slices.Contains(target.Shares, source.UID) {
		rest = partners(source, target)
	}
	s.unshare(target, rest)
}

// unshare takes from the partners of v those that are not in rest.
func (s *State) unshare(v *VolumeRecord, rest []uint64) {
	gone := slices.DeleteFunc(slices.Clone(v.Shares), func(uid uint64) bool {
		return slices.Contains(rest, uid)
	})
	if len(gone) == 0 {
		return
	}
	without := func(v *VolumeRecord, gone ...uint64) {
		s.setShares(v, slices.DeleteFunc(slices.Clone(v.Shares), func(uid uint64) bool {
			return slices.Contains(gone, uid)
		}))
	}
	for _, other := range s.Volumes {
		if slices.Contains(gone, other.UID) {
			without(other, v.UID)
		}
	}
	without(v, gone...)
}

func (s *State) setShares(v *VolumeRecord, list []uint64) {
	changed := *v
	slices.Sort(list)
	changed.Shares = slices.Compact(list)
	s.Volumes[v.ID] = &changed
}
