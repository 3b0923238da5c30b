package nbd

import "sync"

// parts is a write that is carried out in parts, which may be at work side by
// side. The last to end replies for all.
type parts struct {
	mu   sync.Mutex
	left int   // that have not ended, those still to be read counting as one
	err  error // of the first part that failed
}

func newParts() *parts { return &parts{left: 1} }

// add counts a part that others will follow.
func (p *parts) add() {
	p.mu.Lock()
	p.left++
	p.mu.Unlock()
}

// end takes the outcome of one part. It reports whether that was the last, and
// then also how all of them went.
func (p *parts) end(err error) (last bool, all error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.left--
	return p.left == 0, p.err
}
