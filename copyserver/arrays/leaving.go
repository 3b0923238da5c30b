package arrays

import "copyservices/arrayclient/fault"

// stopCalls lets no more calls in, unless some change something.
func (m *member) stopCalls() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.leaving:
		return m.removed()
	case m.held > 0:
		return fault.New(fault.Busy, "array %s is at work, or volumes of it are open", m.id).
			WithHint("remove it when that has ended")
	}
	m.leaving = true
	return nil
}

// letCalls lets them in again.
func (m *member) letCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = false
}

// refuseCalls lets no more calls in, whatever goes on.
func (m *member) refuseCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = true
}

// close ends the calls on their way and closes the array when they have. No more are
// let in.
func (m *member) close() {
	m.end()
	m.calls.Wait()
	if err := m.array.Close(); err != nil {
		m.Logger.Error("cannot close an array", "array", m.id.String(), "error", err)
	}
}

// hold keeps the array from being removed until release is called.
func (m *member) hold() (release func(), err error) {
	if m.Added == nil {
		return func() {}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return nil, m.removed()
	}
	m.beginLocked(true)
	return func() { m.leave(true) }, nil
}
