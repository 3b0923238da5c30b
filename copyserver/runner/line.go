package runner

import (
	"context"
	"slices"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Runs of one task that were asked for while another goes on stand in a line,
// if their clients are ready to wait: first come, first served. A place in it
// is a run in the state queued. It is on disk, so that the order outlives the
// server, and a place is only served while a request holds it: a command that
// is gone must not find its task run.
const (
	// patience is how long the line stands still for a place whose request is
	// away: its client connects again, perhaps to a server that has just started.
	patience = 5 * time.Second
	// abandon is when such a place is given up.
	abandon = time.Minute
	// longestLine bounds what one task keeps in memory and on disk.
	longestLine = 1024
)

// place is one in the line.
type place struct {
	run    taskstore.Run
	turn   chan struct{} // of the request that holds it: closed when it may begin; nil for none
	lapsed chan struct{} // of the same: closed when another request holds it
	absent time.Time     // since when none does
	live   *live         // set with the turn
}

// hold makes the calling request the one that holds p. Runner.mu is held.
func (p *place) hold() {
	if p.lapsed != nil {
		close(p.lapsed)
	}
	p.turn, p.lapsed = make(chan struct{}), make(chan struct{})
}

// leave makes p one whose request is away, unless another holds it by now.
// Runner.mu is held.
func (p *place) leave(turn chan struct{}) {
	if p.turn == turn {
		p.turn, p.lapsed, p.absent = nil, nil, time.Now()
	}
}

// enqueue puts a new run at the end of the line of its task, and on disk.
func (r *Runner) enqueue(
	task taskstore.Task, resolved Resolved, q Request,
) (taskstore.Run, error) {
	key := taskstore.Key(task.Name)
	var run taskstore.Run
	r.mu.Lock()
	if len(r.lines[key]) >= longestLine {
		r.mu.Unlock()
		return run, fault.New(fault.Busy, "%d runs of task %s stand in line already", longestLine, task.Name)
	}
	now := time.Now().UTC()
	run = newRun(task, resolved, q, now)
	run.State, run.Queued = taskstore.RunQueued, now
	p := &place{run: run, absent: now}
	r.lines[key] = append(r.lines[key], p)
	r.note(run)
	r.mu.Unlock()
	if err := r.store.Runs().Create(run); err != nil {
		r.mu.Lock()
		r.drop(p)
		r.mu.Unlock()
		return run, err
	}
	return run, nil
}

// note makes a run known that is about to be on disk. Runner.mu is held.
func (r *Runner) note(run taskstore.Run) {
	if run.Key != "" {
		r.keys[run.Key] = run.ID
	}
	r.stored++
}

// drop takes p out of the line and forgets its run, which is no longer on
// disk. Runner.mu is held.
func (r *Runner) drop(p *place) {
	r.remove(p)
	if r.keys[p.run.Key] == p.run.ID {
		delete(r.keys, p.run.Key)
	}
	r.stored--
}

// remove takes p out of the line. Runner.mu is held.
func (r *Runner) remove(p *place) {
	key := taskstore.Key(p.run.Task)
	r.lines[key] = slices.DeleteFunc(r.lines[key], func(other *place) bool { return other == p })
	if len(r.lines[key]) == 0 {
		delete(r.lines, key)
	}
}

// placeOf returns the place of a run that stands in line, nil for another.
func (r *Runner) placeOf(run taskstore.Run) *place {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.lines[taskstore.Key(run.Task)] {
		if p.run.ID == run.ID {
			return p
		}
	}
	return nil
}

// standing returns the run that stands in line for a request with that
// idempotency key.
func (r *Runner) standing(key string) *place {
	r.mu.Lock()
	id := r.keys[key]
	r.mu.Unlock()
	run, err := r.store.Runs().Get(id)
	if key == "" || err != nil {
		return nil
	}
	return r.placeOf(run)
}

// stand waits in line with p. It returns what to execute when it is p's turn;
// nil when the request is to be sent again, because it has been held for long
// enough, its client is gone or the server stops; and an error of kind Busy when
// the client's time in line is over.
func (r *Runner) stand(ctx context.Context, p *place, q Request) (*live, error) {
	r.mu.Lock()
	p.hold()
	turn, lapsed := p.turn, p.lapsed
	r.mu.Unlock()
	r.serve(p.run.Task)
	timer := time.NewTimer(min(q.Line, taskstore.MaxWait))
	defer timer.Stop()
	select {
	case <-turn:
		return p.live, nil
	case <-timer.C:
		if q.Line <= taskstore.MaxWait {
			return r.giveUp(p, turn)
		}
	case <-lapsed:
		return nil, nil
	case <-ctx.Done():
	case <-r.stopping.Done():
	}
	l := r.stepBack(p, turn)
	if l != nil && (ctx.Err() != nil || r.stopping.Err() != nil) {
		r.giveBack(p)
		return nil, nil
	}
	return l, nil
}

// stepBack leaves p to a later request, unless it got its turn meanwhile.
func (r *Runner) stepBack(p *place, turn chan struct{}) *live {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.live == nil || p.turn != turn {
		p.leave(turn)
		return nil
	}
	return p.live
}

// giveBack puts p, which had its turn but nobody to take it, back to its place.
func (r *Runner) giveBack(p *place) {
	key := taskstore.Key(p.run.Task)
	r.mu.Lock()
	delete(r.busy, key)
	delete(r.live, p.run.ID)
	close(p.live.acted)
	p.live = nil
	p.leave(p.turn)
	r.lines[key] = slices.Insert(r.lines[key], 0, p)
	r.mu.Unlock()
	r.work.Done()
	r.serve(key)
}

// giveUp takes p out of the line, unless it got its turn meanwhile.
func (r *Runner) giveUp(p *place, turn chan struct{}) (*live, error) {
	if l := r.stepBack(p, turn); l != nil {
		return l, nil
	}
	err := r.idle(p.run.Task)
	r.discard(p)
	if err == nil {
		err = fault.New(fault.Busy, "task %s: others were first in line", p.run.Task)
	}
	return nil, err
}

// leaveLine takes p out of the line, unless it had its turn.
func (r *Runner) leaveLine(p *place) bool {
	r.mu.Lock()
	had := p.live != nil
	if !had && p.lapsed != nil {
		close(p.lapsed)
		p.turn, p.lapsed = nil, nil
	}
	r.mu.Unlock()
	if !had {
		r.discard(p)
	}
	return !had
}

// queued gives a run of an earlier process its place in line.
func (r *Runner) queued(run taskstore.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := taskstore.Key(run.Task)
	r.lines[key] = append(r.lines[key], &place{run: run, absent: time.Now()})
}

// lineUp lets the places of an earlier process be held again, in their order.
func (r *Runner) lineUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, line := range r.lines {
		slices.SortStableFunc(line, func(a, b *place) int { return a.run.Queued.Compare(b.run.Queued) })
		time.AfterFunc(patience, func() { r.serve(key) })
	}
}

// discard gives up a place and its run, which never began.
func (r *Runner) discard(p *place) {
	if err := r.store.Runs().Delete(p.run.ID); err != nil {
		r.logger.Error("cannot forget a run that stood in line", "run", p.run.ID, "error", err)
	}
	r.mu.Lock()
	r.drop(p)
	r.mu.Unlock()
	r.serve(p.run.Task)
}

// serve gives the turn to the first in the line of a task, if no run of it goes
// on. For one whose request is away the line waits a while, and then goes on
// without it.
func (r *Runner) serve(task string) {
	key := taskstore.Key(task)
	for _, p := range r.turn(key) {
		r.discard(p)
	}
}

// turn does the work of serve and returns the places that are to be given up.
func (r *Runner) turn(key string) (lost []*place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.lines[key] {
		away := time.Since(p.absent)
		switch {
		case p.turn == nil && away >= abandon:
			lost = append(lost, p)
		case r.busy[key] != nil || r.closed:
		case p.turn != nil:
			r.begins(key, p)
			return lost
		case away < patience:
			time.AfterFunc(patience-away, func() { r.serve(key) })
			return lost
		}
	}
	return lost
}

// begins gives p its turn. Runner.mu is held.
func (r *Runner) begins(key string, p *place) {
	p.live = newLive(p.run, Resolved{})
	r.work.Add(1)
	r.live[p.run.ID] = p.live
	r.busy[key] = p.live
	r.remove(p)
	close(p.turn)
}
