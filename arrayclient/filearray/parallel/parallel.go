// Package parallel does the same for many things at a time: what waits for the disk
// waits for all of them together.
package parallel

import (
	"cmp"
	"sync"
)

// Most is how many things are done at a time.
const Most = 64

// Each calls f for all of list, Most at a time, and returns the first error.
func Each[T any](list []T, f func(T) error) error {
	return Do(len(list), func(i int) error { return f(list[i]) })
}

// Do is Each for the numbers from 0 to n-1.
func Do(n int, f func(int) error) error {
	if n == 1 {
		return f(0)
	}
	errs := make([]error, n)
	slots := make(chan struct{}, Most)
	var running sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	running.Wait()
	return cmp.Or(errs...)
}
