// Package api holds the request and response types of the Copy Services
// server's REST API and the Go client that the commands use. The OpenAPI
// file, openapi.yaml in package rest, is the specification; a test in package
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
	"copyservices/taskstore"
)

// KeyHeader is the header of the idempotency key, 16 to 64 characters of
// letters, digits and '-'.
const KeyHeader = "Idempotency-Key"

// TotalHeader is in the answer with a list of runs: how many there are, also
// beyond the limit of the list.
const TotalHeader = "X-Total-Count"

// WarningHeader is in the answer with a list that is not complete, once for each array
// that does not answer: which it is, and why.
const WarningHeader = "Server-Warning"

// ClockHeader is in every answer: a stamp of the server's clock, which was read
// before the answer was sent.
const ClockHeader = "Server-Clock"

// ServerHeader is in every answer: the id of the server, which is that of its state
// folder.
const ServerHeader = "Server-Id"

// BeginHeader says of a keyed request how long it may still be begun: a number
// of milliseconds from its arrival, or, as "MILLISECONDS after STAMP", from when
// a stamp of the server's clock was read.
const BeginHeader = "Begin-Within"

// KeyLifetime is how long the server answers a repeated key from memory. A
// key that is used again later than that is refused.
const KeyLifetime = taskstore.KeyLifetime

// MaxBody is the largest JSON request body in bytes.
const MaxBody = taskstore.MaxTask

// ErrorBody is the body of every answer that is not a success.
type ErrorBody struct {
	Error fault.Detail `json:"error"`
}

// Server is the answer of GET /v1/server.
type Server struct {
	Name    string    `json:"name"` // host name of the machine it runs on
	Version string    `json:"version"`
	ID      string    `json:"id"` // of the state folder, stays for its life
	Time    time.Time `json:"time"`
	User    string    `json:"user"` // who asked
	Role    Role      `json:"role"`
	// DefaultPassword: that user still has the password of every new server.
	DefaultPassword bool     `json:"default_password,omitempty"`
	NBD             string   `json:"nbd,omitempty"` // address of the NBD export, empty when off
	Arrays          []string `json:"arrays"`        // "2105.13698"
}

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

// PrimedHost is the answer to a PUT of a host.
type PrimedHost struct {
	Host
	Warnings []string `json:"warnings,omitempty"` // for people
}

// PrimeOptions say more of a host that primes the server.
type PrimeOptions struct {
	// Machine is what tells this machine from others of its name, see Host; empty
	// where the system knows nothing of that kind.
	Machine string
	// Replace takes the place of another machine that primed under this name.
	Replace bool
	// AllowEmpty lets a host without any device take the place of one with some.
	AllowEmpty bool
}

// RunRequest is the body of POST /v1/tasks/{name}/runs.
type RunRequest struct {
	// Wait: the run lasts until the background copy is complete. The answer
	// comes at once all the same; GET /v1/runs/{id}?wait=SECONDS follows it.
	Wait   bool `json:"wait,omitempty"`
	DryRun bool `json:"dry_run,omitempty"`
	// Line is how long it may stand in line while another run of the task goes
	// on; 0 for not at all. It is not part of the body but of the query, since a
	// repeated request has less of it left.
	Line time.Duration `json:"-"`
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
	// Attached lists the hosts that have it attached over NBD now.
	Attached []Attachment `json:"attached,omitempty"`
	// Assigned lists the hosts that may attach it where hosts show credentials.
	Assigned []HostAccess `json:"assigned,omitempty"`
}

// WrittenVolume is the answer to new content of a volume.
type WrittenVolume struct {
	Volume
	Warnings []string `json:"warnings,omitempty"` // for people
}

// Attachment is a host that has a volume attached.
type Attachment struct {
	Address string `json:"address"` // of the host, without a port; empty where it is not known
	// Host and Credential are the name and the serial number of the certificate that
	// it showed, empty without one.
	Host        string    `json:"host,omitempty"`
	Credential  string    `json:"credential,omitempty"`
	ReadOnly    bool      `json:"read_only,omitempty"`
	Since       time.Time `json:"since"` // of its first connection
	Connections int       `json:"connections"`
}

// LastCopy is where a target's content came from.
type LastCopy struct {
	Source      arrayclient.Serial  `json:"source"`
	Established time.Time           `json:"established"`
	Ended       time.Time           `json:"ended,omitzero"`
	Outcome     arrayclient.Outcome `json:"outcome"`
}

// CredentialRequest is the body of POST /v1/credentials.
type CredentialRequest struct {
	Host string `json:"host"`
	// Request is a PKCS #10 certificate request in PEM. Its key is what counts.
	Request string `json:"request"`
}

// CredentialIssued is the answer: what a host needs, beside its key, to attach
// volumes over NBD with TLS. Both certificates are in PEM.
type CredentialIssued struct {
	Credential
	Certificate string `json:"certificate"`
	Authority   string `json:"authority"` // the certificate of who signed it, and the server's
}

// VolumeCreate is the body of POST /v1/volumes; the answer is a list of
// Volume.
type VolumeCreate struct {
	Array string `json:"array,omitempty"` // empty: the server's own
	Size  int64  `json:"size"`            // bytes
	Count int    `json:"count,omitempty"`
	Label string `json:"label,omitempty"`
	First string `json:"first,omitempty"` // id of the first in hex digits, three of a 2105
}

// VolumeChange is the body of PATCH /v1/volumes/{serial}; what is not given
// stays as it is.
type VolumeChange struct {
	Label *string `json:"label,omitempty"`
	// Size in bytes to which the volume grows; 0 is not given.
	Size int64 `json:"size,omitempty"`
	// Assigned replaces the hosts that may attach the volume; empty: nobody.
	Assigned *[]HostAccess `json:"assigned,omitempty"`
}

// Relationship is an established pair.
type Relationship struct {
	Source    arrayclient.Serial  `json:"source"`
	Target    arrayclient.Serial  `json:"target"`
	State     arrayclient.State   `json:"state"`
	Options   arrayclient.Options `json:"options"`
	Tracks    int64               `json:"tracks"`
	OutOfSync int64               `json:"out_of_sync_tracks"`
	// Changed since the image was taken, on either side: what a resync would
	// copy. nil without change recording.
	Changed     *int64    `json:"changed_tracks,omitempty"`
	Percent     int       `json:"percent"`
	CopyRate    int64     `json:"copy_rate"` // bytes a second, 0 for no bound
	Established time.Time `json:"established"`
	Completed   time.Time `json:"completed,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// EstablishRequest is the body of POST /v1/relationships, PairsRequest that of the
// acts on pairs below that path. Pairs name serials or host:device.
type EstablishRequest struct {
	Pairs   []TaskPair          `json:"pairs"`
	Options arrayclient.Options `json:"options"`
}

// PairsRequest names pairs.
type PairsRequest struct {
	Pairs []TaskPair `json:"pairs"`
}

// CopyRateRequest is the body of POST /v1/relationships/copy-rate.
type CopyRateRequest struct {
	Pairs []TaskPair `json:"pairs"`
	// CopyRate in bytes a second, 0 for no bound. It must be given.
	CopyRate *int64 `json:"copy_rate"`
}

// PairsResult is the answer to all acts on pairs.
type PairsResult struct {
	Pairs    []ResolvedPair `json:"pairs"`
	Warnings []string       `json:"warnings,omitempty"`
}

// Array as listed: one that this server drives.
type Array struct {
	ID         string   `json:"id"` // "2105.13698"
	Driver     string   `json:"driver"`
	Features   []string `json:"features"`
	Volumes    int      `json:"volumes"`
	MaxVolumes int      `json:"max_volumes"`
	MaxTargets int      `json:"max_targets"` // of one source at a time
	TrackSize  int64    `json:"track_size"`  // bytes of a track, which relationships count
	// EstimatedCounts: tracks out of sync and changed are estimated, not counted.
	EstimatedCounts bool  `json:"estimated_counts,omitempty"`
	Capacity        int64 `json:"capacity"` // bytes underneath
	Free            int64 `json:"free"`
	CopyRate        int64 `json:"copy_rate"` // of all background copying, bytes a second; 0: no bound
	// State is ArrayAnswers or ArraySilent. What stands above is then what the array
	// said last, and Reason why it does not answer.
	State  string    `json:"state"`
	Since  time.Time `json:"since,omitzero"` // of that state; zero for the server's own array
	Reason string    `json:"reason,omitempty"`
}

// The states of an array.
const (
	ArrayAnswers = "answers"
	ArraySilent  = "silent"
)

// ArrayChange is the body of PATCH /v1/arrays/{id}.
type ArrayChange struct {
	// CopyRate in bytes a second, 0 for no bound. It must be given.
	CopyRate *int64 `json:"copy_rate"`
}
