package rules

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestLayers shows that the rules refuse what they are there to refuse.
func TestLayers(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		allowed          bool
	}{
		{"cmd/rsQuery", "rscli", true},
		{"cmd/rsQuery", "copyserver", false},
		{"cmd/rsQuery", "copyserver/api", false},
		{"cmd/copyserver", "copyserver/program", true},
		{"cmd/copyserver", "copyserver", false},
		{"cmd/copyserver", "rscli", false},
		{"rscli", "copyserver/api", true},
		{"rscli", "copyserver", false},
		{"rscli", "copyserver/access", false},
		{"rscli", "taskstore", true},
		{"rscli", "arrayclient/filearray", false},
		{"rscli/hostdisk", "rscli", false},
		{"rscli/program", "copyserver/api", false},
		{"rscli/connect", "rscli", false},
		{"rscli/connect", "copyserver/api", true},
		{"rscli/complete", "rscli/esscli", false},
		{"rscli/esscli", "rscli/rsclitest", false},
		{"rscli", "rscli/esscli", false},
		{"copyserver", "rscli", false},
		{"copyserver", "export/nbd", true},
		{"copyserver/api", "copyserver", false},
		{"copyserver/core", "copyserver/access", true},
		{"copyserver/core", "copyserver/api", false},
		{"copyserver/core", "copyserver/state", false},
		{"copyserver/core", "taskstore/filestore", false},
		{"copyserver/arrays", "copyserver/arrays/remote", false},
		{"copyserver/arrays/remote", "copyserver/api", true},
		{"copyserver/arrays/remote", "copyserver/arrays", false},
		{"copyserver/arrays/remote", "copyserver/core", false},
		{"copyserver/arrays/remote", "arrayclient/filearray", false},
		{"copyserver/runner", "copyserver/core", false},
		{"copyserver/runner", "copyserver/api", false},
		{"taskstore", "copyserver/api", false},
		{"arrayclient/fault", "arrayclient", false},
		{"arrayclient", "taskstore", false},
		{"arrayclient/filearray", "arrayclient/rbd", false},
		{"arrayclient/filearray", "arrayclient/filearray/layout", true},
		{"export/nbd", "arrayclient/filearray", false},
		{"arrayclient/rbd", "arrayclient/filearray", false},
		{"arrayclient/rbd", "copyserver", false},
	} {
		l, ok := layerOf(c.folder)
		if !ok || l.reason == "" {
			t.Errorf("%s has no rule, or one without a reason", c.folder)
		}
		allowed := slices.ContainsFunc(l.imports, func(p string) bool { return matches(p, c.imported) })
		if allowed != c.allowed {
			t.Errorf("%s importing %s: allowed is %t", c.folder, c.imported, allowed)
		}
	}
	if l, ok := layerOf("elsewhere"); ok {
		t.Errorf("a folder that nobody thought of has the rule of %s", l.folder)
	}
}

func TestIsOnlyExit(t *testing.T) {
	const head = "package main\nimport (\n\"os\"\n\"copyservices/rscli\"\n)\n"
	for source, want := range map[string]bool{
		"func main() { os.Exit(rscli.ListMain()) }":               true,
		"func main() { os.Exit(copyserver.Main()) }":              true,
		"func main() { os.Exit(rscli.List()) }":                   false,
		"func main() { os.Exit(rscli.ListMain(os.Args)) }":        false,
		"func main() { os.Exit(1) }":                              false,
		"func main() { rscli.ListMain() }":                        false,
		"func main() { os.Exit(ListMain()) }":                     false,
		"func main() { println(); os.Exit(rscli.ListMain()) }":    false,
		"func main() { os.Exit(rscli.ListMain()) }\nvar a int":    false,
		"func init() { os.Exit(rscli.ListMain()) }":               false,
		"var x = 1\nfunc main() { os.Exit(rscli.ListMain()) }":    false,
		"func main() { defer os.Exit(rscli.ListMain()) }":         false,
		"func main() { os.Exit(rscli.ListMain() + os.Getpid()) }": false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "main.go", head+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := isOnlyExit(file); got != want {
			t.Errorf("%s: isOnlyExit is %t", source, got)
		}
	}
}
