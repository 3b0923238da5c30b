// Package lockorder gives locks a rank. Whoever holds a lock may take those of higher
// ranks and no others: then no two goroutines can wait for each other. A build with the
// tag lockorder checks that whenever a lock is taken and panics where it is not so,
// which tests want; in any other build the locks are those of package sync and cost the
// same.
package lockorder

// Rank tells the place of a lock in the order. Its zero value is used, so it is best an
// empty struct.
type Rank interface {
	// Place is higher for locks that are taken later.
	Place() int
	// String is the name of the lock, for messages.
	String() string
}

// Many is a rank of which one goroutine may hold several locks for writing.
type Many interface {
	Rank
	Many()
}
