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
	"copyservices/rscli/rsclitest"
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
	b := rsclitest.NewBench(t)
	root := twoVolumes(t)
	b.Expect(b.Run(NewList, "--sysroot", root), 0)
	want := sampleList + "/dev/sdb         20313698\n" + "/dev/sdc         20413698\n"
	if got := b.Out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	b.Expect(b.Run(NewList, "--all", "--sysroot", root), 0)
	want = sampleAll + "/dev/sda         other                        QEMU     HARDDISK\n" +
		"/dev/sdb         20313698                     IBM      2105800\n" +
		"/dev/sdc         20413698                     IBM      2105800\n"
	if got := b.Out.String(); got != want {
		t.Errorf("--all printed\n%swant\n%s", got, want)
	}
	b.Expect(b.Run(NewList, "--sysroot", sysroot(t)), 0)
	if got := b.Out.String(); got != sampleList {
		t.Errorf("without disks it prints\n%s", got)
	}
	b.Expect(b.Run(NewList, "--sysroot", t.TempDir()+"/none"), 2)
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
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewList, "--json", "--sysroot", twoVolumes(t)), 0)
	var doc struct {
		Host  string
		Disks []diskReport
	}
	b.Document(&doc)
	want := diskReport{"/dev/sdb", "20313698", "IBM", "2105800", 64 << 20,
		"t10.IBM     2105800         20313698"}
	if doc.Host != "rich-w2k-os-1" || len(doc.Disks) != 2 || doc.Disks[0] != want {
		t.Errorf("document is %+v", doc)
	}
	b.Expect(b.Run(NewList, "--json", "--sysroot", sysroot(t)), 0)
	if !strings.Contains(b.Out.String(), `"disks": []`) {
		t.Errorf("no disks are %s", &b.Out)
	}
}

// takeHost serves the PUT of a host and returns where it is kept.
func takeHost(f *rsclitest.Server, name string) *api.Host {
	got := &api.Host{}
	f.Handle("PUT /v1/hosts/"+name, func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(got); err != nil {
			rsclitest.SendFault(w, http.StatusBadRequest, fault.New(fault.Usage, "%w", err))
			return
		}
		rsclitest.SendJSON(w, http.StatusOK, got)
	})
	return got
}

func TestPrime(t *testing.T) {
	f := rsclitest.NewServer(t)
	host := takeHost(f, "rich-w2k-os-1")
	b := rsclitest.NewBench(t)
	root := twoVolumes(t)
	b.Expect(b.Run(NewPrime, "-s", f.Addr(), "--sysroot", root), 0)
	want := sampleList + "/dev/sdb         20313698\n/dev/sdc         20413698\n" +
		"host rich-w2k-os-1 primed with 2 device names\n"
	if got := b.Out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	if host.Name != "rich-w2k-os-1" || host.OS == "" || len(host.Devices) != 2 ||
		host.Devices[1] != (api.Device{Name: "/dev/sdc", Serial: "20413698"}) {
		t.Errorf("the server got %+v", host)
	}
	other := takeHost(f, "Other")
	b.Expect(b.Run(NewPrime, "--hostname", "Other", "--sysroot", root, "-s", f.Addr(), "--json"), 0)
	var doc primeReport
	b.Document(&doc)
	if doc.DryRun || other.Name != "Other" || doc.Host.Name != "Other" || len(doc.Host.Devices) != 2 {
		t.Errorf("document %+v, the server got %+v", doc, other)
	}
}

func TestPrimeDryRunConnectsToNothing(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = ""
	b.Expect(b.Run(NewPrime, "--dry-run", "--sysroot", twoVolumes(t)), 0)
	if !strings.HasSuffix(b.Out.String(),
		"host rich-w2k-os-1 would be primed with 2 device names\n") {
		t.Errorf("printed\n%s", &b.Out)
	}
	b.Expect(b.Run(NewPrime, "--dry-run", "--sysroot", sysroot(t)), 6,
		"error: this host has no 2105 volume")
	b.Expect(b.Run(NewPrime, "--dry-run", "--allow-empty", "--json", "--sysroot", sysroot(t)), 0,
		"warning: this host has no 2105 volume")
	if !strings.Contains(b.Out.String(), `"devices": []`) {
		t.Errorf("no devices are %s", &b.Out)
	}
}

// TestPrimeSaysWhatItIs: who it is stands in the query, beside a body that any
// server understands.
func TestPrimeSaysWhatItIs(t *testing.T) {
	f := rsclitest.NewServer(t)
	var query, body string
	f.Handle("PUT /v1/hosts/rich-w2k-os-1", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		query, body = r.URL.RawQuery, string(text)
		rsclitest.SendJSON(w, http.StatusOK, api.PrimedHost{
			Host: api.Host{Name: "rich-w2k-os-1"}, Warnings: []string{"mind the disks"},
		})
	})
	b := rsclitest.NewBench(t)
	root := twoVolumes(t)
	b.Expect(b.Run(NewPrime, "-s", f.Addr(), "--sysroot", root), 0, "warning: mind the disks")
	if query != "" || strings.Contains(body, "machine") {
		t.Errorf("a host without an id sends %q, %s", query, body)
	}
	tree := hostdisktest.Tree{Root: root}
	id := "0123456789abcdef0123456789abcdef"
	if err := tree.File("etc/machine-id", []byte(id)); err != nil {
		t.Fatal(err)
	}
	b.Expect(b.Run(NewPrime, "-s", f.Addr(), "--sysroot", root, "--replace", "--allow-empty"), 0)
	want := "allow-empty=true&machine=acf41a0eb86349378424ded4af2dbf10&replace=true"
	if query != want || strings.Contains(body, "machine") {
		t.Errorf("it sends %q, %s", query, body)
	}
}

func TestPrimeRefused(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Refuse("PUT /v1/hosts/rich-w2k-os-1", http.StatusForbidden, fault.New(fault.Denied,
		"a monitor may not"))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewPrime, "-s", f.Addr(), "--sysroot", twoVolumes(t)), 5, "a monitor may not")
	if b.Out.Len() > 0 {
		t.Errorf("it seems to have worked: %s", &b.Out)
	}
	b.Expect(b.Run(NewPrime, "-s", rsclitest.ClosedPort(t), "--sysroot", twoVolumes(t)), 3)
}

// What was not sent has no time of its arrival.
func TestDryRunOfPrimeHasNoTime(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewPrime, "--dry-run", "--json", "--sysroot", "../testscripts/hosts/rich-w2k-os-1"), 0)
	if got := b.Out.String(); strings.Contains(got, "primed") || !strings.Contains(got, "20313698") {
		t.Errorf("printed %s", got)
	}
}
