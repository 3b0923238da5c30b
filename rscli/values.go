package rscli

import (
	"strconv"
	"strings"

	"copyservices/arrayclient"

	"copyservices/copyserver/api"
)

// pairText writes serials as S:T, which commands take; names of devices, which have
// colons of their own, are set apart by an arrow.
func pairText(p api.TaskPair) string {
	if strings.Contains(p.Source+p.Target, ":") {
		return p.Source + " -> " + p.Target
	}
	return p.Source + ":" + p.Target
}

// describePair writes a pair with the names that the task has for it, where
// those are others than the serials.
func describePair(p api.ResolvedPair) string {
	text := p.Source + ":" + p.Target
	if p.From.Source != p.Source || p.From.Target != p.Target {
		text += " (" + oneLine(pairText(p.From)) + ")"
	}
	return text
}

// parseSerials reads volume serials, each once.
func parseSerials(args []string) ([]arrayclient.Serial, error) {
	var serials []arrayclient.Serial
	seen := map[arrayclient.Serial]bool{}
	for _, arg := range args {
		serial, err := arrayclient.ParseSerial(arg)
		if err != nil {
			return nil, err
		}
		if !seen[serial] {
			serials = append(serials, serial)
		}
		seen[serial] = true
	}
	return serials, nil
}

// changedTracks is "" without change recording.
func changedTracks(r api.Relationship) string {
	if r.Changed == nil {
		return ""
	}
	return strconv.FormatInt(*r.Changed, 10)
}

// optionNames lists the options that are on by the names of the flags of
// "esscli create task", "" for none.
func optionNames(o arrayclient.Options) string {
	var on []string
	for _, option := range []struct {
		set  bool
		name string
	}{
		{o.NoCopy, "nocopy"}, {o.Record, "record"}, {o.Persistent, "persist"},
		{o.Freeze, "freeze"}, {o.TargetInhibit, "target-inhibit"},
	} {
		if option.set {
			on = append(on, option.name)
		}
	}
	return strings.Join(on, ",")
}
