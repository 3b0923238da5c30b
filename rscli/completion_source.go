package rscli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"copyservices/copyserver/api"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/notation"
)

// What the server offers for completion: it is asked for no longer than a person
// waits after pressing a key, without a word and without a question, and its
// answer, even none, holds for the next few keys.
const (
	completionPatience = time.Second
	completionLifetime = 5 * time.Second
)

// source asks the server that a command line means.
type source struct {
	ctx  context.Context
	e    *Env
	conn *connection
}

func newSource(ctx context.Context, e *Env, p Program, given parsed) *source {
	quiet := *e
	quiet.Stdin, quiet.Stderr = strings.NewReader(""), &bytes.Buffer{}
	quiet.IsTerminal = func(any) bool { return false }
	quiet.Log = slog.New(slog.DiscardHandler)
	quiet.Name = "completion"
	c := &connection{defaults: p.Defaults}
	for name, field := range map[string]*string{
		"server": &c.server, "backup-server": &c.backup, "user": &c.user, "password": &c.password,
		"password-file": &c.passwordFile, "password-command": &c.passwordCommand,
		"cacert": &c.cacert,
	} {
		*field, _ = given.value(name)
	}
	return &source{ctx, &quiet, c}
}

// get returns the candidates of a kind, from the cache where they are fresh.
func (s *source) get(k kind) []candidate {
	l, err := s.conn.settings(s.e)
	if err != nil {
		return nil
	}
	path := s.cacheFile(k, l)
	if list, fresh := readCache(path); fresh {
		return list
	}
	list := s.ask(k)
	writeCache(path, list)
	return list
}

// ask does not wait for whatever does not heed the end of the context, such as
// the children of a password command.
func (s *source) ask(k kind) []candidate {
	ctx, cancel := context.WithTimeout(s.ctx, completionPatience)
	defer cancel()
	answer := make(chan []candidate, 1)
	go func() {
		session, err := s.conn.connect(ctx, s.e)
		if err != nil {
			answer <- nil
			return
		}
		defer session.Close()
		answer <- fetchKind(ctx, session, k)
	}()
	select {
	case list := <-answer:
		return list
	case <-ctx.Done():
		return nil
	}
}

// fetchKind asks for the things of a kind; an error is an empty answer.
func fetchKind(ctx context.Context, s *session, k kind) []candidate {
	switch k {
	case kindTask:
		return listed(s.Tasks(ctx))(func(t api.Task) candidate { return candidate{t.Name, string(t.Type)} })
	case kindVolume:
		return listed(s.Volumes(ctx))(func(v api.Volume) candidate {
			return candidate{string(v.Serial), strings.TrimSpace(notation.FormatSize(v.Size) + " " + v.Label)}
		})
	case kindRelationship:
		return listed(s.Relationships(ctx))(func(r api.Relationship) candidate {
			return candidate{string(r.Source) + ":" + string(r.Target), string(r.State)}
		})
	case kindHost:
		return listed(s.Hosts(ctx))(func(h api.Host) candidate { return candidate{h.Name, h.OS} })
	case kindEndpoint:
		hosts, _ := s.Hosts(ctx)
		return endpoints(hosts)
	case kindArray:
		return listed(s.Arrays(ctx))(func(a api.Array) candidate { return candidate{a.ID, a.Driver} })
	case kindRun:
		return listed(s.Runs(ctx, "", 50))(func(r api.Run) candidate {
			return candidate{r.ID, r.Task + " " + string(r.State)}
		})
	case kindUser:
		return listed(s.Users(ctx))(func(u api.User) candidate { return candidate{u.Name, string(u.Role)} })
	}
	return nil
}

// listed takes the answer of a call and then what a candidate is made of.
func listed[T any](things []T, _ error) func(func(T) candidate) []candidate {
	return func(of func(T) candidate) []candidate {
		list := make([]candidate, len(things))
		for i, thing := range things {
			list[i] = of(thing)
		}
		return list
	}
}

func endpoints(hosts []api.Host) []candidate {
	var list []candidate
	for _, h := range hosts {
		for _, d := range h.Devices {
			list = append(list, candidate{h.Name + ":" + d.Name, string(d.Serial)})
		}
	}
	return list
}

// knownServers are those whose certificate is pinned; no server is asked.
func knownServers(e *Env) []candidate {
	var list []candidate
	for _, addr := range pinnedServers(e) {
		list = append(list, candidate{Word: addr})
	}
	return list
}

// cacheFile names the file by what the answer depends on.
func (s *source) cacheFile(k kind, l layer) string {
	what := strings.Join([]string{l.server, l.backup, l.user, string(k)}, "\x00")
	sum := sha256.Sum256([]byte(what))
	dir := s.e.cacheDir()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "completion-"+hex.EncodeToString(sum[:8])+".json")
}

// cached is an answer with the time until which it holds.
type cached struct {
	Until      time.Time   `json:"until"`
	Candidates []candidate `json:"candidates"`
}

// readCache believes no file whose time is further away than one could have been
// written: the clock may have been set back.
func readCache(path string) ([]candidate, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	var c cached
	if json.Unmarshal(text, &c) != nil {
		return nil, false
	}
	left := time.Until(c.Until)
	return c.Candidates, left > 0 && left <= completionLifetime
}

// writeCache keeps an answer; where it cannot, the server is asked again.
func writeCache(path string, list []candidate) {
	text, err := json.Marshal(cached{time.Now().Add(completionLifetime), list})
	if err != nil || path == "" || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	_ = atomicfile.Write(atomicfile.OS(), path, text, 0o600)
}
