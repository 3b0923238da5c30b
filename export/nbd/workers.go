package nbd

import "sync/atomic"

// maxIdleWorkers is how many goroutines without work the server keeps.
const maxIdleWorkers = 64

// workers runs jobs of all connections on goroutines that are kept for the
// next job, so that an idle connection owns none. How many jobs run at a time
// is limited by each connection, not here.
type workers struct {
	jobs chan *job
	quit <-chan struct{} // when closed, idle goroutines end
	idle atomic.Int32
}

func newWorkers(quit <-chan struct{}) *workers {
	return &workers{jobs: make(chan *job), quit: quit}
}

// submit never waits.
func (w *workers) submit(j *job) {
	select {
	case w.jobs <- j:
	default:
		go w.work(j)
	}
}

func (w *workers) work(j *job) {
	for {
		j.run()
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.idle.Add(-1)
		case <-w.quit:
			return
		}
	}
}
