//go:build unix && !solaris && !illumos

package program

import (
	"log/syslog"

	"copyservices/arrayclient/fault"
)

// sysLog is the syslog daemon of this machine.
type sysLog struct{ w *syslog.Writer }

// openSyslog connects to the daemon, or to the socket that e names for it. The
// facility is "user": what runs a command, cron or a person, is not known.
func openSyslog(e *Env) (logTarget, error) {
	network := ""
	if e.SyslogSocket != "" {
		network = "unixgram"
	}
	w, err := syslog.Dial(network, e.SyslogSocket, syslog.LOG_USER|syslog.LOG_INFO, e.Name)
	if err != nil {
		return nil, fault.New(fault.Failed, "syslog does not answer: %w", err)
	}
	return sysLog{w}, nil
}

func (l sysLog) put(s severity, text string) error {
	switch s {
	case severityError:
		return l.w.Err(text)
	case severityWarning:
		return l.w.Warning(text)
	case severityInfo:
		return l.w.Info(text)
	}
	return l.w.Debug(text)
}

func (l sysLog) Close() error { return l.w.Close() }
