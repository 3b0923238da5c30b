package esscli

import (
	"cmp"
	"context"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/notation"
)

// setOptions are the flags of "set volume", "set array" and "set
// relationship".
type setOptions struct {
	label optionalText
	hosts assignedHosts
	size  byteSize
	rate  copyRate
}

func (x *essCLI) sets() []*program.Command {
	return []*program.Command{x.setVolume(), x.setArray(), x.setRelationship(), x.setUser()}
}

func (x *essCLI) setVolume() *program.Command {
	return x.leaf(program.Command{
		Name: "volume", Synopsis: "SERIAL", Summary: "Change a volume, in all points or in none",
		Examples: []string{
			"esscli set volume 20313698 --size 2GiB",
			"esscli set volume 20313698 --label 'mail, disk 2'",
		},
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "label", Value: &x.set.label, Usage: "what it is for `TEXT`"},
			&cli.GenericFlag{Name: "size", Value: &x.set.size, Usage: "let it grow to that `SIZE`"},
			&cli.GenericFlag{Name: "hosts", Value: &x.set.hosts,
				Usage: "who may attach it with TLS, :ro to read `A,B:ro`"},
		},
		Least: 1, Most: 1,
		Kinds: []program.Kind{program.KindVolume},
		Run:   x.runSetVolume,
	})
}

func (x *essCLI) runSetVolume(ctx context.Context, e *program.Env, args []string) error {
	serial, err := arrayclient.ParseSerial(args[0])
	if err != nil {
		return err
	}
	o := &x.set
	change := api.VolumeChange{Label: o.label.text, Size: int64(o.size), Assigned: o.hosts.hosts}
	if change == (api.VolumeChange{}) {
		return fault.New(fault.Usage, "what is to change of volume %s?", serial).
			WithHint("give --label, --size or --hosts")
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	v, err := s.ChangeVolume(ctx, serial, change)
	if err != nil {
		return err
	}
	if by := attachedTo(v); by != "" && change.Size != 0 {
		e.Warn("volume %s is attached to %s: the host sees the new size when it attaches it anew",
			serial, by)
	}
	return done(e, v, "volume %s changed: %s, label %q, hosts %s", v.Serial, notation.FormatSize(v.Size),
		v.Label, cmp.Or(formatAssigned(v.Assigned), "none"))
}

func (x *essCLI) rateFlags() []cli.Flag {
	return []cli.Flag{&cli.GenericFlag{Name: "copy-rate", Category: "none", Value: &x.set.rate,
		Usage: "copy at most so many bytes a second, 0: any `RATE`"}}
}

func (x *essCLI) setArray() *program.Command {
	return x.leaf(program.Command{
		Name: "array", Synopsis: "ARRAY",
		Summary: "Bound all background copying of an array",
		Examples: []string{
			"esscli set array 2105.13698 --copy-rate 50MiB",
			"esscli set array 2105.13698 --copy-rate none",
		},
		Flags: x.rateFlags(), Least: 1, Most: 1,
		Kinds: []program.Kind{program.KindArray},
		Run:   x.runSetArray,
	})
}

func (x *essCLI) runSetArray(ctx context.Context, e *program.Env, args []string) error {
	id, err := arrayclient.ParseArrayID(args[0])
	if err != nil {
		return err
	}
	rate, err := x.set.rate.need()
	if err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	arr, err := s.ChangeArray(ctx, id.String(), api.ArrayChange{CopyRate: rate})
	if err != nil {
		return err
	}
	return done(e, arr, "array %s changed: copy rate %s", arr.ID, formatRate(arr.CopyRate))
}

func (x *essCLI) setRelationship() *program.Command {
	return x.leaf(program.Command{
		Name: "relationship", Synopsis: "[S:T...]",
		Summary: "Bound the background copies of pairs, all or none",
		Examples: []string{
			"esscli set relationship 20313698:20413698 --copy-rate 10MiB",
			"esscli set relationship 20313698:20413698 --copy-rate none",
		},
		Flags: x.rateFlags(), Sets: [][]cli.Flag{x.pairs.flags()}, Most: -1,
		Kinds: []program.Kind{program.KindRelationship},
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			rate, err := x.set.rate.need()
			if err != nil {
				return err
			}
			set := func(s *connect.Session, pairs []api.TaskPair) (api.PairsResult, error) {
				return s.SetCopyRate(ctx, api.CopyRateRequest{Pairs: pairs, CopyRate: rate})
			}
			return x.runPairs(ctx, e, args, set, "changed: copy rate "+formatRate(*rate))
		},
	})
}

// optionalText is a flag's value that may be given and empty; nil where it is
// not given.
type optionalText struct{ text *string }

// Set takes s as it is.
func (o *optionalText) Set(s string) error {
	o.text = &s
	return nil
}

func (o *optionalText) String() string { return "" }

var _ program.BlankValue = (*optionalText)(nil)

// MayBeBlank says that an empty value has a meaning.
func (o *optionalText) MayBeBlank() {}

// copyRate is a flag's value in bytes a second; 0 and "none" are no bound.
type copyRate struct{ bytes *int64 }

// Set reads what a size may be, 0 or none.
func (r *copyRate) Set(s string) error {
	var size byteSize
	if s != "0" && s != "none" {
		if err := size.Set(s); err != nil {
			return fault.New(fault.Usage, "%.40q is not a copy rate", s).
				WithHint("a rate is bytes a second, like 50MiB, or 0 for no bound; %s", fault.HintOf(err))
		}
	}
	r.bytes = (*int64)(&size)
	return nil
}

func (r *copyRate) String() string { return "" }

// need refuses a command without the flag.
func (r *copyRate) need() (*int64, error) {
	if r.bytes == nil {
		return nil, fault.New(fault.Usage, "--copy-rate is missing").
			WithHint("--copy-rate 50MiB, for example, or 0 for no bound")
	}
	return r.bytes, nil
}

// formatRate is "none" where there is no bound.
func formatRate(bytes int64) string {
	if bytes == 0 {
		return "none"
	}
	return notation.FormatSize(bytes) + "/s"
}
