package filearray

import (
	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
)

// plan checks pairs against each other and against what exists, and returns
// the records of their relationships, without uids. Array.acts or Array.mu is held.
func (c *configuration) plan(
	pairs []arrayclient.Pair, opts arrayclient.Options,
) ([]disk.RelationshipRecord, error) {
	if len(pairs) == 0 {
		return nil, fault.New(fault.Usage, "no pair is given")
	}
	p := planner{
		record: opts.Record, sources: map[*volume]int{}, targets: map[*volume]*volume{},
	}
	recs := make([]disk.RelationshipRecord, 0, len(pairs))
	for _, pair := range pairs {
		src, tgt, err := c.lookupPair(pair)
		if err != nil {
			return nil, err
		}
		if err := p.add(src, tgt); err != nil {
			return nil, err
		}
		recs = append(recs, disk.RelationshipRecord{Source: src.id, Target: tgt.id, Options: opts})
	}
	return recs, nil
}

func (c *configuration) lookupPair(p arrayclient.Pair) (src, tgt *volume, err error) {
	if src, err = c.lookup(p.Source); err != nil {
		return nil, nil, err
	}
	tgt, err = c.lookup(p.Target)
	return src, tgt, err
}

// planner holds the volumes of the pairs that were looked at before.
type planner struct {
	record  bool                // with change recording
	sources map[*volume]int     // how many targets
	targets map[*volume]*volume // of which source
}

// add holds one more pair against the rules of FlashCopy.
func (p *planner) add(src, tgt *volume) error {
	refuse := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Refused, format, args...)
	}
	if src == tgt {
		return refuse("volume %s cannot be copied onto itself", src.serial)
	}
	if of := p.targetOf(tgt); of != nil {
		return refuse("volume %s is already the target of %s", tgt.serial, of.serial).
			WithHint("%s", wayOut(tgt.target != nil))
	}
	if of := p.targetOf(src); of != nil {
		return refuse("volume %s cannot be a source: it is the target of %s", src.serial, of.serial).
			WithHint("%s", wayOut(src.target != nil))
	}
	if len(tgt.sources) > 0 || p.sources[tgt] > 0 {
		return refuse("volume %s cannot be a target: it is a source", tgt.serial).
			WithHint("%s", wayOut(len(tgt.sources) > 0))
	}
	if len(src.sources)+p.sources[src] >= arrayclient.MaxTargets {
		return refuse("volume %s has %d targets already, %s would be one too many",
			src.serial, arrayclient.MaxTargets, tgt.serial).
			WithHint("%s", wayOut(len(src.sources) > 0))
	}
	if p.record && (p.sources[src] > 0 || recordingOf(src) != nil) {
		return refuse("volume %s can have one relationship with change recording, not another to %s",
			src.serial, tgt.serial)
	}
	if tgt.data.Size < src.data.Size {
		return refuse("target %s (%d bytes) is smaller than source %s (%d bytes)",
			tgt.serial, tgt.data.Size, src.serial, src.data.Size).
			WithHint("take a target that is at least as large as its source")
	}
	if err := usable(src); err != nil {
		return refuse("source %s cannot be used: %w", src.serial, err)
	}
	if err := usable(tgt); err != nil {
		return refuse("target %s cannot be used: %w", tgt.serial, err)
	}
	p.sources[src]++
	p.targets[tgt] = src
	return nil
}

// wayOut is what to do about a pair that another one is in the way of, be it
// established or a pair of the same request.
func wayOut(established bool) string {
	if established {
		return "withdraw that relationship first, or wait until its copy is complete"
	}
	return "it collides with another pair of the same request: take one of them out"
}

// recordingOf returns the relationship with change recording whose source v is,
// or nil.
func recordingOf(v *volume) *relationship {
	for _, r := range v.sources {
		if r.changed != nil {
			return r
		}
	}
	return nil
}

// targetOf returns the source whose target v is or is about to be, or nil.
func (p *planner) targetOf(v *volume) *volume {
	if v.target != nil {
		return v.target.source
	}
	return p.targets[v]
}

// lookupRelationships finds the relationships of all pairs. Array.acts or
// Array.mu is held.
func (c *configuration) lookupRelationships(pairs []arrayclient.Pair) ([]*relationship, error) {
	if len(pairs) == 0 {
		return nil, fault.New(fault.Usage, "no pair is given")
	}
	var rels []*relationship
	for _, p := range dedupe(pairs) {
		src, tgt, err := c.lookupPair(p)
		if err != nil {
			return nil, err
		}
		if tgt.target == nil || tgt.target.source != src {
			return nil, noRelationship(p, src, tgt)
		}
		rels = append(rels, tgt.target)
	}
	return rels, nil
}

// noRelationship also looks whether the pair was named the wrong way round.
func noRelationship(p arrayclient.Pair, src, tgt *volume) error {
	err := fault.New(fault.NotFound, "no relationship %s", p)
	if src.target != nil && src.target.source == tgt {
		return err.WithHint("there is %s:%s, the other way round", p.Target, p.Source)
	}
	return err.WithHint("esscli list relationship shows those that exist")
}

// copyable returns why the copying of rels cannot be started, or nil.
func copyable(rels []*relationship) error {
	for _, r := range rels {
		rec := r.array.store.RelationshipRecord(r.uid)
		if !rec.Options.NoCopy || rec.Failed != "" {
			return fault.New(fault.Refused, "relationship %s is not a nocopy relationship", r.pair())
		}
		if err := r.lost(); err != nil {
			return fault.New(fault.Refused, "relationship %s cannot be copied: %w", r.pair(), err)
		}
	}
	return nil
}
