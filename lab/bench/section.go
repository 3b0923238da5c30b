package main

import (
	"context"
	"slices"
)

// section is a table of rows that are measured in the same way.
type section struct {
	name  string
	title string
	how   string   // how it is measured, for the reader of the table
	cases []string // full names, NAME or NAME/CASE, that -only chooses from
	// needs are the tools without which there is no row at all.
	needs   []tool
	measure func(context.Context, *lab) ([]row, error)
}

// sections are all there are, in the order of the report.
func sections() []section {
	return []section{
		listSection(), executeSection(), nbdSection(), firstSection(), secondSection(),
		copySection(), establishSection(), groupSection(), resyncSection(), openSection(),
		memorySection(), idleSection(),
	}
}

// rows measures the section, or says in a single row what is missing for it.
func (s section) rows(ctx context.Context, l *lab) ([]row, error) {
	missing := slices.DeleteFunc(slices.Clone(s.needs), tool.installed)
	if len(missing) == 0 {
		return s.measure(ctx, l)
	}
	return []row{{work: s.title, ours: missing[0].notMeasured()}}, nil
}
