package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// commandTime is more than a command in a guest takes, a copy of all its disk
// included.
const commandTime = 60 * time.Second

// replay runs steps. After the first that fails it runs no more and shows nothing
// more: err says which it was, and the functions return empty results.
type replay struct {
	ctx context.Context
	*lab
	err error
}

func (r *replay) title(format string, args ...any) {
	if r.err == nil {
		r.out.say(format, args...)
	}
}

// on runs a command line in a guest.
func (r *replay) on(g *guest, format string, args ...any) string {
	if r.err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeoutCause(r.ctx, commandTime,
		fmt.Errorf("%v are over", commandTime))
	defer cancel()
	var out string
	out, r.err = g.run(ctx, fmt.Sprintf(format, args...))
	return out
}

// admin runs a command of the suite on the server's machine.
func (r *replay) admin(words ...string) string {
	if r.err != nil {
		return ""
	}
	var out string
	out, r.err = r.server.run(r.ctx, words...)
	return out
}

// require makes the replay fail where something does not hold.
func (r *replay) require(holds bool, format string, args ...any) {
	if r.err == nil && !holds {
		r.err = fmt.Errorf(format, args...)
	}
}

// until runs a step again until it says that it is done, for a while.
func (r *replay) until(what string, done func() bool) {
	for end := time.Now().Add(commandTime); r.err == nil && !done(); {
		if time.Now().After(end) {
			r.require(false, "%s: not within %v", what, commandTime)
		}
		r.sleep(200 * time.Millisecond)
	}
}

func (r *replay) sleep(d time.Duration) {
	if r.err != nil {
		return
	}
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
		r.err = context.Cause(r.ctx)
	}
}

// device returns what a guest calls a volume, from what rsList2105s printed there.
func (r *replay) device(list, serial string) string {
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) == 2 && words[1] == serial {
			return words[0]
		}
	}
	r.require(false, "rsList2105s does not list %s", serial)
	return ""
}

// sums returns the checksums of all files below a folder in a guest, by name.
func (r *replay) sums(g *guest, folder string) string {
	sums := r.on(g, "cd %s && find . -type f | sort | xargs -r sha256sum", folder)
	r.require(strings.TrimSpace(sums) != "", "%s has no files in %s", g.name, folder)
	return sums
}

// relationship is what the replay needs to know of one.
type relationship struct {
	Source, Target, State string
	OutOfSync             int64 `json:"out_of_sync_tracks"`
	Changed               int64 `json:"changed_tracks"`
}

// relationship asks the server; its JSON is not shown, but the same as a table.
func (r *replay) relationship(source, target string) relationship {
	r.admin("rsFlashCopyQuery", source)
	if r.err != nil {
		return relationship{}
	}
	var doc struct{ Relationships []relationship }
	text, _, err := r.server.exec(r.ctx, "", []string{"rsFlashCopyQuery", "--json", source})
	if err == nil {
		err = json.Unmarshal([]byte(text), &doc)
	}
	r.err = err
	for _, rel := range doc.Relationships {
		if rel.Source == source && rel.Target == target {
			return rel
		}
	}
	r.require(false, "there is no relationship %s:%s", source, target)
	return relationship{}
}

// end shuts everything down and has the server's folder checked.
func (r *replay) end() {
	r.title("The end")
	for _, g := range r.guests() {
		r.on(g, "dmesg | grep -i -E 'i/o error|aborted|remounting' && exit 1 || exit 0")
		if r.err == nil {
			r.err = g.shutDown(r.ctx)
		}
	}
	if r.err == nil {
		r.err = r.server.stop()
	}
	r.admin("copyserver", "check", "--state", r.work+"/state")
}
