package connect

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"copyservices/rscli/program"
)

// TestConfigPage holds the keys and variables of rscli-config(5) against the
// code.
func TestConfigPage(t *testing.T) {
	text, err := os.ReadFile("../../man/rscli-config.5")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	files, _, _ := strings.Cut(page, "\n.Ss Certificates")
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\.It Va ([a-z_]+)$`).FindAllStringSubmatch(files, -1) {
		got = append(got, m[1])
		if new(Settings).fields()[m[1]] == nil {
			t.Errorf("the page has the key %s, the program has not", m[1])
		}
	}
	if want := len(new(Settings).fields()); len(got) != want {
		t.Errorf("the page has the keys %q, the program %d", got, want)
	}
	asked := map[string]bool{}
	e := &program.Env{GOOS: "linux", Getenv: func(key string) string { asked[key] = true; return "" }}
	if _, err := (&Flags{}).Settings(e); err != nil {
		t.Fatal(err)
	}
	for key := range asked {
		if !regexp.MustCompile(`(?m)^\.It Ev .*\b` + key + `\b`).MatchString(page) {
			t.Errorf("the page has no variable %s", key)
		}
	}
}
