package rscli

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/hostdisk"
	"copyservices/rscli/program"
)

// primeOptions are the flags of rsPrimeServer.
type primeOptions struct {
	connect.Flags
	dryRun     bool
	sysroot    string
	hostname   string
	replace    bool
	allowEmpty bool
}

// PrimeMain is rsPrimeServer.
func PrimeMain() int { return program.Main(NewPrime) }

// NewPrime builds rsPrimeServer.
func NewPrime(*program.Env) *program.Command {
	opts := &primeOptions{}
	return &program.Command{
		Name:     "rsPrimeServer",
		Summary:  "Tell the server what this host calls its 2105 volumes, in place of what it knew",
		Examples: []string{"rsPrimeServer -s copyserver.example", "rsPrimeServer --dry-run"},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Destination: &opts.dryRun,
				Usage: "print what would be sent, connect to nothing"},
			&cli.StringFlag{Name: "hostname", Destination: &opts.hostname,
				Usage: "call this host otherwise `NAME`"},
			&cli.BoolFlag{Name: "replace", Destination: &opts.replace,
				Usage: "take the place of another machine"},
			&cli.BoolFlag{Name: "allow-empty", Destination: &opts.allowEmpty,
				Usage: "also if this host sees no volume"},
			sysrootFlag(&opts.sysroot),
		},
		Shared: opts.Flags.Declare(),
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			return opts.run(ctx, e)
		},
	}
}

// primeReport is what --json prints.
type primeReport struct {
	DryRun   bool     `json:"dry_run"`
	Host     api.Host `json:"host"`
	Warnings []string `json:"warnings,omitempty"` // of the server
}

// run reads the disks before it connects: a host that cannot be read must not
// replace what the server knows of it.
func (o *primeOptions) run(ctx context.Context, e *program.Env) error {
	host, err := o.thisHost(ctx, e)
	if err != nil {
		return err
	}
	if o.dryRun {
		return e.Result(primeReport{DryRun: true, Host: host}, func(w io.Writer) {
			writeDevices(w, host)
			fmt.Fprintf(w, "host %s would be primed with %s\n", host.Name, deviceCount(host))
		})
	}
	s, err := o.Connect(ctx, e)
	if err != nil {
		return err
	}
	primed, err := s.PrimeHost(ctx, host, api.PrimeOptions{
		Machine: hostdisk.MachineID(ctx, o.sysroot), Replace: o.replace, AllowEmpty: o.allowEmpty,
	})
	if err != nil {
		return err
	}
	for _, w := range primed.Warnings {
		e.Warn("%s", w)
	}
	note := fmt.Sprintf("host %s primed with %s", host.Name, deviceCount(host))
	e.Log.Info(note)
	report := primeReport{Host: primed.Host, Warnings: primed.Warnings}
	return e.Result(report, func(w io.Writer) {
		writeDevices(w, host)
		fmt.Fprintln(w, note)
	})
}

// thisHost reads the host's name and its volumes.
func (o *primeOptions) thisHost(ctx context.Context, e *program.Env) (api.Host, error) {
	models, err := connect.Models(e)
	if err != nil {
		return api.Host{}, err
	}
	disks, warnings, err := hostdisk.List(ctx, hostdisk.Options{Root: o.sysroot, Models: models})
	if err != nil {
		return api.Host{}, err
	}
	for _, w := range warnings {
		e.Warn("%s", w)
	}
	name, err := o.name()
	if err != nil {
		return api.Host{}, err
	}
	host := api.Host{Name: name, OS: hostdisk.OSName(o.sysroot), Devices: []api.Device{}}
	for _, d := range disks {
		if serial, ok := d.Volume(); ok {
			host.Devices = append(host.Devices, api.Device{Name: d.Name, Serial: serial})
		} else {
			e.Warn("%s is not sent: its serial %s is not one of a 2105, 2107 or 1750", d.Name, d.VolumeSerial())
		}
	}
	if len(host.Devices) == 0 && !o.allowEmpty {
		return api.Host{}, fault.New(fault.Refused, "this host has no 2105 volume").
			WithHint("disks may come late at boot; if it is to have none, give --allow-empty")
	}
	if len(host.Devices) == 0 {
		e.Warn("this host has no 2105 volume")
	}
	e.Log.Debug("read this host", "name", name, "devices", len(host.Devices))
	return host, nil
}

// name returns what this host is called. A name that a system has because nobody
// gave it one is that of many hosts, which would take each other's place.
func (o *primeOptions) name() (string, error) {
	name := o.hostname
	if name == "" {
		var err error
		if name, err = hostdisk.HostName(o.sysroot); err != nil {
			return "", err
		}
	}
	if hostdisk.IsDefaultName(name) {
		return "", fault.New(fault.Refused, "many hosts are called %s, nobody can tell which", name).
			WithHint("call this one otherwise: --hostname NAME")
	}
	return name, nil
}

// writeDevices prints what was sent in the layout of rsList2105s.
func writeDevices(w io.Writer, host api.Host) {
	disks := make([]diskReport, len(host.Devices))
	for i, d := range host.Devices {
		disks[i] = diskReport{Device: d.Name, Serial: string(d.Serial)}
	}
	writeDisks(w, disks)
}

func deviceCount(host api.Host) string { return program.Count(len(host.Devices), "device name") }
