package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"copyservices/arrayclient"
)

// verifier looks at what crashes leave.
type verifier struct {
	program string
	work    string // folder for all it needs
	fs      fileSystem
	lives   []*life
	again   *writeLog // of the recovery, for a second crash
	checked int       // volumes
}

// bad is something that a crash must not leave.
type bad struct {
	what   string
	volume string // its serial, if it is about one
	block  int    // and about a block
	token  token  // of what should be there
	found  token
}

// seen is what one look at a rebuilt disk found.
type seen struct {
	bad     []bad
	content map[uint32][]token // of all volumes, by id
}

func (s *seen) add(format string, args ...any) {
	s.bad = append(s.bad, bad{what: fmt.Sprintf(format, args...)})
}

// look lets the file system and copyserver recover the disk, reads everything
// and compares. The disk changes. An error means that the harness failed.
func (v *verifier) look(ctx context.Context, o *overlay, position int) (*seen, error) {
	if err := v.again.reset(); err != nil {
		return nil, err
	}
	result := &seen{content: map[uint32][]token{}}
	m, err := plug(ctx, &device{size: diskSize, store: o, log: v.again}, v.work)
	if err != nil {
		return nil, err
	}
	defer m.unplug()
	if err := v.fs.mountOn(ctx, m.disk, m.dir); err != nil {
		result.add("the file system does not come up: %v", err)
		return result, ctx.Err()
	}
	if err := v.open(ctx, filepath.Join(m.dir, stateName), position, result); err != nil {
		m.unmount()
		return nil, err
	}
	m.shutDown()
	return result, m.unmount()
}

// stateName is the state folder on the disk.
const stateName = "state"

// open checks the state folder, starts a server on it and compares.
func (v *verifier) open(ctx context.Context, state string, position int, result *seen) error {
	limited, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	out, err := exec.CommandContext(limited, v.program, "check", "--state", state).CombinedOutput()
	if err != nil {
		result.add("check: %v: %s", err, strings.TrimSpace(string(out)))
	}
	base := filepath.Join(v.work, "verify")
	os.Remove(base + ".log")
	s, err := startServer(ctx, v.program, state, base)
	if err != nil {
		result.add("%v", err)
		return ctx.Err()
	}
	defer s.kill()
	list, err := s.client.Relationships(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.State == arrayclient.StateFailed {
			result.add("relationship %s:%s failed: %s", r.Source, r.Target, r.Reason)
		}
	}
	return v.compare(ctx, s, position, result)
}

// compare reads all volumes that may be there and compares them.
func (v *verifier) compare(ctx context.Context, s *server, position int, result *seen) error {
	list, err := s.client.Volumes(ctx)
	if err != nil {
		return err
	}
	there := map[arrayclient.Serial]bool{}
	for _, vol := range list {
		there[vol.Serial] = true
		if vol.Failed != "" {
			result.add("volume %s failed: %s", vol.Serial, vol.Failed)
		}
	}
	doubts := map[*act]*doubt{}
	for id, l := range v.livesAt(position) {
		serial := arrayclient.MakeSerial(uint16(id), arraySerial)
		switch {
		case l == nil && there[serial]:
			result.add("volume %s is there, and was deleted or not yet created", serial)
		case l == nil:
		case !there[serial] && !l.created.uncertain(position) && !l.erased.uncertain(position):
			result.add("volume %s is not there", serial)
		case there[serial]:
			if err := v.compareVolume(s, serial, l, position, result, doubts); err != nil {
				return err
			}
		}
	}
	for a, d := range doubts {
		if len(d.undone) > 0 && len(d.done) > 0 {
			result.add("a crash in the middle of %s (positions %d to %d) left a part of it", a.name, a.from, a.to)
			result.bad = append(result.bad, d.undone[0], d.done[0])
		}
	}
	return nil
}

// livesAt returns which life of each volume a crash at the position may leave.
func (v *verifier) livesAt(position int) map[uint32]*life {
	out := map[uint32]*life{}
	for _, l := range v.lives {
		if _, ok := out[l.id]; !ok {
			out[l.id] = nil
		}
		if l.created.from < position && position < l.erased.to {
			out[l.id] = l
		}
	}
	return out
}

// doubt is what speaks against a cut off act having been done, and against it
// not having been.
type doubt struct{ done, undone []bad }

// compareVolume compares what a server has of a volume.
func (v *verifier) compareVolume(
	s *server, serial arrayclient.Serial, l *life, position int, result *seen, doubts map[*act]*doubt,
) error {
	c, err := attach(s.nbd, string(serial))
	if err != nil {
		return err
	}
	defer c.close()
	content := make([]token, 0, len(l.blocks))
	var undone, done []bad
	cut := l.cutOff(position)
	err = c.readPages(func(block int, page []byte) {
		t, at, whole := readPage(page)
		content = append(content, t)
		verdict := func(want []token) (bad, bool) {
			good := whole && (t == zeros || int(at.block) == block) &&
				(want == nil || slices.Contains(want, t))
			if good {
				return bad{}, true
			}
			return bad{fmt.Sprintf("volume %s block %d: expected %s, found %s",
				serial, block, describeTokens(want), describePage(page)), string(serial), block, last(want), t}, false
		}
		if b, good := verdict(l.possible(block, position, false)); !good {
			undone = append(undone, b)
		}
		if cut != nil {
			if b, good := verdict(l.possible(block, position, true)); !good {
				done = append(done, b)
			}
		}
	})
	result.content[l.id] = content
	v.checked++
	if err != nil || cut == nil {
		result.bad = append(result.bad, undone...)
		return err
	}
	d := doubts[cut]
	if d == nil {
		d = &doubt{}
		doubts[cut] = d
	}
	d.undone, d.done = append(d.undone, undone...), append(d.done, done...)
	return nil
}

func last(list []token) token {
	if len(list) == 0 {
		return zeros
	}
	return list[len(list)-1]
}

// crashAgain loses the power at a random moment of the recovery that look did on
// first, a disk that it did not change. It returns the disk.
func (v *verifier) crashAgain(first *overlay, rnd *rand.Rand) (*overlay, string, error) {
	position := rnd.IntN(len(v.again.entries) + 1)
	how := loss(rnd.IntN(int(losses)))
	o := first.clone()
	safe := v.again.lastFlush(position)
	err := v.again.replay(o, 0, safe, keepAll)
	if err == nil {
		err = v.again.replay(o, safe, position, how.keeps(rnd))
	}
	return o, fmt.Sprintf("again at %d of %d entries of the recovery, %s",
		position, len(v.again.entries), how), err
}

// compareLooks finds what changed by a second crash.
func compareLooks(before, after *seen) {
	for id, was := range before.content {
		is := after.content[id]
		for block := range min(len(was), len(is)) {
			if was[block] != is[block] {
				after.bad = append(after.bad, bad{fmt.Sprintf(
					"volume %03X block %d: the second crash made write %d of write %d",
					id, block, is[block], was[block]), "", block, was[block], is[block]})
				break
			}
		}
		if len(was) != len(is) {
			after.add("volume %03X: the second crash made %d blocks of %d", id, len(is), len(was))
		}
	}
}
