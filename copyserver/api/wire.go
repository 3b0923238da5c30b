package api

import (
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// What the API carries is not what the server stores, though most of it looks alike: a
// stored field gets to a client only when it is named here.

// Words that mean the same in a request and in the store.
type (
	Role      = taskstore.Role
	TaskType  = taskstore.TaskType
	RunState  = taskstore.RunState
	EntryKind = taskstore.EntryKind
)

// Task is a named, stored copy services operation.
type Task struct {
	Name    string              `json:"name"`
	Type    TaskType            `json:"type"`
	Pairs   []TaskPair          `json:"pairs"`
	Options arrayclient.Options `json:"options"`
}

// TaskPair names a source and a target, each as a volume serial or as
// host:device, which is looked up when the task runs.
type TaskPair struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Run is one execution of a task.
type Run struct {
	ID    string   `json:"id"`
	Task  string   `json:"task"`
	Type  TaskType `json:"type"`
	User  string   `json:"user"`
	State RunState `json:"state"`
	// Wait: the run lasts until the background copy is complete.
	Wait    bool      `json:"wait,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Pairs as they were resolved when the run started.
	Pairs []ResolvedPair `json:"pairs"`
	// Warnings such as targets whose content a withdraw left undefined.
	Warnings []string      `json:"warnings,omitempty"`
	Error    *fault.Detail `json:"error,omitempty"`
	// Queued is when it was asked for, of a run that stood in line.
	Queued time.Time `json:"queued,omitzero"`
	// Percent copied over all pairs; of a running run, as of the answer.
	Percent int `json:"percent"`
}

// ResolvedPair is a pair of a task with the volumes it stood for.
type ResolvedPair struct {
	Source string   `json:"source"` // serial
	Target string   `json:"target"` // serial
	From   TaskPair `json:"from"`   // as the task names them
}

// Host is a machine that primed the server.
type Host struct {
	Name    string    `json:"name"`
	OS      string    `json:"os"`
	Devices []Device  `json:"devices"`
	Primed  time.Time `json:"primed,omitzero"` // set by the server
	// Machine tells this machine from others of its name: 32 hex digits that
	// the machine chose, the same every time. Empty where it gave none.
	Machine string `json:"machine,omitempty"` // set by the server
}

// Device is one disk of a host that is a volume of an array.
type Device struct {
	Name   string             `json:"name"`
	Serial arrayclient.Serial `json:"serial"`
}

// Entry is a registered array or server: what setdevice keeps.
type Entry struct {
	Kind    EntryKind `json:"kind"`
	Address string    `json:"address"`
	User    string    `json:"user"`
	// Password in the clear, on its way in only.
	Password string `json:"password,omitempty"`
	// Alternate is a second address, may be empty.
	Alternate string    `json:"alternate,omitempty"`
	Added     time.Time `json:"added,omitzero"`
	// Driver is the word for what drives an array; empty: the entry is only kept.
	Driver string `json:"driver,omitempty"`
	// Array is the id that the array tells; may be given where there are more than one.
	Array string `json:"array,omitempty"`
	// Fingerprint of the certificate there; empty: one that an authority has signed.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Credential is a certificate that was issued to a host.
type Credential struct {
	Serial  string    `json:"serial"` // of the certificate, lower-case hex digits
	Host    string    `json:"host"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"` // zero while it is good
}

// HostAccess is a host that may attach a volume, and how.
type HostAccess struct {
	Host     string `json:"host"` // compared without case
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Each returns what convert makes of each element; nil for nil.
func Each[From, To any](list []From, convert func(From) To) []To {
	if list == nil {
		return nil
	}
	out := make([]To, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}

// TaskOf returns a stored task as the API carries it.
func TaskOf(t taskstore.Task) Task {
	return Task{t.Name, t.Type, Each(t.Pairs, PairOf), t.Options}
}

// PairOf returns a stored pair as the API carries it.
func PairOf(p taskstore.TaskPair) TaskPair { return TaskPair(p) }

// Stored returns the task as it is stored.
func (t Task) Stored() taskstore.Task {
	return taskstore.Task{
		Name: t.Name, Type: t.Type, Pairs: Each(t.Pairs, TaskPair.Stored), Options: t.Options,
	}
}

// Stored returns the pair as it is stored.
func (p TaskPair) Stored() taskstore.TaskPair { return taskstore.TaskPair(p) }

// Stored returns the host as it is stored.
func (h Host) Stored() taskstore.Host {
	return taskstore.Host{
		Name: h.Name, OS: h.OS, Devices: Each(h.Devices, Device.stored), Primed: h.Primed,
		Machine: h.Machine,
	}
}

func (d Device) stored() taskstore.Device { return taskstore.Device(d) }
