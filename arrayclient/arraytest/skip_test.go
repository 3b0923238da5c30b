package arraytest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/arraytest"
	"copyservices/arrayclient/filearray"
	"copyservices/arrayclient/filearray/disk"
)

// listed is the environment variable with the rule that TestPlain has listed.
const listed = "ARRAYTEST_LISTED"

// TestPlain is of an array without any optional act, whose content only hosts reach. It
// is what the processes of TestSkips run.
func TestPlain(t *testing.T) {
	rule, asked := os.LookupEnv(listed)
	if !asked {
		return
	}
	h := arraytest.Harness{Open: openPlain, Skip: map[string]string{}}
	if rule != "" {
		h.Skip[rule] = "for the test"
	}
	arraytest.Run(t, h)
}

func openPlain(t *testing.T) arraytest.Subject {
	fsys, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := filearray.Create(fsys, filearray.CreateOptions{Serial: "13698"}); err != nil {
		t.Fatal(err)
	}
	a, err := filearray.Open(fsys, filearray.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return arraytest.Subject{Array: struct{ arrayclient.Array }{a}, OpenVolume: a.OpenVolume}
}

// TestSkips: what an array lacks is skipped, but in CI only if that is listed.
func TestSkips(t *testing.T) {
	const label = "TestPlain/Label"
	for _, c := range []struct {
		name, ci, listed, run string
		passes                bool
		says                  string
	}{
		{"at home", "", "", label, true, "the array has no label"},
		{"in CI", "true", "", label, false, "name the rule among those to skip"},
		{"another rule is listed", "true", "Resync", label, false, "name the rule among those to skip"},
		{"listed", "true", "Label", label, true, "for the test"},
		{"by the eyes of a host", "true", "", "TestPlain/NocopyStays", true, "PASS: TestPlain/NocopyStays"},
		{"no such rule", "", "Labels", "TestPlain/None", false, "there is no rule Labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", c.run)
			cmd.Env = append(os.Environ(), "CI="+c.ci, listed+"="+c.listed)
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.passes || !strings.Contains(string(out), c.says) {
				t.Errorf("%v, and it said\n%s", err, out)
			}
		})
	}
}
