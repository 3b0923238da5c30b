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
	ID    string   `yaml:"id"`
	Task  string   `yaml:"task"`
	Type  TaskType `yaml:"type"`
	User  string   `yaml:"user"`
	State RunState `yaml:"state"`
	// Wait: the run lasts until the background copy is complete.
	Wait    bool      `yaml:"wait,omitempty"`
	Started time.Time `yaml:"started"`
	Ended   time.Time `yaml:"ended,omitempty"`
	// Pairs as they were resolved when the run started.
	Pairs []ResolvedPair `yaml:"pairs"`
	// Warnings such as targets whose content a withdraw left undefined.
	Warnings []string      `yaml:"warnings,omitempty"`
	Error    *fault.Detail `yaml:"error,omitempty"`
	// Key is the idempotency key of the request that started it, Body a hash
	// of that request.
	Key  string `yaml:"key,omitempty"`
	Body string `yaml:"body,omitempty"`
	// Queued is when it was asked for, of a run that stood in line.
	Queued time.Time `yaml:"queued,omitempty"`
	// Before has for each pair when the copy was established that its target
	// held before the run, zero for none: what is there now tells by it whether
	// the run got to the array. Runs of early servers have none.
	Before []time.Time `yaml:"before,omitempty"`
	// Phase is how far a run has got that is running. Those of early servers have none.
	Phase Phase `yaml:"phase,omitempty"`
	// Untouched: the server ended before the run got to the array, so that the
	// request for it may still be carried out.
	Untouched bool `yaml:"untouched,omitempty"`
	// Percent copied over all pairs; of a running run, as of the answer.
	Percent int `yaml:"percent"`
}

// Phase is a step of a run, which is recorded before it begins.
type Phase string

// The phases of a run, in their order.
const (
	PhaseArray Phase = "array" // the array is told what to do
	PhaseCopy  Phase = "copy"  // it has done that, and the run lasts until the copies are complete
)

// ResolvedPair is a pair of a task with the volumes it stood for.
type ResolvedPair struct {
	Source string   `yaml:"source"` // serial
	Target string   `yaml:"target"` // serial
	From   TaskPair `yaml:"from"`   // as the task names them
}

// Host is a machine that primed the server.
type Host struct {
	Name    string    `yaml:"name"`
	OS      string    `yaml:"os"`
	Devices []Device  `yaml:"devices"`
	Primed  time.Time `yaml:"primed"` // set by the server
	// Machine tells this machine from others of its name: 32 hex digits that
	// the machine chose, the same every time. Empty where it gave none.
	Machine string `yaml:"machine,omitempty"` // set by the server
}

// Device is one disk of a host that is a volume of an array.
type Device struct {
	Name   string             `yaml:"name"`
	Serial arrayclient.Serial `yaml:"serial"`
}

// Role of a user.
type Role string

// The roles. Each may do what the ones after it may.
const (
	RoleAdmin    Role = "admin"    // everything
	RoleOperator Role = "operator" // runs tasks, primes hosts
	RoleMonitor  Role = "monitor"  // reads
)

// The user that every installation starts with. Its password is good from
// the loopback address only, and only until it is changed.
const (
	DefaultUser     = "superuser"
	DefaultPassword = "passw0rd"
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
	Kind    EntryKind `yaml:"kind"`
	Address string    `yaml:"address"`
	User    string    `yaml:"user"`
	// Password in the clear, on its way in only: never stored, never answered.
	Password string `yaml:"-"`
	// Sealed is the encrypted password as it is stored.
	Sealed string `yaml:"sealed"`
	// Alternate is a second address, may be empty.
	Alternate string    `yaml:"alternate,omitempty"`
	Added     time.Time `yaml:"added"`
	// Driver is the word for what drives an array; empty: nothing does, and the entry is
	// only kept.
	Driver string `yaml:"driver,omitempty"`
	// Array is the id that the array told when it was registered; empty without Driver.
	Array string `yaml:"array,omitempty"`
	// Fingerprint of the certificate at the address, sha256:HEX; empty: one that an
	// authority has signed.
	Fingerprint string `yaml:"fingerprint,omitempty"`
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
	Serial  string    `yaml:"serial"` // of the certificate, lower-case hex digits
	Host    string    `yaml:"host"`
	Created time.Time `yaml:"created"`
	Expires time.Time `yaml:"expires"`
	Revoked time.Time `yaml:"revoked,omitempty"` // zero while it is good
}

// Assignment says which hosts may attach a volume where hosts show who they
// are. A volume without one is for nobody.
type Assignment struct {
	Volume arrayclient.Serial `yaml:"volume"`
	Hosts  []HostAccess       `yaml:"hosts"`
}

// HostAccess is what one host may do with a volume.
type HostAccess struct {
	Host     string `yaml:"host"` // compared without case
	ReadOnly bool   `yaml:"read_only,omitempty"`
}
