package arrays

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Limits are how long an array gets. None may be zero.
type Limits struct {
	Read time.Duration // for a call that changes nothing
	Act  time.Duration // for one that does
	// Retry is the pause before an array that did not answer is asked again. It doubles
	// up to Read.
	Retry time.Duration
}

// DefaultLimits are those of an array that is reached over a network.
func DefaultLimits() Limits {
	return Limits{Read: 10 * time.Second, Act: 2 * time.Minute, Retry: 500 * time.Millisecond}
}

func (l Limits) of(call arrayclient.Call) time.Duration {
	if call.Reads {
		return l.Read
	}
	return l.Act
}

// State is whether an array answers.
type State struct {
	Answers bool
	Since   time.Time // of the change to that; zero for an array that always does
	Reason  string    // why it does not
}

// Added is an array that the server reaches over a network, and that may be away.
type Added struct {
	// ID is what the array said that it is when it was registered.
	ID arrayclient.ArrayID
	// Driver is the word for what drives it.
	Driver string
	// Open returns the array, which the Registry closes. It is called again until it
	// does; one that cannot be reached may also return an error later, in its acts.
	Open   func(context.Context) (arrayclient.Array, error)
	Limits Limits
	Logger *slog.Logger
}

// member is an array of a Registry.
type member struct {
	id    arrayclient.ArrayID
	array arrayclient.Array // as callers get it

	// What follows is for an array that was added. Others are always there, and take
	// the time they need.
	*Added
	asked chan struct{}   // closed when the array was asked who it is for the first time
	alive context.Context // ends when the array is removed
	end   context.CancelFunc
	calls sync.WaitGroup // of calls on their way, and of who asks a silent array again

	question <-chan identity // that has no answer yet; of who asks the array again

	mu      sync.Mutex
	opened  arrayclient.Array // nil until it is
	state   State
	last    arrayclient.Properties // when it answered
	leaving bool                   // no more calls
	held    int                    // by calls on their way that change something, and open volumes
}

// newMember has the array asked who it is at once.
func newMember(a Added) *member {
	m := &member{id: a.ID, Added: &a, asked: make(chan struct{})}
	m.alive, m.end = context.WithCancel(context.Background())
	m.last = arrayclient.Properties{ID: a.ID, Driver: a.Driver}
	m.array = arrayclient.AroundLater(m.behind, m.through)
	m.state = State{Since: time.Now().UTC(), Reason: "it has not been asked yet"}
	m.calls.Go(func() {
		there := m.try()
		close(m.asked)
		if !there {
			m.askAgain()
		}
	})
	return m
}

// errLimit is the cause of the end of a call that took too long.
var errLimit = errors.New("the time limit of the array has passed")

// through carries out a call in the time that the array gets. It does not wait for a
// driver that goes on beyond that.
func (m *member) through(
	ctx context.Context, call arrayclient.Call, do func(context.Context) error,
) error {
	if err := m.enter(call); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Limits.of(call), errLimit)
	defer cancel()
	defer context.AfterFunc(m.alive, cancel)()
	result := make(chan error, 1)
	go func() {
		defer m.leave(!call.Reads)
		result <- m.guarded(ctx, do)
	}()
	select {
	case err := <-result:
		return m.outcome(ctx, call, err)
	case <-ctx.Done():
		return m.outcome(ctx, call, ctx.Err())
	}
}

// guarded makes an error of a panic, which would end the server.
func (m *member) guarded(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Server, "the driver of array %s failed: %v", m.id, p)
		}
	}()
	return do(ctx)
}

// outcome makes the error of a call that of the array, and learns from it whether the
// array answers.
func (m *member) outcome(ctx context.Context, call arrayclient.Call, err error) error {
	switch {
	case err == nil:
		return nil
	case m.alive.Err() != nil:
		return m.removed()
	case context.Cause(ctx) == errLimit && !isFault(err):
		why := fmt.Sprintf("no answer within %s", m.Limits.of(call))
		return m.silent(call, why)
	case fault.KindOf(err) == fault.Connection:
		return m.silent(call, err.Error())
	}
	return err
}

// isFault reports whether err says more than that a context has ended.
func isFault(err error) bool { return errors.As(err, new(*fault.Error)) }

// enter begins a call, unless the array was removed or is known not to answer.
func (m *member) enter(call arrayclient.Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return m.removed()
	}
	if !m.state.Answers {
		return m.silenceLocked()
	}
	m.beginLocked(!call.Reads)
	return nil
}

func (m *member) beginLocked(holds bool) {
	m.calls.Add(1)
	if holds {
		m.held++
	}
}

func (m *member) leave(holds bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if holds {
		m.held--
	}
	m.calls.Done()
}

var errRemoved = errors.New("is no longer on this server")

func (m *member) removed() error {
	return fault.New(fault.NotFound, "array %s %w", m.id, errRemoved)
}

func (m *member) silenceLocked() *fault.Error {
	return fault.New(fault.Connection, "array %s has not answered since %s: %s", m.id,
		m.state.Since.Format(time.RFC3339), m.state.Reason).
		WithHint("esscli show array %s tells when it answers again", m.id)
}

// silent notes that the array does not answer, and has it asked until it does.
func (m *member) silent(call arrayclient.Call, why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silenceSinceLocked(why)
	err := fault.New(fault.Connection, "array %s does not answer: %s", m.id, why)
	if call.Reads {
		return err.WithHint("esscli show array %s tells when it answers again", m.id)
	}
	return err.WithHint("whether it did what it was asked for (%s) is not known: look when it answers again",
		call.Name)
}

func (m *member) silenceSinceLocked(why string) {
	if !m.state.Answers || m.leaving {
		return
	}
	m.Logger.Warn("an array does not answer", "array", m.id.String(), "reason", why)
	m.state = State{Since: time.Now().UTC(), Reason: why}
	m.calls.Go(m.askAgain)
}

// askAgain asks the array until it answers.
func (m *member) askAgain() {
	for pause := m.Limits.Retry; ; pause = min(2*pause, m.Limits.Read) {
		select {
		case <-m.alive.Done():
			return
		case <-time.After(pause):
		}
		if m.try() {
			return
		}
	}
}

// try asks a silent array who it is and reports whether it answered.
func (m *member) try() bool {
	p, err := m.whoIsThere()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.state.Reason = err.Error()
		return false
	}
	m.Logger.Info("an array answers", "array", m.id.String(), "silent", time.Since(m.state.Since))
	p.Driver = m.Driver
	m.last, m.state = p, State{Answers: true, Since: time.Now().UTC()}
	return true
}

// whoIsThere asks the array past its silence. It does not wait for a driver that goes
// on beyond the time limit, nor asks it once more meanwhile. The error of another array
// at its address is an error too: what is meant for one must not reach the other.
func (m *member) whoIsThere() (p arrayclient.Properties, err error) {
	ctx, cancel := context.WithTimeout(m.alive, m.Limits.Read)
	defer cancel()
	if m.question == nil {
		m.question = m.ask(ctx)
	}
	select {
	case a := <-m.question:
		p, err, m.question = a.Properties, a.error, nil
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = fault.New(fault.Connection, "no answer within %s", m.Limits.Read)
	case err == nil && p.ID != m.id:
		err = fault.New(fault.Connection, "array %s answers in its place", p.ID)
	}
	return p, err
}

// identity is what an array answers that is asked who it is.
type identity struct {
	arrayclient.Properties
	error
}

func (m *member) ask(ctx context.Context) <-chan identity {
	answer := make(chan identity, 1)
	m.calls.Go(func() {
		var a identity
		a.error = m.guarded(ctx, func(ctx context.Context) (err error) {
			if err := m.open(ctx); err != nil {
				return err
			}
			a.Properties, err = m.behind().Properties(ctx)
			return err
		})
		answer <- a
	})
	return answer
}

// behind returns the array, nil until it is open.
func (m *member) behind() arrayclient.Array {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

// open opens the array if it is not open.
func (m *member) open(ctx context.Context) error {
	if m.behind() != nil {
		return nil
	}
	array, err := m.Open(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened = array
	return nil
}

// there returns the error of an array that does not answer.
func (m *member) there() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Added == nil || m.state.Answers {
		return nil
	}
	return m.silenceLocked()
}
