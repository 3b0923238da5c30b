// Package api holds the request and response types of the Copy Services
// server's REST API and the Go client that the commands use. The OpenAPI
// file beside it, openapi.yaml, is the specification; a test in package
// copyserver holds both against the handlers.
//
// Every path but /healthz wants HTTP Basic authentication. A request that
// starts something (POST of a run, establish, withdraw, create) carries an
// Idempotency-Key header: repeated with the same key within KeyLifetime it
// answers as the first time and does nothing again.
package api

import (
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// KeyHeader is the header of the idempotency key, 16 to 64 characters of
// letters, digits and '-'.
const KeyHeader = "Idempotency-Key"

// KeyLifetime is how long the server answers a repeated key from memory. A
// key that is used again later than that is refused.
const KeyLifetime = 24 * time.Hour

// MaxBody is the largest JSON request body in bytes.
const MaxBody = 4 << 20

// ErrorBody is the body of every answer that is not a success.
type ErrorBody struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail carries a fault.Error.
type ErrorDetail struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

// Server is the answer of GET /v1/server.
type Server struct {
	Name    string    `json:"name"` // host name of the machine it runs on
	Version string    `json:"version"`
	ID      string    `json:"id"` // of the state folder, stays for its life
	Time    time.Time `json:"time"`
	User    string    `json:"user"` // who asked
	Role    Role      `json:"role"`
	NBD     string    `json:"nbd,omitempty"` // address of the NBD export, empty when off
	Arrays  []string  `json:"arrays"`        // "2105.13698"
}

// Role of a user.
type Role string

// The roles. Each may do what the ones after it may.
const (
	RoleAdmin    Role = "admin"    // everything
	RoleOperator Role = "operator" // runs tasks, primes hosts
	RoleMonitor  Role = "monitor"  // reads
)

// User as listed; passwords never leave the server.
type User struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// DefaultPassword: still the one that every installation starts with.
	DefaultPassword bool      `json:"default_password,omitempty"`
	Created         time.Time `json:"created"`
}

// UserChange is the body of POST /v1/users and PATCH /v1/users/{name}; in a
// PATCH an empty field stays as it is.
type UserChange struct {
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty"`
	Role     Role   `json:"role,omitempty"`
}

// Host is a machine that primed the server.
type Host struct {
	Name    string    `json:"name" yaml:"name"`
	OS      string    `json:"os" yaml:"os"`
	Devices []Device  `json:"devices" yaml:"devices"`
	Primed  time.Time `json:"primed" yaml:"primed"` // set by the server
}

// Device is one disk of a host that is a volume of an array.
type Device struct {
	Name   string             `json:"name" yaml:"name"`
	Serial arrayclient.Serial `json:"serial" yaml:"serial"`
}

// TaskType is what a task does.
type TaskType string

// The task types.
const (
	TaskEstablish          TaskType = "establish"
	TaskWithdraw           TaskType = "withdraw"
	TaskResync             TaskType = "resync"
	TaskReverse            TaskType = "reverse"
	TaskBackgroundCopy     TaskType = "background-copy"
	TaskConsistencyCreated TaskType = "consistency-created"
)

// TaskTypes lists them in the order in which they are documented.
var TaskTypes = []TaskType{TaskEstablish, TaskWithdraw, TaskResync, TaskReverse, TaskBackgroundCopy, TaskConsistencyCreated}

// Task is a named, stored copy services operation. It is also the format of
// a task file (YAML).
type Task struct {
	Name    string              `json:"name" yaml:"name"`
	Type    TaskType            `json:"type" yaml:"type"`
	Pairs   []TaskPair          `json:"pairs" yaml:"pairs"`
	Options arrayclient.Options `json:"options" yaml:"options"`
}

// TaskPair names a source and a target, each as a volume serial or as
// host:device, which is looked up when the task runs.
type TaskPair struct {
	Source string `json:"source" yaml:"source"`
	Target string `json:"target" yaml:"target"`
}

// RunState of a run.
type RunState string

// The states of a run.
const (
	RunRunning     RunState = "running"
	RunDone        RunState = "done"
	RunFailed      RunState = "failed"
	RunInterrupted RunState = "interrupted" // the server ended in the middle of it
	RunDry         RunState = "dry-run"     // nothing was done; never stored
)

// RunRequest is the body of POST /v1/tasks/{name}/runs.
type RunRequest struct {
	// Wait: the run lasts until the background copy is complete. The answer
	// comes at once all the same; GET /v1/runs/{id}?wait=SECONDS follows it.
	Wait   bool `json:"wait,omitempty"`
	DryRun bool `json:"dry_run,omitempty"`
}

// Run is one execution of a task.
type Run struct {
	ID    string   `json:"id" yaml:"id"`
	Task  string   `json:"task" yaml:"task"`
	Type  TaskType `json:"type" yaml:"type"`
	User  string   `json:"user" yaml:"user"`
	State RunState `json:"state" yaml:"state"`
	// Wait as in RunRequest.
	Wait    bool      `json:"wait,omitempty" yaml:"wait,omitempty"`
	Started time.Time `json:"started" yaml:"started"`
	Ended   time.Time `json:"ended,omitzero" yaml:"ended,omitempty"`
	// Pairs as they were resolved when the run started.
	Pairs []ResolvedPair `json:"pairs" yaml:"pairs"`
	// Warnings such as targets whose content a withdraw left undefined.
	Warnings []string     `json:"warnings,omitempty" yaml:"warnings,omitempty"`
	Error    *ErrorDetail `json:"error,omitempty" yaml:"error,omitempty"`
	// Percent copied over all pairs; of a running run, as of the answer.
	Percent int `json:"percent" yaml:"percent"`
}

// ResolvedPair is a pair of a task with the volumes it stood for.
type ResolvedPair struct {
	Source string   `json:"source" yaml:"source"` // serial
	Target string   `json:"target" yaml:"target"` // serial
	From   TaskPair `json:"from" yaml:"from"`     // as the task names them
}

// Completion is the answer of GET /v1/tasks/{name}/completion: how far the
// copies that an establish, resync, reverse or background-copy task started
// have come.
type Completion struct {
	Task     string           `json:"task"`
	Complete bool             `json:"complete"`
	Percent  int              `json:"percent"`
	Pairs    []PairCompletion `json:"pairs"`
}

// PairCompletion is the state of one pair. A pair whose relationship ended
// because its copy completed counts as complete.
type PairCompletion struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	State    string `json:"state"` // a relationship state
	Percent  int    `json:"percent"`
	Complete bool   `json:"complete"`
}

// Volume of an array.
type Volume struct {
	Serial    arrayclient.Serial `json:"serial"`
	Array     string             `json:"array"`
	Size      int64              `json:"size"`      // bytes
	Allocated int64              `json:"allocated"` // bytes
	Label     string             `json:"label,omitempty"`
	Created   time.Time          `json:"created"`
	Failed    string             `json:"failed,omitempty"`
	LastCopy  *LastCopy          `json:"last_copy,omitempty"`
	// Hosts lists host:device for every primed host that sees the volume.
	Hosts []string `json:"hosts,omitempty"`
}

// LastCopy is where a target's content came from.
type LastCopy struct {
	Source      arrayclient.Serial  `json:"source"`
	Established time.Time           `json:"established"`
	Ended       time.Time           `json:"ended,omitzero"`
	Outcome     arrayclient.Outcome `json:"outcome"`
}

// VolumeCreate is the body of POST /v1/volumes; the answer is a list of
// Volume.
type VolumeCreate struct {
	Array string `json:"array,omitempty"` // may be empty where there is only one
	Size  int64  `json:"size"`            // bytes
	Count int    `json:"count,omitempty"`
	Label string `json:"label,omitempty"`
	First string `json:"first,omitempty"` // id of the first, three hex digits
}

// Relationship is an established pair.
type Relationship struct {
	Source      arrayclient.Serial  `json:"source"`
	Target      arrayclient.Serial  `json:"target"`
	State       arrayclient.State   `json:"state"`
	Options     arrayclient.Options `json:"options"`
	Tracks      int64               `json:"tracks"`
	OutOfSync   int64               `json:"out_of_sync_tracks"`
	Percent     int                 `json:"percent"`
	Established time.Time           `json:"established"`
	Completed   time.Time           `json:"completed,omitzero"`
	Reason      string              `json:"reason,omitempty"`
}

// EstablishRequest is the body of POST /v1/relationships, PairsRequest that
// of POST /v1/relationships/withdraw. Pairs name serials or host:device.
type EstablishRequest struct {
	Pairs   []TaskPair          `json:"pairs"`
	Options arrayclient.Options `json:"options"`
}

// PairsRequest names pairs.
type PairsRequest struct {
	Pairs []TaskPair `json:"pairs"`
}

// PairsResult is the answer to both.
type PairsResult struct {
	Pairs    []ResolvedPair `json:"pairs"`
	Warnings []string       `json:"warnings,omitempty"`
}

// Array as listed: an array this server drives, or one that is only
// registered.
type Array struct {
	ID         string   `json:"id"` // "2105.13698"
	Driver     string   `json:"driver"`
	Features   []string `json:"features"`
	Volumes    int      `json:"volumes"`
	MaxVolumes int      `json:"max_volumes"`
	Capacity   int64    `json:"capacity"` // bytes underneath
	Free       int64    `json:"free"`
}

// EntryKind tells the two kinds of setdevice entries apart.
type EntryKind string

// The kinds of entries.
const (
	EntryESS       EntryKind = "ess"       // a storage array ("provider entry")
	EntryESSServer EntryKind = "essserver" // a Copy Services server
)

// Entry is a registered array or server: what setdevice keeps. The password
// is never in an answer.
type Entry struct {
	Kind      EntryKind `json:"kind" yaml:"kind"`
	Address   string    `json:"address" yaml:"address"`
	User      string    `json:"user" yaml:"user"`
	Password  string    `json:"password,omitempty" yaml:"-"`
	Alternate string    `json:"alternate,omitempty" yaml:"alternate,omitempty"` // second address of a server
	Added     time.Time `json:"added,omitzero" yaml:"added"`
}
