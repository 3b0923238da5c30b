package rscli

import (
	"strconv"
	"strings"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/taskstore/result"
)

// PairText writes serials as S:T, which commands take; names of devices, which have
// colons of their own, are set apart by an arrow.
func PairText(p api.TaskPair) string {
	if strings.Contains(p.Source+p.Target, ":") {
		return p.Source + " -> " + p.Target
	}
	return p.Source + ":" + p.Target
}

// DescribePair writes a pair with the names that the task has for it, where
// those are others than the serials.
func DescribePair(p api.ResolvedPair) string {
	text := p.Source + ":" + p.Target
	if p.From.Source != p.Source || p.From.Target != p.Target {
		text += " (" + result.OneLine(PairText(p.From)) + ")"
	}
	return text
}

// ParseSerials reads volume serials, each once.
func ParseSerials(args []string) ([]arrayclient.Serial, error) {
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

// ChangedTracks is "" without change recording.
func ChangedTracks(r api.Relationship) string {
	if r.Changed == nil {
		return ""
	}
	return strconv.FormatInt(*r.Changed, 10)
}

// OptionNames lists the options that are on by the names of the flags of
// "esscli create task", "" for none.
func OptionNames(o arrayclient.Options) string {
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
