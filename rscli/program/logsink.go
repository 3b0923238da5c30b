package program

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/result"
)

// With --log a command also keeps what it says: its errors, hints and warnings,
// what it did, and with --verbose each step; when all went well, a last line
// "done". Results of queries are not kept. Nothing is taken away from the
// standard streams.

// Values of --log; any other is the name of a file.
const (
	logToSyslog   = "syslog"
	logToEventLog = "eventlog"
)

// severity of a kept message, the worst last.
type severity int

const (
	severityDebug severity = iota
	severityInfo
	severityWarning
	severityError
)

// logTarget takes kept messages, each of one line. Its methods may be called from
// many goroutines.
type logTarget interface {
	put(s severity, text string) error
	io.Closer
}

// logSink keeps messages in a target. A nil logSink keeps nothing.
type logSink struct {
	target logTarget
	failed sync.Once
	warn   func(err error) // told about the first message that was lost
}

func (k *logSink) put(s severity, text string) {
	if k == nil {
		return
	}
	if err := k.target.put(s, text); err != nil {
		k.failed.Do(func() { k.warn(err) })
	}
}

func (k *logSink) close() {
	if k != nil {
		_ = k.target.Close() // every message is written by the time put returns
	}
}

// openLogSink opens what --log names, "" for nothing. A daemon that does not
// answer is only warned about: a copy must not fail for want of its log.
func (e *Env) openLogSink(target string, given bool) error {
	var to logTarget
	var err error
	switch {
	case !given:
		return nil
	case target == "":
		return fault.New(fault.Usage, "--log needs a value").
			WithHint("it is %s, %s or the name of a file", logToSyslog, logToEventLog)
	case target == logToSyslog:
		to, err = openSyslog(e)
	case target == logToEventLog:
		to, err = openEventLog(e)
	default:
		to, err = openLogFile(e, target)
	}
	if err != nil && fault.KindOf(err) != fault.Usage {
		e.Warn("this run is not logged: %s", err)
		return nil
	}
	if err == nil {
		e.logSink = &logSink{target: to, warn: e.warnLogLost}
	}
	return err
}

// warnLogLost does not go through warn, which would log it.
func (e *Env) warnLogLost(err error) {
	if !e.Quiet {
		fmt.Fprintf(e.Stderr, "%s: warning: the log is incomplete: %s\n", e.Name, result.OneLine(err.Error()))
	}
}

// logFile is a file that lines are appended to, each by one write, so that the
// lines of commands that run at the same time do not mix.
type logFile struct {
	file  *os.File
	name  string // of the program
	clock func() time.Time
}

// openLogFile makes the file if need be, for its owner only. It does not wait
// for the reader of a pipe.
func openLogFile(e *Env, path string) (logTarget, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fault.New(fault.Usage, "cannot open the log: %w", err)
	}
	return &logFile{f, e.Name, time.Now}, nil
}

func (l *logFile) put(s severity, text string) error {
	_, err := fmt.Fprintf(l.file, "%s %s[%d]: %s\n",
		l.clock().Format("2006-01-02T15:04:05.000Z07:00"), l.name, os.Getpid(), text)
	return err
}

func (l *logFile) Close() error { return l.file.Close() }

// kept is the handler that takes the log's records into the sink.
type kept struct {
	sink  *logSink
	least slog.Level
	attrs string
}

func (k kept) Enabled(_ context.Context, level slog.Level) bool { return level >= k.least }

func (k kept) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message + k.attrs)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(attrText(a))
		return true
	})
	k.sink.put(severityOf(r.Level), result.OneLine(text.String()))
	return nil
}

func (k kept) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		k.attrs += attrText(a)
	}
	return k
}

// WithGroup is not used by any command; names stay as they are.
func (k kept) WithGroup(string) slog.Handler { return k }

func attrText(a slog.Attr) string { return fmt.Sprintf(" %s=%q", a.Key, a.Value.String()) }

func severityOf(level slog.Level) severity {
	switch {
	case level >= slog.LevelError:
		return severityError
	case level >= slog.LevelWarn:
		return severityWarning
	case level >= slog.LevelInfo:
		return severityInfo
	}
	return severityDebug
}

// startLog makes the log that --verbose shows and --log keeps.
func (e *Env) startLog() {
	var handlers []slog.Handler
	least := slog.LevelInfo
	if e.Verbose {
		least = slog.LevelDebug
		handlers = append(handlers,
			slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: least}))
	}
	if e.logSink != nil {
		handlers = append(handlers, kept{sink: e.logSink, least: least})
	}
	if len(handlers) > 0 {
		e.Log = slog.New(slog.NewMultiHandler(handlers...))
	}
}
