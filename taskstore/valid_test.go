package taskstore_test

import (
	"reflect"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

var task = taskstore.Task{
	Name: "VMWare_W2K_FC", Type: taskstore.TaskEstablish,
	Pairs: []taskstore.TaskPair{
		{Source: "rich-w2k-os-1:Disk1", Target: "RICH-W2K-OS-2:Disk1"},
		{Source: "20513698", Target: "20613698"},
	},
	Options: arrayclient.Options{NoCopy: true},
}

var host = taskstore.Host{
	Name: "rich-w2k-os-1", OS: "windows",
	Devices: []taskstore.Device{{Name: "Disk1", Serial: "20313698"}},
}

func TestParseEndpoint(t *testing.T) {
	for s, want := range map[string]taskstore.Endpoint{
		"20313698":        {Serial: "20313698"},
		"a0f1abcd":        {Serial: "A0F1ABCD"},
		"h:Disk1":         {Host: "h", Device: "Disk1"},
		"h:/dev/by:path":  {Host: "h", Device: "/dev/by:path"},
		"20313698:hdisk2": {Host: "20313698", Device: "hdisk2"},
	} {
		got, err := taskstore.ParseEndpoint(s)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", ":", "h:", ":d", "2031369", "h:\n", strings.Repeat("x:", 300)} {
		if _, err := taskstore.ParseEndpoint(s); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestTaskFileRoundTrip(t *testing.T) {
	data, err := taskstore.FormatTask(task)
	must(t, err)
	got, err := taskstore.ReadTask(strings.NewReader(string(data)))
	if err != nil || !reflect.DeepEqual(got, task) {
		t.Errorf("read %+v, %v from\n%s", got, err, data)
	}
}

const goodTask = "name: a\ntype: establish\npairs: [{source: h:d, target: 20413698}]\n"

func TestBadTaskFiles(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":    goodTask + "wait: true\n",
		"wrong type":     strings.Replace(goodTask, "name: a", "name: [a]", 1),
		"two documents":  goodTask + "---\n" + goodTask,
		"key twice":      goodTask + "name: b\n",
		"no name":        strings.Replace(goodTask, "name: a\n", "", 1),
		"dash":           strings.Replace(goodTask, "name: a", "name: -a", 1),
		"no such type":   strings.Replace(goodTask, "establish", "flash", 1),
		"no pairs":       "name: a\ntype: withdraw\npairs: []\n",
		"bad end":        strings.Replace(goodTask, "h:d", "203", 1),
		"options":        strings.Replace(goodTask, "establish", "resync", 1) + "options: {nocopy: true}\n",
		"unknown option": goodTask + "options: {no_copy: true}\n",
		"empty":          "",
		"nonsense":       strings.Repeat("\x00nonsense: {", 1000),
		"too big":        strings.Repeat("# ten megabytes of nonsense\n", 400_000),
	} {
		_, err := taskstore.ReadTask(strings.NewReader(text))
		if fault.KindOf(err) != fault.Usage || len(err.Error()) > 1000 {
			t.Errorf("%s: %v (kind %q)", name, err, fault.KindOf(err))
		}
	}
	if _, err := taskstore.ReadTask(strings.NewReader(goodTask)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// FuzzReadTask: what is read is valid and reads the same when written again.
func FuzzReadTask(f *testing.F) {
	f.Add(goodTask)
	f.Add("name: b\ntype: withdraw\npairs:\n- {source: 20313698, target: h:/dev/sdb}\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := taskstore.ReadTask(strings.NewReader(text))
		if err != nil {
			return
		}
		data, err := taskstore.FormatTask(first)
		must(t, err)
		second, err := taskstore.ReadTask(strings.NewReader(string(data)))
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%+v became %+v, %v", first, second, err)
		}
	})
}

func TestValidateOthers(t *testing.T) {
	user := taskstore.User{Name: "u", Role: taskstore.RoleMonitor}
	entry := taskstore.Entry{Kind: taskstore.EntryESSServer, Address: "[fe80::1]:8452", User: "u"}
	for _, err := range []error{host.Validate(), user.Validate(), entry.Validate()} {
		must(t, err)
	}
	twice := host
	twice.Devices = append([]taskstore.Device{}, host.Devices[0], host.Devices[0])
	short := host
	short.Devices = []taskstore.Device{{Name: "Disk1", Serial: "203"}}
	colon := host
	colon.Name = "a:b"
	bad := []error{
		twice.Validate(), short.Validate(), colon.Validate(),
		taskstore.User{Name: "a:b", Role: taskstore.RoleAdmin}.Validate(),
		taskstore.User{Name: "a", Role: "root"}.Validate(),
		taskstore.Entry{Kind: "hmc", Address: "x", User: "u"}.Validate(),
		taskstore.Entry{Kind: taskstore.EntryESS, Address: "x/y", User: "u"}.Validate(),
		taskstore.Entry{Kind: taskstore.EntryESS, Address: "10.0.0.256", User: "u"}.Validate(),
		taskstore.Entry{Kind: taskstore.EntryESS, Address: "5", User: "u"}.Validate(),
		taskstore.Entry{Kind: taskstore.EntryESS, Address: "x", Alternate: "-x", User: "u"}.Validate(),
		taskstore.Entry{Kind: taskstore.EntryESS, Address: "x"}.Validate(),
	}
	bad = append(bad, badAccess()...)
	for i, err := range bad {
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("bad thing %d: %v", i, err)
		}
	}
}

func badAccess() []error {
	assign := func(volume arrayclient.Serial, hosts ...string) error {
		a := taskstore.Assignment{Volume: volume}
		for _, h := range hosts {
			a.Hosts = append(a.Hosts, taskstore.HostAccess{Host: h})
		}
		return a.Validate()
	}
	return []error{
		taskstore.Credential{Serial: "0a", Host: ""}.Validate(),
		taskstore.Credential{Serial: "0a", Host: "h:i"}.Validate(),
		taskstore.Credential{Serial: "0A", Host: "h"}.Validate(),
		taskstore.Credential{Host: "h"}.Validate(),
		assign("20313698"), assign("203", "h"), assign("20313698", "h", "H"),
		assign("20313698", "h", ""), assign("20313698", "h:ro"),
	}
}

func TestAccess(t *testing.T) {
	a := taskstore.Assignment{Volume: "20313698", Hosts: []taskstore.HostAccess{
		{Host: "Rich-W2K-OS-1"}, {Host: "vm", ReadOnly: true},
	}}
	must(t, a.Validate())
	if got, ok := a.Access("rich-w2k-os-1"); !ok || got.ReadOnly {
		t.Errorf("a host that is named: %+v, %v", got, ok)
	}
	if got, ok := a.Access("VM"); !ok || !got.ReadOnly {
		t.Errorf("a host that may read: %+v, %v", got, ok)
	}
	for _, name := range []string{"", "v", "rich-w2k-os-2"} {
		if _, ok := a.Access(name); ok {
			t.Errorf("host %q has access", name)
		}
	}
}

func TestRolesInclude(t *testing.T) {
	admin, operator, monitor := taskstore.RoleAdmin, taskstore.RoleOperator, taskstore.RoleMonitor
	if !admin.Includes(monitor) || !operator.Includes(operator) || monitor.Includes(operator) ||
		taskstore.Role("").Includes(monitor) {
		t.Error("roles are out of order")
	}
}

// The type that a task has on the command line by default it has in a file too.
func TestTaskFileWithoutType(t *testing.T) {
	task, err := taskstore.ReadTask(strings.NewReader("name: T\npairs:\n- {source: 20313698, target: 20413698}\n"))
	if err != nil || task.Type != taskstore.TaskEstablish {
		t.Errorf("%+v, %v", task, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
