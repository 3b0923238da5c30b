package taskstore

import (
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

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
var TaskTypes = []TaskType{
	TaskEstablish, TaskWithdraw, TaskResync, TaskReverse, TaskBackgroundCopy, TaskConsistencyCreated,
}

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
	RunQueued      RunState = "queued" // in line for another run of the task, not begun
	RunRunning     RunState = "running"
	RunDone        RunState = "done"
	RunFailed      RunState = "failed"
	RunInterrupted RunState = "interrupted" // the server ended in the middle of it
	RunDry         RunState = "dry-run"     // nothing was done; never stored
)

// MaxWait is how long one request waits for the end of a run, for its copies, or for
// its turn in line. Who wants to wait longer asks again.
const MaxWait = time.Minute

// Run is one execution of a task.
type Run struct {
	ID    string   `json:"id" yaml:"id"`
	Task  string   `json:"task" yaml:"task"`
	Type  TaskType `json:"type" yaml:"type"`
	User  string   `json:"user" yaml:"user"`
	State RunState `json:"state" yaml:"state"`
	// Wait: the run lasts until the background copy is complete.
	Wait    bool      `json:"wait,omitempty" yaml:"wait,omitempty"`
	Started time.Time `json:"started" yaml:"started"`
	Ended   time.Time `json:"ended,omitzero" yaml:"ended,omitempty"`
	// Pairs as they were resolved when the run started.
	Pairs []ResolvedPair `json:"pairs" yaml:"pairs"`
	// Warnings such as targets whose content a withdraw left undefined.
	Warnings []string      `json:"warnings,omitempty" yaml:"warnings,omitempty"`
	Error    *fault.Detail `json:"error,omitempty" yaml:"error,omitempty"`
	// Key is the idempotency key of the request that started it, Body a hash
	// of that request.
	Key  string `json:"-" yaml:"key,omitempty"`
	Body string `json:"-" yaml:"body,omitempty"`
	// Queued is when it was asked for, of a run that stood in line.
	Queued time.Time `json:"queued,omitzero" yaml:"queued,omitempty"`
	// Before has for each pair when the copy was established that its target
	// held before the run, zero for none: what is there now tells by it whether
	// the run got to the array. Runs of early servers have none.
	Before []time.Time `json:"-" yaml:"before,omitempty"`
	// Untouched: the server ended before the run got to the array, so that the
	// request for it may still be carried out.
	Untouched bool `json:"-" yaml:"untouched,omitempty"`
	// Percent copied over all pairs; of a running run, as of the answer.
	Percent int `json:"percent" yaml:"percent"`
}

// ResolvedPair is a pair of a task with the volumes it stood for.
type ResolvedPair struct {
	Source string   `json:"source" yaml:"source"` // serial
	Target string   `json:"target" yaml:"target"` // serial
	From   TaskPair `json:"from" yaml:"from"`     // as the task names them
}

// Host is a machine that primed the server.
type Host struct {
	Name    string    `json:"name" yaml:"name"`
	OS      string    `json:"os" yaml:"os"`
	Devices []Device  `json:"devices" yaml:"devices"`
	Primed  time.Time `json:"primed,omitzero" yaml:"primed"` // set by the server
	// Machine tells this machine from others of its name: 32 hex digits that
	// the machine chose, the same every time. Empty where it gave none.
	Machine string `json:"machine,omitempty" yaml:"machine,omitempty"` // set by the server
}

// Device is one disk of a host that is a volume of an array.
type Device struct {
	Name   string             `json:"name" yaml:"name"`
	Serial arrayclient.Serial `json:"serial" yaml:"serial"`
}

// Role of a user.
type Role string

// The roles. Each may do what the ones after it may.
const (
	RoleAdmin    Role = "admin"    // everything
	RoleOperator Role = "operator" // runs tasks, primes hosts
	RoleMonitor  Role = "monitor"  // reads
)

// User is a user of the server with the hash of its password. It never
// leaves the server; the API has its own User.
type User struct {
	Name string `yaml:"name"`
	Role Role   `yaml:"role"`
	// Hash of the password in the PHC string format, argon2id.
	Hash string `yaml:"hash"`
	// DefaultPassword: still the one every installation starts with, which is
	// good from the loopback address only.
	DefaultPassword bool      `yaml:"default_password,omitempty"`
	Created         time.Time `yaml:"created"`
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
	Kind    EntryKind `json:"kind" yaml:"kind"`
	Address string    `json:"address" yaml:"address"`
	User    string    `json:"user" yaml:"user"`
	// Password in the clear, on its way in only: never stored, never answered.
	Password string `json:"password,omitempty" yaml:"-"`
	// Sealed is the encrypted password as it is stored.
	Sealed string `json:"-" yaml:"sealed"`
	// Alternate is a second address of a server, may be empty.
	Alternate string    `json:"alternate,omitempty" yaml:"alternate,omitempty"`
	Added     time.Time `json:"added,omitzero" yaml:"added"`
}

// KeyLifetime is how long a request with the same idempotency key is the same request.
const KeyLifetime = 24 * time.Hour

// Request remembers a keyed request that is no run, so that it is not done
// again. It is written before the work begins and again with the answer.
type Request struct {
	Key  string `yaml:"key"`  // the idempotency key
	Hash string `yaml:"hash"` // of user, method, path and body
	User string `yaml:"user"`
	// Started in UTC; the key's lifetime counts from it.
	Started time.Time `yaml:"started"`
	// Status of the answer; 0 while there is none, for ever when the server
	// ended in the middle of the work.
	Status int    `yaml:"status"`
	Answer string `yaml:"answer"` // its body
}

// Credential is a certificate that was issued to a host. The server trusts
// those that it remembers and that are not revoked.
type Credential struct {
	Serial  string    `json:"serial" yaml:"serial"` // of the certificate, lower-case hex digits
	Host    string    `json:"host" yaml:"host"`
	Created time.Time `json:"created" yaml:"created"`
	Expires time.Time `json:"expires" yaml:"expires"`
	Revoked time.Time `json:"revoked,omitzero" yaml:"revoked,omitempty"` // zero while it is good
}

// Assignment says which hosts may attach a volume where hosts show who they
// are. A volume without one is for nobody.
type Assignment struct {
	Volume arrayclient.Serial `json:"volume" yaml:"volume"`
	Hosts  []HostAccess       `json:"hosts" yaml:"hosts"`
}

// HostAccess is what one host may do with a volume.
type HostAccess struct {
	Host     string `json:"host" yaml:"host"` // compared without case
	ReadOnly bool   `json:"read_only,omitempty" yaml:"read_only,omitempty"`
}
