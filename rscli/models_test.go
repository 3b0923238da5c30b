package rscli

import (
	"os"
	"testing"

	"copyservices/rscli/hostdisk/hostdisktest"
	"copyservices/rscli/rsclitest"
)

// TestModelsNeedNoSecrets: a configuration that other commands refuse for its
// password is good enough to list disks; one with mistakes is not good enough to
// prime a server.
func TestModelsNeedNoSecrets(t *testing.T) {
	b := rsclitest.NewBench(t)
	root := sysroot(t, hostdisktest.Disk{Name: "sda", Vendor: "IBM", Model: "2107900",
		Serial: "75dc8914805"})
	b.Vars["RSCLI_CONFIG"] = b.Write("open.yaml", 0o644, "password: x\nmodels: 2107\n")
	b.Expect(b.Run(NewList, "--sysroot", root), 0)
	if got, want := b.Out.String(), sampleList+"/dev/sda         75DC8914805\n"; got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	b.Vars["RSCLI_CONFIG"] = b.Write("bad.yaml", 0o600, "modles: 2107\n")
	b.Expect(b.Run(NewList, "--sysroot", root), 0, `warning: `, `unknown key "modles"`)
	b.Expect(b.Run(NewPrime, "--dry-run", "--sysroot", root), 2, `unknown key "modles"`)
}

// TestListNeedsNoServer: mistakes in what a configuration says of servers, and one
// that is no YAML, do not keep the disks from being listed.
func TestListNeedsNoServer(t *testing.T) {
	b := rsclitest.NewBench(t)
	root := sysroot(t,
		hostdisktest.Disk{Name: "sda", Vendor: "IBM", Model: "2107900", Serial: "75DC8914805"},
		hostdisktest.Disk{Name: "sdb", Vendor: "IBM", Model: "2105800", Serial: "20313698"})
	const both, one = "/dev/sda         75DC8914805\n/dev/sdb         20313698\n",
		"/dev/sdb         20313698\n"
	for config, want := range map[string]string{
		"colour: red\nmodels: [2105, 2107]\n":                   both,
		"models: [2105, 2107]\ntrust: maybe\n":                  both,
		"server: [a]\nmodels: [2105, 2107]\nuser: u\nuser: v\n": both,
		"{":                           one,
		"- a\n":                       one,
		"server: a\n---\nserver: b\n": one,
	} {
		b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, config)
		b.Expect(b.Run(NewList, "--sysroot", root), 0, "warning: ", "c.yaml")
		if got := b.Out.String(); got != sampleList+want {
			t.Errorf("%q: printed\n%s", config, got)
		}
	}
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "colour: red\nmodels: [five]\n")
	b.Expect(b.Run(NewList, "--sysroot", root), 2, "c.yaml")
}

func TestModelsOfAConfigThatMayNotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("closed.yaml", 0o000, "models: 2107\n")
	b.Expect(b.Run(NewList, "--sysroot", twoVolumes(t)), 0, "permission denied")
}

func TestPrimeSendsVolumesOfKnownForm(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_MODELS"] = "2105,2107,2145"
	root := sysroot(t,
		hostdisktest.Disk{Name: "sda", Vendor: "IBM", Model: "2145", Serial: "0200602046b2XX00"},
		hostdisktest.Disk{Name: "sdb", Vendor: "IBM", Model: "2105800", Serial: "20313698"},
		hostdisktest.Disk{Name: "sdc", Vendor: "IBM", Model: "2107900", Serial: "75dc8914805"})
	b.Expect(b.Run(NewPrime, "--dry-run", "--sysroot", root), 0,
		"/dev/sda is not sent: its serial 0200602046b2XX00 is not one of a 2105, 2107 or 1750")
	want := sampleList + "/dev/sdb         20313698\n/dev/sdc         75DC8914805\n" +
		"host rich-w2k-os-1 would be primed with 2 device names\n"
	if got := b.Out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}
