package program

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows/svc/eventlog"

	"copyservices/arrayclient/fault"
)

// eventSource is the source that the events of all commands have. Where it is not
// registered (New-EventLog -LogName Application -Source copyservices), the
// event viewer shows the text below a remark that it has no description.
const eventSource = "copyservices"

// Numbers of the events: scripts filter by them.
const (
	eventInfo = 1 + iota
	eventWarning
	eventError
)

type eventLog struct {
	log    *eventlog.Log
	prefix string
}

func openEventLog(e *Env) (logTarget, error) {
	log, err := eventlog.Open(eventSource)
	if err != nil {
		return nil, fault.New(fault.Failed, "the event log does not answer: %w", err)
	}
	return eventLog{log, fmt.Sprintf("%s[%d]: ", e.Name, os.Getpid())}, nil
}

func (l eventLog) put(s severity, text string) error {
	switch s {
	case severityError:
		return l.log.Error(eventError, l.prefix+text)
	case severityWarning:
		return l.log.Warning(eventWarning, l.prefix+text)
	}
	return l.log.Info(eventInfo, l.prefix+text)
}

func (l eventLog) Close() error { return l.log.Close() }
