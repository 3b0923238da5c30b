package program

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

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

// keepMemory has Go collect in time, and gives back to the system what a burst of
// requests has left, until ctx ends: Go by itself would take minutes. memory is what
// the server may use, in bytes.
func keepMemory(ctx context.Context, memory int64) {
	limit := int64(float64(memory) * collectAt)
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
