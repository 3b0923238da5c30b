package rscli

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/hostdisk/hostdisktest"
)

const sampleList = "disk name        2105 serial number\n" +
	"-------------    ----------------------------\n"

const sampleAll = "disk name        2105 serial number           vendor   model\n" +
	"-------------    ---------------------------- -------- --------\n"

// sysroot makes a host of these disks.
func sysroot(t *testing.T, disks ...hostdisktest.Disk) string {
	t.Helper()
	dir := t.TempDir()
	tree, err := hostdisktest.New(dir, "rich-w2k-os-1")
	for i, d := range disks {
		d.LUN = i
		if err == nil {
			err = tree.Add(d)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func twoVolumes(t *testing.T) string {
	return sysroot(t,
		hostdisktest.Disk{Name: "sda", Vendor: "QEMU", Model: "HARDDISK", Serial: "other"},
		hostdisktest.Disk{Name: "sdb", Vendor: "IBM", Model: "2105800", Serial: "20313698",
			Size: 64 << 20},
		hostdisktest.Disk{Name: "sdc", Vendor: "IBM", Model: "2105800", Serial: "20413698"},
	)
}

func TestListLayout(t *testing.T) {
	b := newBench(t)
	root := twoVolumes(t)
	b.expect(b.run(newList, "--sysroot", root), 0)
	want := sampleList + "/dev/sdb         20313698\n" + "/dev/sdc         20413698\n"
	if got := b.stdout.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	b.expect(b.run(newList, "--all", "--sysroot", root), 0)
	want = sampleAll + "/dev/sda         other                        QEMU     HARDDISK\n" +
		"/dev/sdb         20313698                     IBM      2105800\n" +
		"/dev/sdc         20413698                     IBM      2105800\n"
	if got := b.stdout.String(); got != want {
		t.Errorf("--all printed\n%swant\n%s", got, want)
	}
	b.expect(b.run(newList, "--sysroot", sysroot(t)), 0)
	if got := b.stdout.String(); got != sampleList {
		t.Errorf("without disks it prints\n%s", got)
	}
	b.expect(b.run(newList, "--sysroot", t.TempDir()+"/none"), 2)
}

func TestListColumns(t *testing.T) {
	var text strings.Builder
	writeDisks(&text, []diskReport{
		{Device: "Disk1", Serial: "20313698"},
		{Device: "/dev/abcdefghijk", Serial: "20413698"},
		{Device: "/dev/mapper/mpatha", Serial: "20513698"},
		{Device: "/dev/sdd"},
	})
	want := sampleList +
		"Disk1            20313698\n" +
		"/dev/abcdefghijk 20413698\n" +
		"/dev/mapper/mpatha 20513698\n" +
		"/dev/sdd         -\n"
	if text.String() != want {
		t.Errorf("printed\n%swant\n%s", &text, want)
	}
}

func TestListJSON(t *testing.T) {
	b := newBench(t)
	b.expect(b.run(newList, "--json", "--sysroot", twoVolumes(t)), 0)
	var doc struct {
		Host  string
		Disks []diskReport
	}
	b.document(&doc)
	want := diskReport{"/dev/sdb", "20313698", "IBM", "2105800", 64 << 20,
		"t10.IBM     2105800         20313698"}
	if doc.Host != "rich-w2k-os-1" || len(doc.Disks) != 2 || doc.Disks[0] != want {
		t.Errorf("document is %+v", doc)
	}
	b.expect(b.run(newList, "--json", "--sysroot", sysroot(t)), 0)
	if !strings.Contains(b.stdout.String(), `"disks": []`) {
		t.Errorf("no disks are %s", &b.stdout)
	}
}

// takeHost serves the PUT of a host and returns where it is kept.
func takeHost(f *fakeServer, name string) *api.Host {
	got := &api.Host{}
	f.handle("PUT /v1/hosts/"+name, func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(got); err != nil {
			sendFault(w, http.StatusBadRequest, fault.New(fault.Usage, "%w", err))
			return
		}
		sendJSON(w, http.StatusOK, got)
	})
	return got
}

func TestPrime(t *testing.T) {
	f := newFake(t)
	host := takeHost(f, "rich-w2k-os-1")
	b := newBench(t)
	root := twoVolumes(t)
	b.expect(b.run(newPrime, "-s", f.addr(), "--sysroot", root), 0)
	want := sampleList + "/dev/sdb         20313698\n/dev/sdc         20413698\n" +
		"host rich-w2k-os-1 primed with 2 device names\n"
	if got := b.stdout.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	if host.Name != "rich-w2k-os-1" || host.OS == "" || len(host.Devices) != 2 ||
		host.Devices[1] != (api.Device{Name: "/dev/sdc", Serial: "20413698"}) {
		t.Errorf("the server got %+v", host)
	}
	other := takeHost(f, "Other")
	b.expect(b.run(newPrime, "--hostname", "Other", "--sysroot", root, "-s", f.addr(), "--json"), 0)
	var doc primeReport
	b.document(&doc)
	if doc.DryRun || other.Name != "Other" || doc.Host.Name != "Other" || len(doc.Host.Devices) != 2 {
		t.Errorf("document %+v, the server got %+v", doc, other)
	}
}

func TestPrimeDryRunConnectsToNothing(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = ""
	b.expect(b.run(newPrime, "--dry-run", "--sysroot", twoVolumes(t)), 0)
	if !strings.HasSuffix(b.stdout.String(),
		"host rich-w2k-os-1 would be primed with 2 device names\n") {
		t.Errorf("printed\n%s", &b.stdout)
	}
	b.expect(b.run(newPrime, "--dry-run", "--sysroot", sysroot(t)), 6,
		"error: this host has no 2105 volume")
	b.expect(b.run(newPrime, "--dry-run", "--allow-empty", "--json", "--sysroot", sysroot(t)), 0,
		"warning: this host has no 2105 volume")
	if !strings.Contains(b.stdout.String(), `"devices": []`) {
		t.Errorf("no devices are %s", &b.stdout)
	}
}

// TestPrimeSaysWhatItIs: who it is stands in the query, beside a body that any
// server understands.
func TestPrimeSaysWhatItIs(t *testing.T) {
	f := newFake(t)
	var query, body string
	f.handle("PUT /v1/hosts/rich-w2k-os-1", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		query, body = r.URL.RawQuery, string(text)
		sendJSON(w, http.StatusOK, api.PrimedHost{
			Host: api.Host{Name: "rich-w2k-os-1"}, Warnings: []string{"mind the disks"},
		})
	})
	b := newBench(t)
	root := twoVolumes(t)
	b.expect(b.run(newPrime, "-s", f.addr(), "--sysroot", root), 0, "warning: mind the disks")
	if query != "" || strings.Contains(body, "machine") {
		t.Errorf("a host without an id sends %q, %s", query, body)
	}
	tree := hostdisktest.Tree{Root: root}
	id := "0123456789abcdef0123456789abcdef"
	if err := tree.File("etc/machine-id", []byte(id)); err != nil {
		t.Fatal(err)
	}
	b.expect(b.run(newPrime, "-s", f.addr(), "--sysroot", root, "--replace", "--allow-empty"), 0)
	want := "allow-empty=true&machine=acf41a0eb86349378424ded4af2dbf10&replace=true"
	if query != want || strings.Contains(body, "machine") {
		t.Errorf("it sends %q, %s", query, body)
	}
}

func TestPrimeRefused(t *testing.T) {
	f := newFake(t)
	f.refuse("PUT /v1/hosts/rich-w2k-os-1", http.StatusForbidden, fault.New(fault.Denied,
		"a monitor may not"))
	b := newBench(t)
	b.expect(b.run(newPrime, "-s", f.addr(), "--sysroot", twoVolumes(t)), 5, "a monitor may not")
	if b.stdout.Len() > 0 {
		t.Errorf("it seems to have worked: %s", &b.stdout)
	}
	b.expect(b.run(newPrime, "-s", closedPort(t), "--sysroot", twoVolumes(t)), 3)
}

// What was not sent has no time of its arrival.
func TestDryRunOfPrimeHasNoTime(t *testing.T) {
	b := newBench(t)
	b.expect(b.run(newPrime, "--dry-run", "--json", "--sysroot", "../testscripts/hosts/rich-w2k-os-1"), 0)
	if got := b.stdout.String(); strings.Contains(got, "primed") || !strings.Contains(got, "20313698") {
		t.Errorf("printed %s", got)
	}
}
