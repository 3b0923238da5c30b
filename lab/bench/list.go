package main

import (
	"context"
	"path/filepath"
	"strconv"
)

// listDisks is the most that the generated tree can hold.
const listDisks = 4096

var fasterThanAll = aim{"faster than all", func(ratio float64) bool { return ratio > 1 }}

func listSection() section {
	return section{
		name: "list", title: "Listing 4,096 disks", cases: []string{"list"},
		how: "The whole process from start to end, output to /dev/null, on a generated tree of a " +
			"Linux host with 4,096 SCSI disks, one of the 2105 array each, in a file system in " +
			"memory as sysfs is. `rsList2105s --sysroot TREE` reads vendor, model and serial (VPD " +
			"page 0x80) of each disk and folds multipath members into their device; " +
			"`lsscsi --sysfsroot=TREE/sys` lists each with vendor, model and revision; `lsblk " +
			"--sysroot TREE -d -n -o NAME,VENDOR,MODEL` with vendor and model, without looking " +
			"at holders or partitions. Neither reads the serial from such a tree. " +
			"A round is the median of five calls of each in turns.",
		measure: measureList,
	}
}

func measureList(ctx context.Context, l *lab) ([]row, error) {
	tree := filepath.Join(l.memory, "tree")
	sysgen := l.command(ctx, nil, l.program("sysgen"), "-n", strconv.Itoa(listDisks), tree)
	if _, err := l.output(sysgen); err != nil {
		return nil, err
	}
	call := func(name string, args ...string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			return l.timed(l.command(ctx, nil, name, args...))
		}
	}
	subjects := []subject{
		{name: "rsList2105s", measure: call(l.program("rsList2105s"), "--sysroot", tree)},
		{name: lsscsi.name, missing: lsscsi.notMeasured(),
			measure: call(lsscsi.name, "--sysfsroot="+filepath.Join(tree, "sys"))},
		{name: lsblk.name, missing: lsblk.notMeasured(),
			measure: call(lsblk.name, "--sysroot", tree, "-d", "-n", "-o", "NAME,VENDOR,MODEL")},
	}
	results, err := interleave(ctx, l.rounds, 5, subjects)
	if err != nil {
		return nil, err
	}
	return []row{against("rsList2105s, 4,096 disks", results[0], results[1:], less,
		milliseconds, fasterThanAll)}, nil
}
