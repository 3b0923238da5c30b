package copyserver

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
)

// The memory of the server is divided for good: one part of nbdPart for requests of
// hosts, one of restPart for requests of commands. The rest is for everything else:
// the array, hashes of passwords, and what of Go's heap is not collected yet.
const (
	nbdPart   = 2
	restPart  = 8
	minMemory = 128 << 20
)

// parseMemory reads the option memory.
func parseMemory(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTiB")
	units := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
	unit, known := units[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !known || err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fault.New(fault.Usage, "%q is no amount of memory", text).
			WithHint("it is like 512MiB or 2GiB")
	}
	if n *= unit; n < minMemory {
		return 0, fault.New(fault.Usage, "%s of memory are too little", text).
			WithHint("the server needs 128MiB at least")
	}
	return n, nil
}

const (
	// collectAt is the share of the memory from which Go is to collect as often as
	// it takes to stay below it.
	collectAt = 0.9
	// slack is how much more than it once had the process may keep, in bytes.
	slack = 32 << 20
	// The process looks for memory to give back after firstLook, and where there
	// was some, ever later up to lastLook: under load it will be used again.
	firstLook = 5 * time.Second
	lastLook  = 30 * time.Second
)

// KeepMemory has Go collect in time, and gives back to the system what a burst of
// requests has left, until ctx ends: Go by itself would take minutes. It is for a
// process that is a server and nothing else.
func (s *Server) KeepMemory(ctx context.Context) {
	limit := int64(float64(s.opts.memory) * collectAt)
	debug.SetMemoryLimit(min(limit, debug.SetMemoryLimit(-1)))
	least, wait := memoryTaken(), firstLook
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if memoryTaken() < least+slack {
			wait = firstLook
			continue
		}
		runtime.GC() // pools let go of what they hold at the second collection
		debug.FreeOSMemory()
		least, wait = min(least, memoryTaken()), min(2*wait, lastLook)
	}
}

// memoryTaken returns how many bytes the process has from the system.
func memoryTaken() int64 {
	of := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(of)
	return int64(of[0].Value.Uint64() - of[1].Value.Uint64())
}
