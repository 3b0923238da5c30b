package filearray

import (
	"slices"
	"sort"
	"sync"
)

// rangeSet is a set of tracks. The zero value is empty.
type rangeSet struct {
	mu   sync.Mutex
	list []trackRange // in order, apart from each other
}

// after returns the index of the first range that ends behind track t.
func (s *rangeSet) after(t int64) int {
	return sort.Search(len(s.list), func(i int) bool { return s.list[i].first+s.list[i].n > t })
}

func (s *rangeSet) add(first, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(first - 1)
	k, end := i, first+n
	for k < len(s.list) && s.list[k].first <= end {
		first = min(first, s.list[k].first)
		end = max(end, s.list[k].first+s.list[k].n)
		k++
	}
	s.list = slices.Replace(s.list, i, k, trackRange{first, end - first})
}

func (s *rangeSet) remove(first, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(first)
	k, end := i, first+n
	var rest []trackRange
	for ; k < len(s.list) && s.list[k].first < end; k++ {
		r := s.list[k]
		if r.first < first {
			rest = append(rest, trackRange{r.first, first - r.first})
		}
		if r.first+r.n > end {
			rest = append(rest, trackRange{end, r.first + r.n - end})
		}
	}
	s.list = slices.Replace(s.list, i, k, rest...)
}

// run returns whether track from is in the set and how many tracks from there
// on, at most limit, are alike.
func (s *rangeSet) run(from, limit int64) (in bool, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.after(from)
	if i == len(s.list) {
		return false, limit
	}
	if r := s.list[i]; r.first <= from {
		return true, min(limit, r.first+r.n-from)
	}
	return false, min(limit, s.list[i].first-from)
}
