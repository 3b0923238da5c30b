// Package arraystest has arrays for tests of what is over the registry of arrays: those
// that hang, fail or are slow when a test says so.
package arraystest

import (
	"context"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Mood is what an Away does with a call.
type Mood int

// The moods.
const (
	Answering Mood = iota
	Hanging        // until the context of the call ends
	Stuck          // until another mood is set, whatever becomes of the context
	Refusing       // with an error of kind Connection
	Failing        // with one of kind Failed
)

// Away is an array in front of another one, which it lets through to by its mood.
type Away struct {
	arrayclient.Array
	inner arrayclient.Array

	mu     sync.Mutex
	mood   Mood
	slow   time.Duration
	other  chan struct{} // closed when another mood is set
	inside int           // calls on their way
	closed int
	late   bool // a call was on its way, or came, when it was closed
}

// New returns an Away in front of inner that answers.
func New(inner arrayclient.Array) *Away {
	a := &Away{inner: inner, other: make(chan struct{})}
	a.Array = arrayclient.Around(inner, a.through)
	return a
}

// Open returns the Away, as one that drives it would.
func (a *Away) Open(context.Context) (arrayclient.Array, error) { return a, nil }

// Unwrap returns the array that the calls go through to.
func (a *Away) Unwrap() arrayclient.Array { return a.Array }

// Set changes the mood.
func (a *Away) Set(m Mood) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mood = m
	close(a.other)
	a.other = make(chan struct{})
}

// Slow makes every call take d longer.
func (a *Away) Slow(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow = d
}

// Close closes the array behind.
func (a *Away) Close() error {
	a.mu.Lock()
	a.closed++
	a.late = a.late || a.inside > 0
	a.mu.Unlock()
	return a.inner.Close()
}

// Inside returns how many calls are on their way.
func (a *Away) Inside() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inside
}

// Closed returns how often it was closed, and whether a call was on its way then or came
// afterwards.
func (a *Away) Closed() (times int, late bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed, a.late
}

func (a *Away) enter() (Mood, time.Duration, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside++
	a.late = a.late || a.closed > 0
	return a.mood, a.slow, a.other
}

func (a *Away) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside--
}

func (a *Away) through(
	ctx context.Context, call arrayclient.Call, do func(context.Context) error,
) error {
	mood, slow, other := a.enter()
	defer a.leave()
	switch mood {
	case Hanging:
		<-ctx.Done()
		return ctx.Err()
	case Stuck:
		<-other
		return fault.New(fault.Failed, "%s was stuck", call.Name)
	case Refusing:
		return fault.New(fault.Connection, "192.0.2.5: connection refused")
	case Failing:
		return fault.New(fault.Failed, "%s does not work", call.Name)
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	return do(ctx)
}
