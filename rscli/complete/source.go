package complete

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
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
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
	e    *program.Env
	conn *connect.Flags
}

func newSource(ctx context.Context, e *program.Env, p Program, given program.CommandLine) *source {
	quiet := *e
	quiet.Stdin, quiet.Stderr = strings.NewReader(""), &bytes.Buffer{}
	quiet.IsTerminal = func(any) bool { return false }
	quiet.Log = slog.New(slog.DiscardHandler)
	quiet.Name = "completion"
	c := &connect.Flags{Defaults: p.Defaults}
	for name, field := range map[string]*string{
		"server": &c.Server, "backup-server": &c.Backup, "user": &c.User, "password": &c.Password,
		"password-file": &c.PasswordFile, "password-command": &c.PasswordCommand,
		"cacert": &c.Cacert,
	} {
		*field, _ = given.Value(name)
	}
	return &source{ctx, &quiet, c}
}

// get returns the candidates of a kind, from the cache where they are fresh.
func (s *source) get(k program.Kind) []Candidate {
	l, err := s.conn.Settings(s.e)
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
func (s *source) ask(k program.Kind) []Candidate {
	ctx, cancel := context.WithTimeout(s.ctx, completionPatience)
	defer cancel()
	answer := make(chan []Candidate, 1)
	go func() {
		session, err := s.conn.Connect(ctx, s.e)
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
func fetchKind(ctx context.Context, s *connect.Session, k program.Kind) []Candidate {
	switch k {
	case program.KindTask:
		return listed(s.Tasks(ctx))(func(t api.Task) Candidate { return Candidate{t.Name, string(t.Type)} })
	case program.KindVolume:
		return listed(s.Volumes(ctx))(func(v api.Volume) Candidate {
			return Candidate{string(v.Serial), strings.TrimSpace(notation.FormatSize(v.Size) + " " + v.Label)}
		})
	case program.KindRelationship:
		return listed(s.Relationships(ctx))(func(r api.Relationship) Candidate {
			return Candidate{string(r.Source) + ":" + string(r.Target), string(r.State)}
		})
	case program.KindHost:
		return listed(s.Hosts(ctx))(func(h api.Host) Candidate { return Candidate{h.Name, h.OS} })
	case program.KindEndpoint:
		hosts, _ := s.Hosts(ctx)
		return endpoints(hosts)
	case program.KindArray:
		return listed(s.Arrays(ctx))(func(a api.Array) Candidate { return Candidate{a.ID, a.Driver} })
	case program.KindRun:
		runs, _, err := s.Runs(ctx, "", 50)
		return listed(runs, err)(func(r api.Run) Candidate {
			return Candidate{r.ID, r.Task + " " + string(r.State)}
		})
	case program.KindUser:
		return listed(s.Users(ctx))(func(u api.User) Candidate { return Candidate{u.Name, string(u.Role)} })
	}
	return nil
}

// listed takes the answer of a call and then what a candidate is made of.
func listed[T any](things []T, _ error) func(func(T) Candidate) []Candidate {
	return func(of func(T) Candidate) []Candidate {
		list := make([]Candidate, len(things))
		for i, thing := range things {
			list[i] = of(thing)
		}
		return list
	}
}

func endpoints(hosts []api.Host) []Candidate {
	var list []Candidate
	for _, h := range hosts {
		for _, d := range h.Devices {
			list = append(list, Candidate{h.Name + ":" + d.Name, string(d.Serial)})
		}
	}
	return list
}

// knownServers are those whose certificate is pinned; no server is asked.
func knownServers(e *program.Env) []Candidate {
	var list []Candidate
	for _, addr := range connect.PinnedServers(e) {
		list = append(list, Candidate{Word: addr})
	}
	return list
}

// cacheFile names the file by what the answer depends on.
func (s *source) cacheFile(k program.Kind, l connect.Settings) string {
	what := strings.Join([]string{l.Server, l.Backup, l.User, string(k)}, "\x00")
	sum := sha256.Sum256([]byte(what))
	dir := connect.CacheDir(s.e)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "completion-"+hex.EncodeToString(sum[:8])+".json")
}

// cached is an answer with the time until which it holds.
type cached struct {
	Until      time.Time   `json:"until"`
	Candidates []Candidate `json:"candidates"`
}

// readCache believes no file whose time is further away than one could have been
// written: the clock may have been set back.
func readCache(path string) ([]Candidate, bool) {
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
func writeCache(path string, list []Candidate) {
	text, err := json.Marshal(cached{time.Now().Add(completionLifetime), list})
	if err != nil || path == "" || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	_ = atomicfile.Write(atomicfile.OS(), path, text, 0o600)
}
