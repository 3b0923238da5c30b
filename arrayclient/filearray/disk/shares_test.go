package disk

import (
	"slices"
	"testing"

	"copyservices/arrayclient"
)

// shares returns whose blocks volumes may share, by volume id.
func shares(s *State) map[uint16][]uint64 {
	m := map[uint16][]uint64{}
	for id, v := range s.Volumes {
		if len(v.Shares) > 0 {
			m[id] = v.Shares
		}
	}
	return m
}

func TestWhoSharesIsNoted(t *testing.T) {
	s := NewState()
	apply := func(kind RecordType, v any) {
		t.Helper()
		if err := s.Apply(JSONRecord(kind, v)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want map[uint16][]uint64) {
		t.Helper()
		got := shares(s)
		if len(got) != len(want) {
			t.Fatalf("%s: %v, not %v", what, got, want)
		}
		for id, list := range want {
			if !slices.Equal(got[id], list) {
				t.Fatalf("%s: %v, not %v", what, got, want)
			}
		}
	}
	for id := range uint16(5) { // the uid is one more
		apply(RecVolumesCreated, []VolumeRecord{{ID: id, UID: uint64(id) + 1, Size: 1 << 20}})
	}
	establish := func(uid uint64, source, target uint16, share bool) {
		t.Helper()
		apply(RecEstablished, []RelationshipRecord{{UID: uid, Source: source, Target: target}})
		if share {
			apply(RecSharing, uid)
		}
	}
	end := func(uid uint64, outcome arrayclient.Outcome) {
		t.Helper()
		apply(RecEnded, []End{{UID: uid, Outcome: outcome}})
	}
	establish(10, 0, 1, true)
	expect("one pair", map[uint16][]uint64{0: {2}, 1: {1}})
	end(10, arrayclient.OutcomeComplete)
	expect("sharing outlives the pair", map[uint16][]uint64{0: {2}, 1: {1}})
	establish(11, 1, 2, true)
	expect("the copy of a copy", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2}})
	end(11, arrayclient.OutcomeUndefined)
	establish(12, 3, 2, false)
	expect("not shared yet", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2}})
	apply(RecSharing, 12)
	expect("two sources", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	label := *s.Volumes[2]
	label.Label, label.Shares = "label", nil
	apply(RecVolumeChanged, label)
	expect("a label", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	apply(RecReplaced, []Replacement{{Old: 12, New: &RelationshipRecord{UID: 13, Source: 3, Target: 2}}})
	end(13, arrayclient.OutcomeComplete)
	expect("a refresh copies in part", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	establish(14, 3, 2, false)
	end(14, arrayclient.OutcomeComplete)
	expect("copied all over", map[uint16][]uint64{0: {2}, 1: {1}, 2: {4}, 3: {3}})
	apply(RecVolumeDeleted, s.Volumes[0])
	expect("deleted", map[uint16][]uint64{2: {4}, 3: {3}})
}
