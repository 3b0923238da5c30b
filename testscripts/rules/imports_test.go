package rules

import (
	"encoding/json"
	"errors"
	"go/ast"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// layer says which of our own packages a folder may import. A pattern is a
// folder, or with /... a folder and all below it. The first layer that a folder
// matches holds for it. Tests are free: they may set up what they need.
type layer struct {
	folder  string
	imports []string
	reason  string
}

// driverImports is what a driver of the array interface needs.
var driverImports = []string{"arrayclient", "arrayclient/fault"}

const driverReason = "a driver knows the array interface and itself, never another driver or the " +
	"server: each can be built, tested and left out alone"

// storeImports are the words and rules of the store, without its files.
var storeImports = []string{"taskstore", "taskstore/atomicfile", "taskstore/filelock",
	"taskstore/notation", "taskstore/result", "taskstore/strictyaml", "taskstore/userfile"}

// serverImports are what a command needs to talk to a server: the API's client, and from
// taskstore the format of task files, how values are written and how files are read and
// written.
var serverImports = slices.Concat([]string{"copyserver/api"}, storeImports, driverImports)

var layers = []layer{
	{"cmd/copyserver", []string{"copyserver/program"},
		"a main is os.Exit and nothing else; the daemon's body is importable and tested there"},
	{"cmd/...", []string{"rscli", "rscli/esscli", "rscli/shell"},
		"commands never import the server: they go into guests, small, and talk to it over REST"},
	{"rscli/hostdisk/...", append([]string{"rscli/hostdisk/..."}, driverImports...),
		"the disks of a host are found without the command line and without a server"},
	{"rscli/program", []string{"arrayclient/fault", "taskstore/result"},
		"what every command is knows no server: a command that needs none, such as rsList2105s, " +
			"reads, prints and ends as the others do"},
	{"rscli/connect", append([]string{"rscli/program", "rscli/hostdisk"}, serverImports...),
		"the way to a server is the same for all commands, so it knows none of them"},
	{"rscli/complete", append([]string{"rscli/program", "rscli/connect"}, serverImports...),
		"the commands to complete come as an argument: esscli, which prints the completion, is " +
			"one of them, and an import would close a circle"},
	{"rscli/rsclitest", append([]string{"rscli/program"}, serverImports...),
		"the tests of every package of the commands use it, those of connect from the inside, so " +
			"it knows only what a command is"},
	{"rscli/shell", append([]string{"rscli/program", "rscli/connect", "rscli/complete"}, serverImports...),
		"the little shell runs its verbs at a server; other commands are none of its business"},
	{"rscli/esscli", append([]string{"rscli", "rscli/program", "rscli/connect", "rscli/complete",
		"rscli/shell"}, serverImports...),
		"esscli is above the other commands: some of its branches are theirs under another name, " +
			"and the completion that it prints is for all"},
	{"rscli", append([]string{"rscli/program", "rscli/connect", "rscli/complete", "rscli/hostdisk"},
		serverImports...),
		"the small commands need neither esscli nor the little shell, and are built without them"},
	{"copyserver/api", append([]string{"taskstore", "taskstore/notation"}, driverImports...),
		"the API's client is part of every command: it brings in no server code"},
	{"copyserver/core", slices.Concat([]string{"copyserver/arrays", "copyserver/access",
		"copyserver/runner", "copyserver/secrets", "export", "taskstore", "taskstore/notation"}, driverImports),
		"the rules hold whatever way a caller comes in, so they know of none, nor of what serves " +
			"or stores: protocols are told apart by what they make of a fault, not by what is allowed"},
	{"copyserver/arrays/remote", append([]string{"copyserver/api", "export/nbd"}, driverImports...),
		"a driver like those in arrayclient, which knows of copyserver and its exports what any client " +
			"of the other server does, and nothing of the server that uses it"},
	{"copyserver/arrays", driverImports,
		"the registry holds arrays of whatever driver, so it knows none"},
	{"copyserver/runner", append([]string{"copyserver/arrays", "taskstore"}, driverImports...),
		"tasks run the same whoever asks for them: the words of a protocol stay with it"},
	{"copyserver/rest", slices.Concat([]string{"copyserver/api", "copyserver/arrays", "copyserver/access", "copyserver/core",
		"copyserver/runner", "export/quota"}, storeImports, driverImports),
		"REST is one way in: it asks core for what may be done, and starts and opens nothing"},
	{"copyserver/exports", slices.Concat([]string{"copyserver/arrays", "copyserver/core", "export/..."},
		storeImports, driverImports),
		"what a host sees of the volumes is the same by every protocol, and decided in core"},
	{"copyserver/announce", slices.Concat([]string{"copyserver/access"}, storeImports, driverImports),
		"how a server is found needs its addresses, not the server"},
	{"copyserver/access", slices.Concat([]string{"copyserver/secrets", "taskstore"}, driverImports),
		"every way in asks who may, so it knows none of them; it reads who is known and changes nothing"},
	{"copyserver/state", slices.Concat([]string{"copyserver/access", "copyserver/secrets",
		"arrayclient/filearray",
		"arrayclient/filearray/disk", "taskstore/filestore"}, storeImports, driverImports),
		"the state folder is opened the same whatever serves what is in it"},
	{"copyserver/...", []string{"copyserver/...", "taskstore/...", "export/...", "arrayclient/..."},
		"the server stands above store and arrays and below the commands"},
	{"taskstore/filestore", slices.Concat(storeImports, driverImports),
		"the files of the store are one way to remember: whatever asks for them by name is a " +
			"part of the server that opens a state folder"},
	{"taskstore/...", slices.Concat(storeImports, driverImports),
		"the store remembers; it knows nothing of who asks and drives no array"},
	{"arrayclient/fault", nil,
		"everybody's errors: importing anything of ours here would close a circle"},
	{"arrayclient", []string{"arrayclient/fault"},
		"the interface knows no driver and no caller: imports go one way"},
	{"arrayclient/arraytest", driverImports,
		"the conformance suite holds for every driver because it knows none"},
	{"arrayclient/filearray/bitmap", append([]string{"arrayclient/filearray/disk"}, driverImports...),
		"bits say which tracks are copied, not who copies them: they know their file and no engine"},
	{"arrayclient/filearray/parallel", nil,
		"how many things wait for a disk at a time is the same whatever they are"},
	{"arrayclient/filearray/recovery", append([]string{"arrayclient/filearray/bitmap",
		"arrayclient/filearray/disk", "arrayclient/filearray/parallel"}, driverImports...),
		"what the files say is found out before there is an engine that could change them"},
	{"arrayclient/filearray/records", append([]string{"arrayclient/filearray/bitmap",
		"arrayclient/filearray/disk", "arrayclient/filearray/lockorder", "arrayclient/filearray/parallel",
		"arrayclient/filearray/recovery", "arrayclient/filearray/segments"}, driverImports...),
		"what is durable when is decided in one place, whatever act or host asks for it"},
	{"arrayclient/filearray/segments", append([]string{"arrayclient/filearray/bitmap",
		"arrayclient/filearray/disk"}, driverImports...),
		"the bytes of a volume are kept without regard to what they are an image of: who may " +
			"change them, and when, is the engine's"},
	{"arrayclient/filearray/writelog", append([]string{"arrayclient/filearray/bitmap",
		"arrayclient/filearray/disk", "arrayclient/filearray/lockorder",
		"arrayclient/filearray/segments"}, driverImports...),
		"what is logged waits until the volume says that it is saved: what that takes, and for " +
			"whom, is the engine's"},
	{"arrayclient/filearray/lockorder", nil,
		"locks know nothing of what they guard"},
	{"arrayclient/filearray/disk", driverImports,
		"what is on the disk, and what it means, is read without the engine, which no format may " +
			"depend on"},
	{"export/...", append([]string{"export/..."},
		driverImports...),
		"the export serves any array's volumes through the interface, so that engine and " +
			"export are tested apart"},
	{"lab/bench", []string{"arrayclient", "arrayclient/filearray", "arrayclient/filearray/disk"},
		"the measurements run the binaries from outside, as users do, so that no change inside " +
			"can change what is measured; where the time of a command would hide that of the " +
			"array, they call the array as the server does"},
	{"lab/powerloss", []string{"copyserver/api", "taskstore", "arrayclient", "arrayclient/fault"},
		"the power goes under the binary as users run it, so the harness knows of it what the " +
			"API's client knows; from inside it would see what is in memory, not on the disk"},
	{"packaging/...", nil,
		"what packs the binaries takes them as files, and could pack anything"},
	{"lab/guests", nil, "guests get the binaries as files: what they run is what is installed"},
	{"lab/wine", nil, "Wine gets the binaries as files; the package is tests and nothing else"},
	{"testscripts/...", nil, "the scripts' packages are tests and nothing else"},
}

func matches(pattern, folder string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return folder == parent || strings.HasPrefix(folder, parent+"/")
	}
	return folder == pattern
}

// layerOf returns the layer that holds for the folder. Each driver is a layer
// of its own.
func layerOf(folder string) (layer, bool) {
	for _, l := range layers {
		if matches(l.folder, folder) {
			return l, true
		}
	}
	if rest, ok := strings.CutPrefix(folder, "arrayclient/"); ok {
		driver, _, _ := strings.Cut(rest, "/")
		own := "arrayclient/" + driver + "/..."
		return layer{own, append([]string{own}, driverImports...), driverReason}, true
	}
	return layer{}, false
}

func TestImportsGoOneWay(t *testing.T) {
	for _, f := range sourceFiles(t) {
		l, ok := layerOf(f.folder())
		if !ok {
			t.Errorf("%s: no rule says what %s may import; give it its place in layers",
				f.name, f.folder())
			continue
		}
		if f.isTest() {
			continue
		}
		for _, imported := range f.imports() {
			own, ok := strings.CutPrefix(imported, module)
			allowed := func(pattern string) bool { return matches(pattern, own) }
			if !ok || slices.ContainsFunc(l.imports, allowed) {
				continue
			}
			t.Errorf("%s imports %s, but %s may import only %q of ours: %s",
				f.name, own, l.folder, l.imports, l.reason)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, f := range sourceFiles(t) {
		for _, name := range []string{f.syntax.Name.Name, path.Base(f.folder())} {
			switch strings.TrimSuffix(name, "_test") {
			case "util", "utils", "common", "helper", "helpers":
				t.Errorf("%s: no package is called %s: such a name says nothing about what "+
					"belongs in it, so everything does", f.name, name)
			}
		}
	}
}

// TestMainsOnlyExit holds every main to os.Exit(pkg.NameMain()): what lies below
// runs its defers, returns its exit code and is what the scripts run.
func TestMainsOnlyExit(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if !matches("cmd/...", f.folder()) {
			continue
		}
		if path.Base(f.name) != "main.go" || len(f.imports()) != 2 || !isOnlyExit(f.syntax) {
			t.Errorf("%s: a binary is one main.go with func main() { os.Exit(pkg.NameMain()) } "+
				"and nothing else, so that all code can be imported and tested", f.name)
		}
	}
}

// isOnlyExit reports whether the file has no declaration but its imports and
// func main() { os.Exit(pkg.NameMain()) }.
func isOnlyExit(file *ast.File) bool {
	if len(file.Decls) != 2 {
		return false
	}
	main, ok := file.Decls[1].(*ast.FuncDecl)
	if !ok || main.Name.Name != "main" || len(main.Body.List) != 1 {
		return false
	}
	statement, ok := main.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	exit, ok := statement.X.(*ast.CallExpr)
	if !ok || qualified(exit.Fun) != "os.Exit" || len(exit.Args) != 1 {
		return false
	}
	body, ok := exit.Args[0].(*ast.CallExpr)
	return ok && len(body.Args) == 0 && strings.HasSuffix(qualified(body.Fun), "Main")
}

// qualified returns pkg.Name, empty for any other expression.
func qualified(e ast.Expr) string {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return pkg.Name + "." + selector.Sel.Name
}

// platforms are those that the guests' commands are built for, DESIGN section 2.
var platforms = []string{
	"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/s390x", "windows/amd64",
	"windows/arm64", "aix/ppc64", "darwin/arm64", "freebsd/amd64", "solaris/amd64",
}

// notInGuests are packages that must not be in any command but copyserver.
var notInGuests = []struct{ pattern, reason string }{
	{"net/http/pprof", "it adds debugging pages to every HTTP server of the process, unasked"},
	{module + "arrayclient/filearray/...", "guests use arrays through the server; a block " +
		"store in every command makes it larger and less portable"},
	{module + "copyserver", "commands never import the server"},
	{module + "rscli/rsclitest", "the world of the tests is no part of a command"},
	{"testing", "what is for tests adds its flags and weight to a command"},
	{"runtime/cgo", "a command is one static file that runs in any guest"},
}

// TestRulesKnowNoProtocol looks at all that the rules are made of: a protocol that
// comes in by a package in between is one too.
func TestRulesKnowNoProtocol(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./copyserver/core")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, module+"copyserver/runner") {
		t.Fatalf("go list answered with %q", packages)
	}
	for _, no := range []string{"net/http", module + "copyserver/api", module + "copyserver/rest",
		module + "export/nbd"} {
		if slices.Contains(packages, no) {
			t.Errorf("copyserver/core depends on %s: what callers may do is the same by REST, by a "+
				"web page or by any other way in, so a rule that needs one of them is in the wrong place", no)
		}
	}
}

// listedPackage is the part of the go command's answer that the rules need.
type listedPackage struct {
	ImportPath string
	Standard   bool
	CgoFiles   []string
	DepsErrors []struct{ Err string }
}

func TestGuestCommandsStayPortable(t *testing.T) {
	if testing.Short() {
		t.Skip("lists the packages of ten platforms")
	}
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			for _, p := range guestPackages(t, platform, "CGO_ENABLED=0") {
				for _, e := range p.DepsErrors {
					t.Errorf("%s does not build: %s", p.ImportPath, e.Err)
				}
				for _, no := range notInGuests {
					if matches(no.pattern, p.ImportPath) {
						t.Errorf("a guest command depends on %s: %s", p.ImportPath, no.reason)
					}
				}
			}
		})
	}
}

// TestGuestCommandsHaveNoCgo looks at a build with cgo, where a package that
// uses it would not hide its files.
func TestGuestCommandsHaveNoCgo(t *testing.T) {
	for _, p := range guestPackages(t, "linux/amd64", "CGO_ENABLED=1") {
		if !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("a guest command depends on %s, which has cgo in %v: "+
				"the commands are built for ten platforms without a C compiler",
				p.ImportPath, p.CgoFiles)
		}
	}
}

// guestPackages lists every package that a command but copyserver is made of.
func guestPackages(t *testing.T, platform, cgo string) []listedPackage {
	t.Helper()
	folders, err := os.ReadDir("../../cmd")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"list", "-e", "-deps", "-json=ImportPath,Standard,CgoFiles,DepsErrors"}
	for _, folder := range folders {
		if folder.IsDir() && folder.Name() != "copyserver" {
			args = append(args, "./cmd/"+folder.Name())
		}
	}
	goos, goarch, _ := strings.Cut(platform, "/")
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, cgo)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 100 {
		t.Fatalf("go list answered with %d packages only", len(packages))
	}
	return packages
}

// TestOptionalActsAreFoundByAs: an array may stand behind another one, where a plain
// type assertion does not see what it can do.
func TestOptionalActsAreFoundByAs(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.isTest() || f.folder() == "arrayclient" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if assertion, ok := n.(*ast.TypeAssertExpr); ok && assertion.Type != nil &&
				strings.HasPrefix(qualified(assertion.Type), "arrayclient.") {
				t.Errorf("%s: use arrayclient.As[%s]", f.set.Position(n.Pos()),
					qualified(assertion.Type))
			}
			return true
		})
	}
}
