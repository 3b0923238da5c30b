package service

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// Events is a log of the system that takes whole messages. Its methods may be
// called from many goroutines.
type Events interface {
	Put(level slog.Level, text string) error
}

// NewHandler returns a handler that hands every record to events, as the text
// that the handler which format returns writes of it.
func NewHandler(events Events, format func(io.Writer) slog.Handler) slog.Handler {
	p := &page{events: events}
	return eventHandler{format(&p.text), p}
}

// page is where a record becomes text, one at a time.
type page struct {
	mu     sync.Mutex
	text   bytes.Buffer
	events Events
}

type eventHandler struct {
	slog.Handler
	page *page
}

func (h eventHandler) Handle(ctx context.Context, r slog.Record) error {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	h.page.text.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	return h.page.events.Put(r.Level, strings.TrimSpace(h.page.text.String()))
}

func (h eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return eventHandler{h.Handler.WithAttrs(attrs), h.page}
}

func (h eventHandler) WithGroup(name string) slog.Handler {
	return eventHandler{h.Handler.WithGroup(name), h.page}
}
