package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Server returns facts about the server and the user who asks.
func (c *Client) Server(ctx context.Context) (Server, error) {
	var out Server
	err := c.get(ctx, "/v1/server", nil, &out)
	return out, err
}

// Hosts returns the hosts ordered by name.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	var out []Host
	err := c.get(ctx, "/v1/hosts", nil, &out)
	return out, err
}

// Host returns one host.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	var out Host
	err := c.one(ctx, http.MethodGet, "/v1/hosts", name, nil, &out)
	return out, err
}

// PutHost replaces the device map of h as a whole.
func (c *Client) PutHost(ctx context.Context, h Host) (Host, error) {
	var out Host
	err := c.one(ctx, http.MethodPut, "/v1/hosts", h.Name, h, &out)
	return out, err
}

// PrimeHost is PutHost for the host itself: what says more of it stands in the
// request's query, which older servers pass over.
func (c *Client) PrimeHost(ctx context.Context, h Host, opts PrimeOptions) (PrimedHost, error) {
	path, err := pathOf("/v1/hosts", h.Name)
	if err != nil {
		return PrimedHost{}, err
	}
	query := url.Values{}
	if opts.Machine != "" {
		query.Set("machine", opts.Machine)
	}
	if opts.Replace {
		query.Set("replace", "true")
	}
	if opts.AllowEmpty {
		query.Set("allow-empty", "true")
	}
	var out PrimedHost
	err = c.do(ctx, call{
		method: http.MethodPut, path: path, query: query, repeat: safe, in: h, out: &out,
	})
	return out, err
}

// DeleteHost forgets a host.
func (c *Client) DeleteHost(ctx context.Context, name string) error {
	return c.one(ctx, http.MethodDelete, "/v1/hosts", name, nil, nil)
}

// Tasks returns the stored tasks ordered by name.
func (c *Client) Tasks(ctx context.Context) ([]Task, error) {
	var out []Task
	err := c.get(ctx, "/v1/tasks", nil, &out)
	return out, err
}

// Task returns one task.
func (c *Client) Task(ctx context.Context, name string) (Task, error) {
	var out Task
	err := c.one(ctx, http.MethodGet, "/v1/tasks", name, nil, &out)
	return out, err
}

// CreateTask stores a new task; a name that exists is refused.
func (c *Client) CreateTask(ctx context.Context, t Task) (Task, error) {
	var out Task
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/tasks", in: t, out: &out})
	return out, err
}

// PutTask creates or replaces a task.
func (c *Client) PutTask(ctx context.Context, t Task) (Task, error) {
	var out Task
	err := c.one(ctx, http.MethodPut, "/v1/tasks", t.Name, t, &out)
	return out, err
}

// DeleteTask deletes a task; its runs stay.
func (c *Client) DeleteTask(ctx context.Context, name string) error {
	return c.one(ctx, http.MethodDelete, "/v1/tasks", name, nil, nil)
}

// RunTask runs a stored task. Of a run that was started and failed it returns
// both the run and RunError of it.
//
// With req.Line it may return a run in the state queued: with the same key, see
// WithKey, the next call takes its old place in line.
func (c *Client) RunTask(ctx context.Context, name string, req RunRequest) (Run, error) {
	path, err := pathOf("/v1/tasks", name, "runs")
	if err != nil {
		return Run{}, err
	}
	var out Run
	q := call{
		method: http.MethodPost, path: path, repeat: keyed, wait: min(req.Line, MaxWait), in: req, out: &out,
	}
	if req.Line > 0 {
		whole := (req.Line + time.Millisecond - 1) / time.Millisecond
		q.query = url.Values{"line": {strconv.FormatInt(int64(whole), 10)}}
	}
	if err = c.do(ctx, q); err != nil {
		return Run{}, err
	}
	return out, RunError(out)
}

// RunError is the error of a run that failed or was interrupted by the end
// of the server; nil for every other.
func RunError(r Run) error {
	switch {
	case r.Error != nil:
		return r.Error.Err()
	case r.State == taskstore.RunFailed:
		return fault.New(fault.Failed, "run %s of task %s failed", r.ID, r.Task)
	case r.State == taskstore.RunInterrupted:
		return fault.New(fault.Server,
			"run %s of task %s was cut off by the end of the server", r.ID, r.Task).
			WithHint("see with rsFlashCopyQuery what it did, and run the task again")
	}
	return nil
}

// Completion tells how far the copies of a task have come. It waits up to
// wait (at most MaxWait) for them to be complete; 0 answers at once.
func (c *Client) Completion(
	ctx context.Context, task string, wait time.Duration,
) (Completion, error) {
	path, err := pathOf("/v1/tasks", task, "completion")
	if err != nil {
		return Completion{}, err
	}
	var out Completion
	err = c.poll(ctx, path, wait, &out)
	return out, err
}

// Runs returns runs, newest first: those of one task, or of all where task is
// empty; limit 0 means the server's own. total is how many there are, with those
// beyond the limit.
func (c *Client) Runs(ctx context.Context, task string, limit int) (runs []Run, total int, err error) {
	query := url.Values{}
	if task != "" {
		query.Set("task", task)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	err = c.do(ctx, call{
		method: http.MethodGet, path: "/v1/runs", query: query, repeat: safe, out: &runs,
		header: func(h http.Header) { total, _ = strconv.Atoi(h.Get(TotalHeader)) },
	})
	return runs, max(total, len(runs)), err
}

// Run returns one run. While it is running it waits up to wait (at most
// MaxWait) for its end. A run that failed is no error here: see RunError.
func (c *Client) Run(ctx context.Context, id string, wait time.Duration) (Run, error) {
	path, err := pathOf("/v1/runs", id)
	if err != nil {
		return Run{}, err
	}
	var out Run
	err = c.poll(ctx, path, wait, &out)
	return out, err
}

// DeleteRun deletes a run from the history.
func (c *Client) DeleteRun(ctx context.Context, id string) error {
	return c.one(ctx, http.MethodDelete, "/v1/runs", id, nil, nil)
}

// Arrays returns the arrays that the server drives.
func (c *Client) Arrays(ctx context.Context) ([]Array, error) {
	var out []Array
	err := c.get(ctx, "/v1/arrays", nil, &out)
	return out, err
}

// Array returns the array with an id like 2105.13698.
func (c *Client) Array(ctx context.Context, id string) (Array, error) {
	var out Array
	err := c.one(ctx, http.MethodGet, "/v1/arrays", id, nil, &out)
	return out, err
}

// ChangeArray changes the bound of an array's background copying.
func (c *Client) ChangeArray(ctx context.Context, id string, change ArrayChange) (Array, error) {
	var out Array
	err := c.one(ctx, http.MethodPatch, "/v1/arrays", id, change, &out)
	return out, err
}

// Volumes returns the volumes named, all where none is.
func (c *Client) Volumes(ctx context.Context, serials ...arrayclient.Serial) ([]Volume, error) {
	var out []Volume
	err := c.get(ctx, "/v1/volumes", serialQuery("serial", serials), &out)
	return out, err
}

// VolumesIn returns the volumes of the array with an id like 2105.13698.
func (c *Client) VolumesIn(ctx context.Context, array string) ([]Volume, error) {
	var out []Volume
	err := c.get(ctx, "/v1/volumes", url.Values{"array": {array}}, &out)
	return out, err
}

// Volume returns one volume.
func (c *Client) Volume(ctx context.Context, serial arrayclient.Serial) (Volume, error) {
	var out Volume
	err := c.one(ctx, http.MethodGet, "/v1/volumes", string(serial), nil, &out)
	return out, err
}

// CreateVolumes creates volumes, all or none.
func (c *Client) CreateVolumes(ctx context.Context, req VolumeCreate) ([]Volume, error) {
	var out []Volume
	q := call{method: http.MethodPost, path: "/v1/volumes", repeat: keyed, in: req, out: &out}
	err := c.do(ctx, q)
	return out, err
}

// ChangeVolume changes what change names; a size is that to which it grows.
func (c *Client) ChangeVolume(
	ctx context.Context, serial arrayclient.Serial, change VolumeChange,
) (Volume, error) {
	var out Volume
	err := c.one(ctx, http.MethodPatch, "/v1/volumes", string(serial), change, &out)
	return out, err
}

// DeleteVolume deletes a volume and its content.
func (c *Client) DeleteVolume(ctx context.Context, serial arrayclient.Serial) error {
	return c.one(ctx, http.MethodDelete, "/v1/volumes", string(serial), nil, nil)
}

// Credentials returns the certificates that were issued to hosts.
func (c *Client) Credentials(ctx context.Context) ([]Credential, error) {
	var out []Credential
	err := c.get(ctx, "/v1/credentials", nil, &out)
	return out, err
}

// CreateCredential has a certificate issued to a host.
func (c *Client) CreateCredential(
	ctx context.Context, req CredentialRequest,
) (CredentialIssued, error) {
	var out CredentialIssued
	q := call{method: http.MethodPost, path: "/v1/credentials", repeat: keyed, in: req, out: &out}
	err := c.do(ctx, q)
	return out, err
}

// DeleteCredential revokes the certificate of that serial number.
func (c *Client) DeleteCredential(ctx context.Context, serial string) error {
	return c.one(ctx, http.MethodDelete, "/v1/credentials", serial, nil, nil)
}

// Users returns the users of the server.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	var out []User
	err := c.get(ctx, "/v1/users", nil, &out)
	return out, err
}

// CreateUser adds a user; a name that exists is refused.
func (c *Client) CreateUser(ctx context.Context, u UserChange) (User, error) {
	var out User
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/users", in: u, out: &out})
	return out, err
}

// ChangeUser changes what is not empty in change.
func (c *Client) ChangeUser(ctx context.Context, name string, change UserChange) (User, error) {
	var out User
	err := c.one(ctx, http.MethodPatch, "/v1/users", name, change, &out)
	return out, err
}

// DeleteUser deletes a user; the last administrator is refused.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.one(ctx, http.MethodDelete, "/v1/users", name, nil, nil)
}

// Entries returns the registered arrays or servers, both where kind is empty.
func (c *Client) Entries(ctx context.Context, kind EntryKind) ([]Entry, error) {
	query := url.Values{}
	if kind != "" {
		query.Set("kind", string(kind))
	}
	var out []Entry
	err := c.get(ctx, "/v1/entries", query, &out)
	return out, err
}

// CreateEntry registers an array or a server; an address that exists is
// refused.
func (c *Client) CreateEntry(ctx context.Context, e Entry) (Entry, error) {
	var out Entry
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/entries", in: e, out: &out})
	return out, err
}

// ChangeEntry changes user, password and alternate of an entry where they are
// not empty in e.
func (c *Client) ChangeEntry(ctx context.Context, e Entry) (Entry, error) {
	path, err := pathOf("/v1/entries", string(e.Kind), e.Address)
	if err != nil {
		return Entry{}, err
	}
	var out Entry
	err = c.do(ctx, call{method: http.MethodPatch, path: path, repeat: safe, in: e, out: &out})
	return out, err
}

// DeleteEntry removes an entry.
func (c *Client) DeleteEntry(ctx context.Context, kind EntryKind, address string) error {
	path, err := pathOf("/v1/entries", string(kind), address)
	if err != nil {
		return err
	}
	return c.delete(ctx, path)
}

func serialQuery(key string, serials []arrayclient.Serial) url.Values {
	query := url.Values{}
	for _, s := range serials {
		query.Add(key, string(s))
	}
	return query
}
