// Package service is what the daemon has to do with the program that keeps
// services on its system: it tells systemd how far it has come, and on Windows
// it runs under the service manager, which it can be registered with.
package service

import "context"

// State of a service, in the order in which it goes through them.
type State int

// The states that service managers are told of.
const (
	Starting State = iota
	Running
	Stopping
)

// Body is the work of a service. It returns the exit code, says how far it has
// come by calling tell, and ends soon after ctx does.
type Body func(ctx context.Context, tell func(State)) int

// Spec is a service as it is to be registered with Windows.
type Spec struct {
	Name        string // by which commands call it; also the source of its events
	Display     string // by which lists of services show it
	Description string
	Program     string   // the file, absolute
	Args        []string // with which it is started
	// Folder is made if need be, and only the service, the system and
	// administrators may enter it.
	Folder string
}

// control is what a service manager asks of a running service.
type control int

const (
	stop control = iota
	report
)

// supervise runs the body and keeps a service manager informed, through tell, of
// every state, and of the present one when it asks. It returns the body's code.
func supervise(ctx context.Context, body Body, controls <-chan control, tell func(State)) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	states, ended := make(chan State), make(chan int)
	go func() {
		code := body(ctx, func(s State) { states <- s })
		ended <- code
	}()
	now := Starting
	tell(now)
	for {
		select {
		case s := <-states:
			// A body that was told to stop may still say that it has started.
			now = max(now, s)
			tell(now)
		case c := <-controls:
			if c == stop {
				cancel()
				now = Stopping
			}
			tell(now)
		case code := <-ended:
			return code
		}
	}
}
