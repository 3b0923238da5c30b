package rscli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/rscli/connect"
	"copyservices/rscli/hostdisk"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
)

// listOptions are the flags of rsList2105s.
type listOptions struct {
	all     bool
	sysroot string
}

// ListMain is rsList2105s.
func ListMain() int { return program.Main(NewList) }

// NewList builds rsList2105s.
func NewList(*program.Env) *program.Command {
	opts := &listOptions{}
	return &program.Command{
		Name:     "rsList2105s",
		Summary:  "List the disks of this host that are 2105 volumes, with their serials",
		Examples: []string{"rsList2105s", `rsList2105s | awk '$2 == "20313698" { print $1 }'`},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Destination: &opts.all,
				Usage: "other makes too, with vendor and model"},
			sysrootFlag(&opts.sysroot),
		},
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			return opts.run(ctx, e)
		},
	}
}

// sysrootFlag declares --sysroot.
func sysrootFlag(dir *string) cli.Flag {
	return &cli.StringFlag{Name: "sysroot", Category: program.KindFile, Destination: dir,
		Usage: "read the /sys and /etc under another root `DIR`"}
}

// diskReport is one disk in the output of --json.
type diskReport struct {
	Device string `json:"device"`
	Serial string `json:"serial"` // upper case for a volume; may be empty with --all
	Vendor string `json:"vendor"`
	Model  string `json:"model"`
	Size   int64  `json:"size"` // bytes
	WWID   string `json:"wwid"` // empty where the system tells none
}

// run reads sizes only where they are printed: each is one more file to open for
// each of what may be thousands of disks.
func (o *listOptions) run(ctx context.Context, e *program.Env) error {
	models, err := connect.ModelsForList(e)
	if err != nil {
		return err
	}
	disks, warnings, err := hostdisk.List(ctx, hostdisk.Options{
		Root: o.sysroot, All: o.all, Details: e.JSON, Models: models,
	})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		e.Warn("%s", w)
	}
	reports := make([]diskReport, len(disks))
	for i, d := range disks {
		reports[i] = diskReport{d.Name, d.VolumeSerial(), d.Vendor, d.Model, d.Size, d.WWID}
	}
	if !e.JSON {
		write := writeDisks
		if o.all {
			write = writeAllDisks
		}
		return e.Result(nil, func(w io.Writer) { write(w, reports) })
	}
	host, err := hostdisk.HostName(o.sysroot)
	if err != nil {
		return err
	}
	return e.Result(struct {
		Host  string       `json:"host"`
		Disks []diskReport `json:"disks"`
	}{host, reports}, nil)
}

// writeDisks prints the layout that scripts have parsed since 2005, to the
// letter (white paper "Using IBM TotalStorage ESS FlashCopy with the VMware
// ESX 2.5 Server"). A longer device name pushes its serial to the right, so
// that the serial stays the second word of the line.
func writeDisks(w io.Writer, disks []diskReport) {
	out := bufio.NewWriterSize(w, 64<<10)
	defer out.Flush() // w keeps the error
	out.WriteString("disk name        2105 serial number\n")
	out.WriteString("-------------    ----------------------------\n")
	const column = 16
	const blanks = "                "
	for _, d := range disks {
		out.WriteString(d.Device)
		out.WriteString(blanks[min(len(d.Device), column):])
		out.WriteByte(' ')
		out.WriteString(program.OrDash(result.OneLine(d.Serial)))
		out.WriteByte('\n')
	}
}

// writeAllDisks adds vendor and model to the layout of writeDisks. The model comes
// last, because it may have blanks; those of a serial, which has one column, are
// made underscores.
func writeAllDisks(w io.Writer, disks []diskReport) {
	out := bufio.NewWriterSize(w, 64<<10)
	defer out.Flush() // w keeps the error
	const row = "%-16s %-28s %-8s %s\n"
	fmt.Fprintf(out, row, "disk name", "2105 serial number", "vendor", "model")
	fmt.Fprintf(out, row, "-------------", "----------------------------", "--------", "--------")
	for _, d := range disks {
		serial := strings.ReplaceAll(result.OneLine(d.Serial), " ", "_")
		fmt.Fprintf(out, row, d.Device, program.OrDash(serial), program.OrDash(result.OneLine(d.Vendor)),
			program.OrDash(result.OneLine(d.Model)))
	}
}
