package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"copyservices/arrayclient"
)

const (
	groupCase  = "group"
	groupPairs = 64
	groupSize  = 16 << 20 // bytes of a volume
	// groupPause is how long a writer waits after a write.
	groupPause = 5 * time.Millisecond
)

func groupSection() section {
	return section{
		name: groupCase, title: "Consistency group of 64 pairs", cases: []string{groupCase},
		how: "The array alone, in the program that measures, on the disk. 64 volumes of 16 MiB full " +
			"of data have a writer each, which writes 4 KiB at random, waits for the end of the " +
			"write and 5 ms, and goes on. After a second, one call establishes nocopy " +
			"relationships of all with freeze, and the next one is consistency-created. The longest " +
			"write is that of all writes to all sources which were under way at any moment " +
			"between the beginning of the one call and the end of the other; it includes the " +
			"saving of the track that a first write has to do when the freeze is over. Beside it: " +
			"the longest write of the second before, and how long the two calls took.",
		measure: measureGroup,
	}
}

func measureGroup(ctx context.Context, l *lab) (_ []row, err error) {
	e, err := newEngine(filepath.Join(l.disk, groupCase))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close(), os.RemoveAll(e.dir)) }()
	count := groupPairs
	if l.short {
		count = 8
	}
	pairs, err := e.pairs(ctx, groupSize, count)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if err := e.change(ctx, p.Source, fullOf(groupSize)); err != nil {
			return nil, err
		}
	}
	var held, before, calls []float64
	for range l.rounds {
		if err := l.settle(ctx, e.dir); err != nil {
			return nil, err
		}
		writes, from, to, err := e.freezeUnderLoad(ctx, pairs)
		if err != nil {
			return nil, err
		}
		held = append(held, longest(writes, from, to).Seconds())
		before = append(before, longest(writes, time.Time{}, from).Seconds())
		calls = append(calls, to.Sub(from).Seconds())
	}
	return []row{
		figure("longest write during the freeze", spanOf(held), milliseconds,
			atMost(0.050, "< 50 ms")),
		figure("longest write in the second before", spanOf(before), milliseconds, aim{}),
		figure("establish and consistency-created", spanOf(calls), milliseconds, aim{}),
	}, nil
}

// timedWrite is when a write began and when it returned.
type timedWrite struct{ begin, end time.Time }

// longest returns how long the longest of the writes took that were under way
// at some moment between from and to.
func longest(writes []timedWrite, from, to time.Time) time.Duration {
	var most time.Duration
	for _, w := range writes {
		if w.begin.Before(to) && w.end.After(from) {
			most = max(most, w.end.Sub(w.begin))
		}
	}
	return most
}

// freezeUnderLoad establishes the pairs with freeze while their sources are
// written to, and releases them at once. It returns the writes, and when the
// first call began and the second ended.
func (e *engine) freezeUnderLoad(
	ctx context.Context, pairs []arrayclient.Pair,
) (writes []timedWrite, from, to time.Time, err error) {
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	written := make([][]timedWrite, len(pairs))
	failed := make([]error, len(pairs))
	var writers sync.WaitGroup
	for i, p := range pairs {
		writers.Go(func() { written[i], failed[i] = e.writeUntil(loaded, p.Source) })
	}
	time.Sleep(time.Second)
	from = time.Now()
	err = e.Establish(ctx, pairs, arrayclient.Options{NoCopy: true, Freeze: true})
	if err == nil {
		err = e.ConsistencyCreated(ctx, pairs)
	}
	to = time.Now()
	time.Sleep(time.Second / 2)
	stop()
	writers.Wait()
	if err := errors.Join(append(failed, err)...); err != nil {
		return nil, from, to, err
	}
	for _, w := range written {
		writes = append(writes, w...)
	}
	_, err = e.Withdraw(ctx, pairs)
	return writes, from, to, err
}

// writeUntil writes to the volume until ctx ends.
func (e *engine) writeUntil(
	ctx context.Context, serial arrayclient.Serial,
) (writes []timedWrite, err error) {
	v, err := e.OpenVolume(context.WithoutCancel(ctx), serial)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	data := someData(blockSize)
	for ctx.Err() == nil {
		begin := time.Now()
		if _, err := v.WriteAt(data, rand.Int64N(groupSize/blockSize)*blockSize); err != nil {
			return nil, err
		}
		writes = append(writes, timedWrite{begin, time.Now()})
		time.Sleep(groupPause)
	}
	return writes, nil
}
