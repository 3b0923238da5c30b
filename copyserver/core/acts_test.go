package core_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// act is one thing that callers do.
type act struct {
	least taskstore.Role
	// ready makes what the act needs and returns the act, which then succeeds once.
	ready func(*world) func(core.Caller) error
}

// look is an act that every user may do, and that needs nothing.
func look(do func(*world, core.Caller) error) act {
	return act{taskstore.RoleMonitor, func(w *world) func(core.Caller) error {
		return func(by core.Caller) error { return do(w, by) }
	}}
}

// failed is the error of what returns something too.
func failed[T any](_ T, err error) error { return err }

var acts = map[string]act{
	"ListArrays": look(func(w *world, by core.Caller) error {
		return failed(w.ListArrays(w.Context(), by))
	}),
	"Array": look(func(w *world, by core.Caller) error {
		return failed(w.Array(w.Context(), by, "2105.13698"))
	}),
	"SetArrayCopyRate": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		rate := int64(1 << 30)
		return func(by core.Caller) error {
			return failed(w.SetArrayCopyRate(w.Context(), by, "", &rate))
		}
	}},
	"Volumes": look(func(w *world, by core.Caller) error {
		return failed(w.Volumes(w.Context(), by))
	}),
	"VolumesIn": look(func(w *world, by core.Caller) error {
		return failed(w.VolumesIn(w.Context(), by, ""))
	}),
	"Volume": {taskstore.RoleMonitor, onVolume(func(w *world, by core.Caller, v arrayclient.Serial) error {
		return failed(w.Volume(w.Context(), by, v))
	})},
	"CreateVolumes": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		return func(by core.Caller) error {
			return failed(finish(w.CreateVolumes(by, "", arrayclient.VolumeSpec{Size: 1 << 20})))
		}
	}},
	"ChangeVolume": {taskstore.RoleAdmin, onVolume(func(w *world, by core.Caller, v arrayclient.Serial) error {
		return failed(w.ChangeVolume(w.Context(), by, v, core.VolumeChange{Size: 2 << 20}))
	})},
	"DeleteVolume": {taskstore.RoleAdmin, onVolume(func(w *world, by core.Caller, v arrayclient.Serial) error {
		return w.DeleteVolume(w.Context(), by, v)
	})},
	"OpenContent": {taskstore.RoleAdmin, onVolume(func(w *world, by core.Caller, v arrayclient.Serial) error {
		return closed(w.OpenContent(w.Context(), by, v))
	})},
	"ReplaceContent": {taskstore.RoleAdmin, onVolume(func(w *world, by core.Caller, v arrayclient.Serial) error {
		return closed(w.ReplaceContent(w.Context(), by, v, false))
	})},
	"Relationships": look(func(w *world, by core.Caller) error {
		return failed(w.Relationships(w.Context(), by))
	}),
	"RelationshipsIn": look(func(w *world, by core.Caller) error {
		return failed(w.RelationshipsIn(w.Context(), by, ""))
	}),
	"Establish": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		v := w.volumes(2)
		return func(by core.Caller) error {
			return failed(finish(w.Establish(by, pairs(v...), arrayclient.Options{})))
		}
	}},
	"Withdraw": {taskstore.RoleAdmin, onPair(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		return failed(finish(w.Withdraw(by, p)))
	})},
	"Resync": {taskstore.RoleAdmin, onRecorded(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		return failed(finish(w.Resync(by, p)))
	})},
	"Reverse": {taskstore.RoleAdmin, onRecorded(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		return failed(finish(w.Reverse(by, p)))
	})},
	"BackgroundCopy": {taskstore.RoleAdmin, onPair(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		return failed(finish(w.BackgroundCopy(by, p)))
	})},
	"ConsistencyCreated": {taskstore.RoleAdmin, onFrozen(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		return failed(finish(w.ConsistencyCreated(by, p)))
	})},
	"SetCopyRate": {taskstore.RoleAdmin, onPair(func(w *world, by core.Caller, p []taskstore.TaskPair) error {
		rate := int64(1 << 30)
		return failed(finish(w.SetCopyRate(by, p, &rate)))
	})},
	"Hosts": look(func(w *world, by core.Caller) error { return failed(w.Hosts(by)) }),
	"Host": {taskstore.RoleMonitor, onHost(func(w *world, by core.Caller, name string) error {
		return failed(w.Host(by, name))
	})},
	"PrimeHost": {taskstore.RoleOperator, onHost(func(w *world, by core.Caller, name string) error {
		_, _, err := w.PrimeHost(by, hostOf(name, "00013698"), core.Prime{})
		return err
	})},
	"DeleteHost": {taskstore.RoleAdmin, onHost(func(w *world, by core.Caller, name string) error {
		return w.DeleteHost(by, name)
	})},
	"Tasks": look(func(w *world, by core.Caller) error { return failed(w.Tasks(by)) }),
	"Task": {taskstore.RoleMonitor, onTask(func(w *world, by core.Caller, name string) error {
		return failed(w.Task(by, name))
	})},
	"CreateTask": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		t := taskOf(w.name(), "vm:Disk1", "vm:Disk2")
		return func(by core.Caller) error { return w.CreateTask(by, t) }
	}},
	"PutTask": {taskstore.RoleAdmin, onTask(func(w *world, by core.Caller, name string) error {
		return failed(w.PutTask(by, taskOf(name, "vm:Disk1", "vm:Disk2")))
	})},
	"DeleteTask": {taskstore.RoleAdmin, onTask(func(w *world, by core.Caller, name string) error {
		return w.DeleteTask(by, name)
	})},
	"StartRun": {taskstore.RoleOperator, onTask(func(w *world, by core.Caller, name string) error {
		return failed(w.StartRun(w.Context(), by, runner.Request{Task: name}))
	})},
	"DryRun": {taskstore.RoleOperator, onTask(func(w *world, by core.Caller, name string) error {
		return failed(w.DryRun(w.Context(), by, runner.Request{Task: name}))
	})},
	"Completion": {taskstore.RoleMonitor, onRun(func(w *world, by core.Caller, run taskstore.Run) error {
		return failed(w.Completion(w.Context(), by, run.Task, 0))
	})},
	"Runs": look(func(w *world, by core.Caller) error {
		return failed(w.Runs(w.Context(), by, "", 1))
	}),
	"Run": {taskstore.RoleMonitor, onRun(func(w *world, by core.Caller, run taskstore.Run) error {
		return failed(w.Core.Run(w.Context(), by, run.ID, 0))
	})},
	"DeleteRun": {taskstore.RoleAdmin, onRun(func(w *world, by core.Caller, run taskstore.Run) error {
		return w.DeleteRun(by, run.ID, func(taskstore.Run) error { return nil })
	})},
	"Credentials": {taskstore.RoleAdmin, look(func(w *world, by core.Caller) error {
		return failed(w.Credentials(by))
	}).ready},
	"IssueCredential": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		request := certificateRequest(w.T)
		return func(by core.Caller) error { return failed(finish(w.IssueCredential(by, "vm", request))) }
	}},
	"RevokeCredential": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		serial := w.issue("vm").Serial
		return func(by core.Caller) error { return w.RevokeCredential(by, serial) }
	}},
	"Users": {taskstore.RoleAdmin, look(func(w *world, by core.Caller) error {
		return failed(w.Users(by))
	}).ready},
	"CreateUser": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		change := core.UserChange{Name: w.name(), Password: "secret"}
		return func(by core.Caller) error { return failed(w.CreateUser(w.Context(), by, change)) }
	}},
	"ChangeUser": {taskstore.RoleAdmin, onUser(func(w *world, by core.Caller, name string) error {
		return failed(w.ChangeUser(w.Context(), by, name, core.UserChange{Password: "other"}))
	})},
	"DeleteUser": {taskstore.RoleAdmin, onUser(func(w *world, by core.Caller, name string) error {
		return w.DeleteUser(by, name)
	})},
	"Entries": {taskstore.RoleAdmin, look(func(w *world, by core.Caller) error {
		return failed(w.Entries(by, ""))
	}).ready},
	"AddEntry": {taskstore.RoleAdmin, func(w *world) func(core.Caller) error {
		e := entryOf(w.name())
		return func(by core.Caller) error { return failed(w.AddEntry(w.Context(), by, e)) }
	}},
	"ChangeEntry": {taskstore.RoleAdmin, onEntry(func(w *world, by core.Caller, address string) error {
		return failed(w.ChangeEntry(w.Context(), by, taskstore.EntryESS, address, taskstore.Entry{User: "root"}))
	})},
	"DeleteEntry": {taskstore.RoleAdmin, onEntry(func(w *world, by core.Caller, address string) error {
		return w.DeleteEntry(by, taskstore.EntryESS, address)
	})},
}

// on makes an act of what is done with a thing that it needs.
func on[T any](
	thing func(*world) T, do func(*world, core.Caller, T) error,
) func(*world) func(core.Caller) error {
	return func(w *world) func(core.Caller) error {
		it := thing(w)
		return func(by core.Caller) error { return do(w, by, it) }
	}
}

type ready = func(*world) func(core.Caller) error

func onVolume(do func(*world, core.Caller, arrayclient.Serial) error) ready {
	return on(func(w *world) arrayclient.Serial { return w.volumes(1)[0] }, do)
}

func onPair(do func(*world, core.Caller, []taskstore.TaskPair) error) ready {
	return onPairWith(arrayclient.Options{NoCopy: true}, do)
}

func onFrozen(do func(*world, core.Caller, []taskstore.TaskPair) error) ready {
	return onPairWith(arrayclient.Options{NoCopy: true, Freeze: true}, do)
}

func onPairWith(
	options arrayclient.Options, do func(*world, core.Caller, []taskstore.TaskPair) error,
) ready {
	return on(func(w *world) []taskstore.TaskPair {
		v := w.volumes(2)
		w.establish(options, v...)
		return pairs(v...)
	}, do)
}

// onRecorded is for what wants a copy that is complete and records changes.
func onRecorded(do func(*world, core.Caller, []taskstore.TaskPair) error) ready {
	return on(func(w *world) []taskstore.TaskPair {
		v := w.volumes(2)
		w.establish(arrayclient.Options{Record: true}, v...)
		w.copied(v[0])
		return pairs(v...)
	}, do)
}

func onHost(do func(*world, core.Caller, string) error) ready {
	return on(func(w *world) string {
		name := w.name()
		w.prime(name, "00013698")
		return name
	}, do)
}

func onTask(do func(*world, core.Caller, string) error) ready {
	return on(func(w *world) string { return w.task(w.volumes(2)...) }, do)
}

func onRun(do func(*world, core.Caller, taskstore.Run) error) ready {
	return on(func(w *world) taskstore.Run {
		return w.run(runner.Request{Task: w.task(w.volumes(2)...)})
	}, do)
}

func onUser(do func(*world, core.Caller, string) error) ready {
	return on(func(w *world) string { return w.user(taskstore.RoleMonitor).Name }, do)
}

func onEntry(do func(*world, core.Caller, string) error) ready {
	return on(func(w *world) string {
		address := w.name()
		must(w.T, failed(w.AddEntry(w.Context(), admin, entryOf(address))))
		return address
	}, do)
}

// TestRoles holds every method against the role that it takes: who has less is
// denied and changes nothing, who has it or more succeeds.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	callers := []core.Caller{{Name: "stranger"}, monitor, operator, admin}
	for _, name := range slices.Sorted(maps.Keys(acts)) {
		a := acts[name]
		do, before := a.ready(w), w.everything()
		for _, by := range callers {
			if by.Role.Includes(a.least) {
				if err := do(by); err != nil {
					t.Errorf("%s as %q: %v", name, by.Role, err)
				}
				if by != admin {
					do = a.ready(w)
				}
				continue
			}
			err := do(by)
			if !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%s as %q: %v, want it to be forbidden", name, by.Role, err)
			}
			wantFault(t, err, fault.Denied, "user "+by.Name+" has the role "+string(by.Role), "an admin")
			w.unchangedSince(before, name+", which is denied,")
		}
	}
}

// TestEveryMethodHasItsRole fails for a method that TestRoles leaves out.
func TestEveryMethodHasItsRole(t *testing.T) {
	known := slices.Sorted(maps.Keys(acts))
	all, caller := reflect.TypeFor[*core.Core](), reflect.TypeFor[core.Caller]()
	var methods, withoutCaller []string
	for i := range all.NumMethod() {
		m := all.Method(i)
		takesCaller := false
		for in := range m.Type.Ins() {
			takesCaller = takesCaller || in == caller
		}
		if takesCaller {
			methods = append(methods, m.Name)
		} else {
			withoutCaller = append(withoutCaller, m.Name)
		}
	}
	if !slices.Equal(methods, known) {
		t.Errorf("the methods that take a caller are\n%q, those whose role is tested\n%q", methods, known)
	}
	if len(withoutCaller) > 0 {
		t.Errorf("%q take no caller: whom a rule holds for stands in its arguments", withoutCaller)
	}
}
