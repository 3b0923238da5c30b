package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// display is where the consoles are shown. It may be used by several goroutines;
// each call stays together.
type display struct {
	mu sync.Mutex
	w  io.Writer
}

func (d *display) print(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	io.WriteString(d.w, text)
}

// say prints a title.
func (d *display) say(format string, args ...any) {
	d.print(fmt.Sprintf("\n# "+format+"\n", args...))
}

// command prints a command line behind the prompt of a machine.
func (d *display) command(machine string, words ...string) {
	d.print(machine + "# " + strings.Join(words, " ") + "\n")
}
