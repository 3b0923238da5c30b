package hostdisk

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const uniqueIDOf = "lsattr -El %s -a unique_id -F value"

func uniqueID(name string) string { return strings.Replace(uniqueIDOf, "%s", name, 1) }

func sddHost(t *testing.T) *fakeTools {
	return sampleTools(t, map[string]string{"lsdev -Cc disk": "aix-sdd/lsdev",
		"lscfg -v": "aix-sdd/lscfg", "lsvpcfg": "aix-sdd/lsvpcfg"})
}

func mpioHost(t *testing.T) *fakeTools {
	return sampleTools(t, map[string]string{"lsdev -Cc disk": "aix-mpio/lsdev",
		"lscfg -v": "aix-mpio/lscfg", "lspath -F name parent connection": "aix-mpio/lspath",
		uniqueID("hdisk2"): "=200B75DC891480507210790003IBMfcp\n",
		uniqueID("hdisk4"): "=33213600507680191026C400000000000000104214503IBMfcp\n"})
}

func TestAIXWithSDD(t *testing.T) {
	disks, warnings := sddHost(t).list("aix", Options{})
	want := "vpath0=20313698[hdisk2 hdisk4] vpath1=20413698[hdisk3 hdisk5]"
	if got := showDisks(t, disks); got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "left out hdisk6: it is defined, but not available")
}

func TestAIXWithoutSDD(t *testing.T) {
	f := sddHost(t)
	delete(f.answers, "lsvpcfg")
	disks, warnings := f.list("aix", Options{})
	want := "hdisk2=20313698[hdisk4] hdisk3=20413698[hdisk5]"
	if got := showDisks(t, disks); got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "hdisk6", "hdisk2 and hdisk4 are both volume 20313698",
		"hdisk3 and hdisk5 are both volume 20413698")
}

func TestAIXWithMPIO(t *testing.T) {
	f := mpioHost(t)
	disks, warnings := f.list("aix", Options{})
	if got, want := showDisks(t, disks), "hdisk3=20613698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
	if want := []string{"lsdev -Cc disk", "lscfg -v", "lsvpcfg"}; !slices.Equal(f.ran, want) {
		t.Errorf("it ran %q, want %q", f.ran, want)
	}
}

func TestAIXAll(t *testing.T) {
	models := []string{"2105", "2107", "2145"}
	disks, warnings := mpioHost(t).list("aix", Options{All: true, Details: true, Models: models})
	want := `hdisk0= |  | 
hdisk2=75DC8914805[fscsi0 50050773000000e6,4000400000000000 ` +
		`fscsi1 50050773000000e7,4000400000000000] | IBM | 2107900
hdisk3=20613698 | IBM | 2105800
hdisk4=600507680191026C4000000000000001[fscsi0 500507180120c1c4,2000000000000 ` +
		`fscsi1 500507180120c5cb,2000000000000] | IBM | 2145
hdisk5=013A0001 | 3PARdata | VV`
	if got := showAll(t, disks); got != want {
		t.Errorf("listed\n%s\nwant\n%s", got, want)
	}
	checkWarnings(t, warnings)
}

func TestAIXToolsInTrouble(t *testing.T) {
	hang := errors.New("did not end within 1m0s")
	for line, needed := range map[string]bool{"lscfg -v": true, "lsvpcfg": false,
		"lspath -F name parent connection": false, uniqueID("hdisk2"): false} {
		for _, trouble := range []error{errNoTool, errToolFailed, hang} {
			f := mpioHost(t)
			f.errors[line] = trouble
			opts := Options{Details: true, Models: []string{"2105", "2107"}}
			disks, _, err := listWithTools(t.Context(), "aix", f.run, opts)
			if bad := needed || errors.Is(trouble, hang); bad != errors.Is(err, trouble) {
				t.Errorf("%s %v: %v", line, trouble, err)
			} else if !bad && !strings.Contains(showDisks(t, disks), "hdisk3=20613698") {
				t.Errorf("%s %v: listed %v", line, trouble, disks)
			}
		}
	}
}

func TestParseUniqueID(t *testing.T) {
	for text, want := range map[string]string{
		"200B75DC891480507210790003IBMfcp":                                "75DC8914805",
		"20082031369807210580003IBMfcp":                                   "20313698",
		"33213600507680191026C400000000000000104214503IBMfcp":             "600507680191026C4000000000000001",
		"2A1135000C500337924AB0BST9146852SS03IBMsas":                      "35000C500337924AB",
		"3F2A2A1135000C500337924AB0BST9146852SS03IBMsas05VDASD03AIXvscsi": "",
		"": "", "2": "", "20": "", "200": "", "20ZZ": "", "20FF75": "", "200B75DC8914805": "",
		"200B75DC89148050721079": "", "200B75DC891480507210790003": "",
	} {
		if id, ok := parseUniqueID(text); ok != (want != "") || ok && id != want {
			t.Errorf("parseUniqueID(%q) = %q, %t; want %q", text, id, ok, want)
		}
	}
}

func FuzzLsdev(f *testing.F) {
	f.Add([]byte("hdisk2 Available 1A-08-02     IBM FC 2105\nvpath0 Defined x\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		available, defined := parseLsdev(out)
		for _, name := range append(available, defined...) {
			checkText(t, name)
		}
	})
}

func FuzzLscfg(f *testing.F) {
	f.Add([]byte("  hdisk2  U0.1  IBM\n\n        Manufacturer................IBM\n" +
		"        Serial Number...............20313698\n  PLATFORM SPECIFIC\n"))
	f.Add([]byte("        Serial Number...............\x1b[2J\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for name, d := range parseLscfg(out) {
			checkDisk(t, name, d)
		}
	})
}

func FuzzLsvpcfg(f *testing.F) {
	f.Add([]byte("vpath0 (Avail pv dblogvg) 31727499 = hdisk2 (Avail ) hdisk17 (Avail )\n"))
	f.Add([]byte("vpath0 ((=)= hdisk2 ("))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, v := range parseLsvpcfg(out) {
			checkDisk(t, v.name, Disk{Serial: v.serial, Members: v.paths})
		}
	})
}

func FuzzLspath(f *testing.F) {
	f.Add([]byte("hdisk4 fscsi1 500507180120c5cb,2000000000000\n"))
	f.Add([]byte("a0 a0 \x00"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for name, paths := range parseLspath(out) {
			checkDisk(t, name, Disk{Members: paths})
		}
	})
}

func FuzzUniqueID(f *testing.F) {
	f.Add("200B75DC891480507210790003IBMfcp")
	f.Add("33213600507110180813E50000000000003F304214503IBMfcp")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := parseUniqueID(text); ok && !strings.Contains(text, id) {
			t.Errorf("%q is not in %q", id, text)
		}
	})
}

// checkDisk fails where a text of the disk is not fit for a terminal.
func checkDisk(t *testing.T, name string, d Disk) {
	t.Helper()
	for _, text := range append([]string{name, d.Name, d.Vendor, d.Model, d.Serial, d.WWID},
		d.Members...) {
		checkText(t, text)
	}
	if d.Size < 0 {
		t.Errorf("%s has %d bytes", name, d.Size)
	}
}
