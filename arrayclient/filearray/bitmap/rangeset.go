package bitmap

import (
	"slices"
	"sort"
	"sync"
)

// RangeSet is a set of tracks. The zero value is empty.
type RangeSet struct {
	mu   sync.Mutex
	list []Range // in order, apart from each other
}

// after returns the index of the first range that ends behind track t.
func (s *RangeSet) after(t int64) int {
	return sort.Search(len(s.list), func(i int) bool { return s.list[i].First+s.list[i].N > t })
}

// Add adds n tracks, whether or not they are in the set.
func (s *RangeSet) Add(first, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(first - 1)
	k, end := i, first+n
	for k < len(s.list) && s.list[k].First <= end {
		first = min(first, s.list[k].First)
		end = max(end, s.list[k].First+s.list[k].N)
		k++
	}
	s.list = slices.Replace(s.list, i, k, Range{first, end - first})
}

// Remove removes n tracks, whether or not they are in the set.
func (s *RangeSet) Remove(first, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(first)
	k, end := i, first+n
	var rest []Range
	for ; k < len(s.list) && s.list[k].First < end; k++ {
		r := s.list[k]
		if r.First < first {
			rest = append(rest, Range{r.First, first - r.First})
		}
		if r.First+r.N > end {
			rest = append(rest, Range{end, r.First + r.N - end})
		}
	}
	s.list = slices.Replace(s.list, i, k, rest...)
}

// Run returns whether track from is in the set and how many tracks from there
// on, at most limit, are alike.
func (s *RangeSet) Run(from, limit int64) (in bool, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(from)
	if i == len(s.list) {
		return false, limit
	}
	if r := s.list[i]; r.First <= from {
		return true, min(limit, r.First+r.N-from)
	}
	return false, min(limit, s.list[i].First-from)
}
