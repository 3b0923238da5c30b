package esscli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/result"
)

// volumeOptions are the flags of "create volume".
type volumeOptions struct {
	size         byteSize
	count        number
	label        optionalText
	first, array string
}

// createVolume prints the serials and nothing else: scripts read them.
func (x *essCLI) createVolume() *program.Command {
	o := &x.volume
	o.count = 1
	return x.leaf(program.Command{
		Name: "volume", Summary: "Create volumes and print their serials, one a line",
		Examples: []string{
			"esscli create volume --size 64MiB --count 2 --first 203",
			"esscli create volume --size 1TiB --label 'mail, disk 2'",
		},
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "size", Value: &o.size, Usage: "such as 64MiB, 1GiB, 1TiB `SIZE`"},
			&cli.GenericFlag{Name: "count", Value: &o.count, Usage: "how many `N`"},
			&cli.GenericFlag{Name: "label", Value: &o.label, Usage: "what they are for `TEXT`"},
			&cli.StringFlag{Name: "first", Destination: &o.first,
				Usage: "volume id of the first, three hex digits `ID`"},
			&cli.StringFlag{Name: "array", Category: program.KindArray, Destination: &o.array,
				Usage: "in this array, like 2105.13698 `ARRAY`"},
		},
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			return x.runCreateVolume(ctx, e)
		},
	})
}

func (x *essCLI) runCreateVolume(ctx context.Context, e *program.Env) error {
	o := x.volume
	req := api.VolumeCreate{
		Array: o.array, Size: int64(o.size), Count: int(o.count), First: o.first,
	}
	if o.label.text != nil {
		req.Label = *o.label.text
	}
	if err := checkVolumes(req); err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	volumes, err := s.CreateVolumes(ctx, req)
	if err != nil {
		return err
	}
	return e.Result(volumeList{volumes}, func(w io.Writer) {
		for _, v := range volumes {
			fmt.Fprintln(w, v.Serial)
		}
	})
}

// checkVolumes finds what no server would take.
func checkVolumes(req api.VolumeCreate) error {
	var array arrayclient.ArrayID
	if req.Array != "" {
		var err error
		if array, err = arrayclient.ParseArrayID(req.Array); err != nil {
			return err
		}
	}
	switch most := array.VolumeIDs(); {
	case req.Size == 0:
		return fault.New(fault.Usage, "--size is missing").WithHint("--size 64MiB, for example")
	case req.Count < 1 || req.Count > most:
		return fault.New(fault.Usage, "--count is from 1 to %d", most)
	case req.First != "":
		return arrayclient.CheckVolumeID(req.First)
	}
	return nil
}

// taskOptions are the flags of "create task".
type taskOptions struct {
	kind string
}

// createTask refuses a name that exists; apply is what replaces.
func (x *essCLI) createTask() *program.Command {
	return x.leaf(program.Command{
		Name: "task", Synopsis: "NAME", Summary: "Store a task",
		Examples: []string{
			"esscli create task NIGHTLY --pair 20313698:20413698 --nocopy",
			"esscli create task T --source host1:Disk1 --target host2:Disk1",
		},
		Flags: []cli.Flag{&cli.StringFlag{Name: "type", Destination: &x.task.kind,
			Category: string(program.OneOf(taskstore.TaskTypes...)),
			Value:    string(taskstore.TaskEstablish), Usage: "establish, withdraw, resync, ... `TYPE`"}},
		Sets:  [][]cli.Flag{x.pairs.flags(), optionFlags(&x.options)},
		Least: 1, Most: 1,
		Run: x.runCreateTask,
	})
}

// runCreateTask resolves no host:device: the server does when the task runs,
// so that a task may be stored before its hosts are primed.
func (x *essCLI) runCreateTask(ctx context.Context, e *program.Env, args []string) error {
	pairs, err := x.pairs.get(nil)
	if err != nil {
		return err
	}
	kind := api.TaskType(x.task.kind)
	task := api.Task{Name: args[0], Type: kind, Pairs: pairs, Options: x.options}
	if err := task.Stored().Validate(); err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	task, err = s.CreateTask(ctx, task)
	if err != nil {
		return err
	}
	return done(e, task, "task %s created", task.Name)
}

// createRelationship is the mkflash of this suite; the withdraw of such
// pairs is "delete relationship".
func (x *essCLI) createRelationship() *program.Command {
	return x.leaf(program.Command{
		Name: "relationship", Synopsis: "[S:T...]",
		Summary: "Establish pairs, all or none, without a stored task",
		Examples: []string{
			"esscli create relationship 20313698:20413698 --nocopy",
			"esscli create relationship --source host1:Disk1 --target host2:Disk1",
		},
		Sets:  [][]cli.Flag{x.pairs.flags(), optionFlags(&x.options)},
		Most:  -1,
		Kinds: []program.Kind{program.KindPair},
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			establish := func(s *connect.Session, pairs []api.TaskPair) (api.PairsResult, error) {
				return s.Establish(ctx, api.EstablishRequest{Pairs: pairs, Options: x.options})
			}
			return x.runPairs(ctx, e, args, establish, "established")
		},
	})
}

// runPairs does something to the pairs that flags and arguments name.
func (x *essCLI) runPairs(
	ctx context.Context, e *program.Env, args []string,
	act func(*connect.Session, []api.TaskPair) (api.PairsResult, error), done string,
) error {
	pairs, err := x.pairs.get(args)
	if err != nil {
		return err
	}
	if err := taskstore.ValidatePairs(api.Each(pairs, api.TaskPair.Stored)); err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	result, err := act(s, pairs)
	if err != nil {
		return err
	}
	for _, w := range result.Warnings {
		e.Warn("%s", w)
	}
	var lines []string
	for _, p := range result.Pairs {
		lines = append(lines, rscli.DescribePair(p)+" "+done)
		e.Log.Info(lines[len(lines)-1])
	}
	return e.Result(result, func(w io.Writer) {
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
	})
}

// hostOptions are the flags of "create host".
type hostOptions struct {
	os      string
	devices cli.StringSlice
}

// createHost does by hand what rsPrimeServer does on hosts that can run it.
func (x *essCLI) createHost() *program.Command {
	return x.leaf(program.Command{
		Name: "host", Synopsis: "NAME",
		Summary: "Register a host that cannot run rsPrimeServer",
		Examples: []string{
			"esscli create host esx1 --os ESX --device vmhba1:0:3=20313698",
			"esscli create host db1 --device Disk1=20313698 --device Disk2=20413698",
		},
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "os", Destination: &x.host.os, Usage: "its operating system `NAME`"},
			&cli.StringSliceFlag{Name: "device", Destination: &x.host.devices,
				Usage: "a disk and its volume, repeatable `DEV=SERIAL`"},
		},
		Least: 1, Most: 1,
		Run: x.runCreateHost,
	})
}

// runCreateHost looks first, for the server's PUT would replace a host that
// primed itself. Between look and PUT another host of that name may come: it
// primes again at its next start.
func (x *essCLI) runCreateHost(ctx context.Context, e *program.Env, args []string) error {
	host, err := x.host.host(args[0])
	if err != nil {
		return err
	}
	s, err := x.Connect(ctx, e)
	if err != nil {
		return err
	}
	switch _, err := s.Host(ctx, host.Name); {
	case err == nil:
		return fault.New(fault.Usage, "a host named %s %w", host.Name, fault.ErrExists).
			WithHint("delete it first: esscli delete host %s", host.Name)
	case fault.KindOf(err) != fault.NotFound:
		return err
	}
	host, err = s.PutHost(ctx, host)
	if err != nil {
		return err
	}
	return done(e, host, "host %s created: %s", host.Name, program.Count(len(host.Devices), "device"))
}

// host makes the host of the flags. The serial stands behind the last "=", for
// a device name may hold one.
func (o *hostOptions) host(name string) (api.Host, error) {
	host := api.Host{Name: name, OS: o.os, Devices: []api.Device{}}
	for _, text := range o.devices.Value() {
		cut := strings.LastIndex(text, "=")
		if cut < 0 {
			return api.Host{}, fault.New(fault.Usage, "%q is not a device and its volume", text).
				WithHint("--device Disk1=20313698, for example")
		}
		serial, err := arrayclient.ParseSerial(text[cut+1:])
		if err != nil {
			return api.Host{}, err
		}
		host.Devices = append(host.Devices, api.Device{Name: text[:cut], Serial: serial})
	}
	return host, host.Stored().Validate()
}

// userOptions are the flags of "create user" and "set user".
type userOptions struct {
	role, passwordFile string
}

// flags returns the set. --new-password-file has the user's password, while
// --password-file has that of whoever acts.
func (o *userOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "role", Destination: &o.role,
			Category: string(program.OneOf(taskstore.Roles...)), Usage: "admin, operator or monitor `ROLE`"},
		&cli.StringFlag{Name: "new-password-file", Destination: &o.passwordFile,
			Category: program.KindFile,
			Usage:    "the user's password, else asked for `FILE`"},
	}
}

// change returns what the flags say; ask: a password must be had.
func (o *userOptions) change(
	ctx context.Context, e *program.Env, name string, ask bool,
) (api.UserChange, error) {
	change := api.UserChange{Role: api.Role(o.role)}
	if o.role != "" && !slices.Contains(taskstore.Roles, change.Role) {
		return change, fault.New(fault.Usage, "%q is no role", o.role).
			WithHint("the roles are admin, operator and monitor")
	}
	var err error
	switch {
	case o.passwordFile != "":
		change.Password, err = connect.ReadPasswordFile(e, o.passwordFile)
	case ask && !e.IsTerminal(e.Stdin):
		err = fault.New(fault.Usage, "the password of %s is missing", name).
			WithHint("use --new-password-file")
	case ask:
		change.Password, err = askNewPassword(ctx, e, name)
	}
	return change, err
}

func (x *essCLI) createUser() *program.Command {
	return x.leaf(program.Command{
		Name: "user", Synopsis: "NAME", Summary: "Add a user, an operator unless --role says else",
		Examples: []string{
			"esscli create user backup",
			"esscli create user watcher --role monitor --new-password-file FILE",
		},
		Flags: x.user.flags(), Least: 1, Most: 1,
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			change, err := x.user.change(ctx, e, args[0], true)
			if err != nil {
				return err
			}
			change.Name = args[0]
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			user, err := s.CreateUser(ctx, change)
			if err != nil {
				return err
			}
			return done(e, user, "user %s created: %s", user.Name, user.Role)
		},
	})
}

// setUser changes a password where no role is named: nothing else is left to
// change.
func (x *essCLI) setUser() *program.Command {
	return x.leaf(program.Command{
		Name: "user", Synopsis: "NAME", Summary: "Change the role or the password of a user",
		Examples: []string{
			"esscli set user backup --role monitor",
			"esscli set user backup --new-password-file FILE",
		},
		Flags: x.user.flags(), Least: 1, Most: 1,
		Kinds: []program.Kind{program.KindUser},
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			change, err := x.user.change(ctx, e, args[0], x.user.role == "")
			if err != nil {
				return err
			}
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			user, err := s.ChangeUser(ctx, args[0], change)
			if err != nil {
				return err
			}
			return done(e, user, "user %s changed: %s", user.Name, user.Role)
		},
	})
}

// done logs what was done, and prints it or its document.
func done(e *program.Env, doc any, format string, args ...any) error {
	text := result.OneLine(fmt.Sprintf(format, args...))
	e.Log.Info(text)
	return e.Result(doc, func(w io.Writer) { fmt.Fprintln(w, text) })
}
