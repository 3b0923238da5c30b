package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"copyservices/arrayclient/fault"
)

// Run runs a body as the service of that name, in a process that the service
// manager started, and returns its exit code. The body logs to the event log that
// it is made with, which is nil where there is none.
func Run(name string, makeBody func(Events) Body) (int, error) {
	var events Events
	if log, err := eventlog.Open(name); err == nil {
		defer log.Close()
		events = eventLog{log}
	}
	h := &handler{body: makeBody(events)}
	err := svc.Run(name, h)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return 0, fault.New(fault.Usage, "only the service manager starts a service").
			WithHint("use: sc start %s", name)
	}
	if err != nil {
		return 0, fault.New(fault.Failed, "the service manager does not answer: %w", err)
	}
	return h.code, nil
}

// eventLog is the application log. The numbers of its events are those that the
// commands have: 1 information, 2 warning, 3 error.
type eventLog struct{ log *eventlog.Log }

func (l eventLog) Put(level slog.Level, text string) error {
	switch {
	case level >= slog.LevelError:
		return l.log.Error(3, text)
	case level >= slog.LevelWarn:
		return l.log.Warning(2, text)
	}
	return l.log.Info(1, text)
}

type handler struct {
	body Body
	code int
}

// Execute is called by package svc. An exit code that is not 0 counts as a
// failure, after which the service manager starts the service again.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest,
	changes chan<- svc.Status) (bool, uint32) {
	controls := make(chan control)
	go func() {
		for r := range requests {
			switch r.Cmd {
			case svc.Interrogate:
				controls <- report
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				controls <- stop
			}
		}
	}()
	h.code = supervise(context.Background(), h.body, controls, func(s State) { changes <- status(s) })
	return true, uint32(h.code)
}

// How long the service may take: to open large arrays, and to end.
const (
	startPatience = 10 * time.Minute
	stopPatience  = 30 * time.Second
)

func status(s State) svc.Status {
	switch s {
	case Running:
		return svc.Status{State: svc.Running,
			Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown}
	case Stopping:
		return svc.Status{State: svc.StopPending, WaitHint: uint32(stopPatience.Milliseconds())}
	}
	return svc.Status{State: svc.StartPending, WaitHint: uint32(startPatience.Milliseconds())}
}

// Install registers a service that starts with Windows, but does not start it
// now, and its source in the event log. It needs an administrator's rights.
// When it fails it has undone what it did, except for the folder.
func Install(s Spec) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	if there, err := m.OpenService(s.Name); err == nil {
		there.Close()
		return inWords(s.Name, windows.ERROR_SERVICE_EXISTS)
	}
	made, err := m.CreateService(s.Name, s.Program, mgr.Config{
		DisplayName: s.Display, Description: s.Description,
		StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
		ServiceStartName: account(s.Name),
	}, s.Args...)
	if err != nil {
		return inWords(s.Name, err)
	}
	defer made.Close()
	if err := complete(made, s); err != nil {
		return errors.Join(inWords(s.Name, err), made.Delete())
	}
	return nil
}

func complete(made *mgr.Service, s Spec) error {
	again := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 2 * time.Second}}
	const oneDay = 24 * 60 * 60 // seconds, after which failures are forgotten
	if err := made.SetRecoveryActions(again, oneDay); err != nil {
		return fmt.Errorf("cannot have the service started again after a failure: %w", err)
	}
	// Wine, for one, tells only of crashes; then only after those.
	err := made.SetRecoveryActionsOnNonCrashFailures(true)
	if err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return fmt.Errorf("cannot have the service started again after a failure: %w", err)
	}
	if err := protect(s.Folder, s.Name); err != nil {
		return fmt.Errorf("cannot keep others out of %s: %w", s.Folder, err)
	}
	// One that an earlier installation left is replaced.
	_ = eventlog.Remove(s.Name)
	if err := eventlog.InstallAsEventCreate(s.Name,
		eventlog.Info|eventlog.Warning|eventlog.Error); err != nil {
		return fmt.Errorf("cannot register the source of events: %w", err)
	}
	return nil
}

// protect makes the folder and lets in the service and nobody else but
// administrators.
func protect(folder, name string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	descriptor, err := windows.SecurityDescriptorFromString(folderRights(name))
	if err != nil {
		return err
	}
	rights, _, err := descriptor.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(folder, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION,
		nil, nil, rights, nil)
}

// Remove stops the service, waits for its end, and takes it and its source of
// events away. Its folder stays. It needs an administrator's rights.
func Remove(name string) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if err != nil {
		return inWords(name, err)
	}
	defer s.Close()
	if err := stopAndWait(s, name); err != nil {
		return err
	}
	if err := s.Delete(); err != nil {
		return inWords(name, err)
	}
	if err := eventlog.Remove(name); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fault.New(fault.Failed, "the service is removed, its source of events is not: %w", err)
	}
	return nil
}

func stopAndWait(s *mgr.Service, name string) error {
	now, err := s.Control(svc.Stop)
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return nil
	}
	end := time.Now().Add(stopPatience)
	for err == nil && now.State != svc.Stopped {
		if time.Now().After(end) {
			return fault.New(fault.TimedOut, "the service %s does not stop", name).
				WithHint("look into the event log; nothing was removed")
		}
		time.Sleep(100 * time.Millisecond)
		now, err = s.Query()
	}
	if err != nil {
		return inWords(name, err)
	}
	return nil
}

func connect() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, inWords("manager", err)
	}
	return m, nil
}

// inWords gives an error of the service manager its kind.
func inWords(name string, err error) error {
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return fault.New(fault.Denied, "the service manager refuses: %w", err).
			WithHint("run this in an administrator's prompt")
	case errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST):
		return fault.New(fault.NotFound, "there is no service %s", name)
	case errors.Is(err, windows.ERROR_SERVICE_EXISTS),
		errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
		return fault.New(fault.Failed, "there is a service %s already", name).
			WithHint("remove it first: %s service remove", name)
	}
	return fault.New(fault.Failed, "the service %s: %w", name, err)
}
