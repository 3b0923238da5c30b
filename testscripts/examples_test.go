package testscripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples in the helps are run as they stand: those of a program, its branches
// and their commands in the order of its helps, in an empty home with a server of
// its own. What a help takes for granted is made before the line that needs it.

// helpPages are the programs whose examples are run one after the other, and what
// comes before their first.
var helpPages = []struct {
	name     string
	programs []string
	before   string
}{
	{"esscli", []string{"esscli"}, newServer},
	{"copyserver", []string{"copyserver"}, ""},
	{"the others", []string{
		"rsList2105s", "rsPrimeServer", "rsExecuteTask", "rsQuery", "rsQueryComplete",
		"rsFlashCopyQuery", "rsTestConnection", "setdevice", "setuser",
	}, stage + "esscli create task VMWare_W2K_FC --source rich-w2k-os-1:Disk1 --target RICH-W2K-OS-2:Disk1\n"},
}

const newServer = `
copyserver --state /var/lib/copyserver --array-serial 13698 &
await
esscli login -u superuser -p passw0rd
umask 077
echo Secr3t > FILE
`

// beforeExample makes what the example that begins so takes for granted; where
// several do, the longest counts.
var beforeExample = map[string]string{
	"setdevice <":                            "echo lsess > commands.txt",
	"setuser -u superuser --password-file F": "umask 077; echo passw0rd > F",

	"esscli apply -f": "printf 'name: B\\ntype: withdraw\\npairs: [{source: 20313698, target: 20413698}]\\n' > task.yaml",
	"esscli create task NIGHTLY --pair 20313698:20413698 --nocopy": "esscli delete task NIGHTLY",
	"esscli create task T": "esscli create volume --size 1MiB --count 2 --first 205\n" +
		"esscli create host host1 --device Disk1=20513698\nesscli create host host2 --device Disk1=20613698",
	"esscli show run":                   "rsExecuteTask T\nRUN=$(esscli list run --json | sed -n 's/.*\"id\": \"\\(.*\\)\".*/\\1/p' | head -n 1)",
	"esscli show credential":            "CREDENTIAL=$(esscli list credential --json | sed -n 's/.*\"serial\": \"\\(.*\\)\".*/\\1/p' | head -n 1)",
	"esscli set volume 20313698 --size": "esscli delete relationship 20313698:20413698",
	"esscli set relationship 20313698:20413698 --copy-rate 10MiB": "esscli set volume 20413698 --size 2GiB\n" +
		"esscli create relationship 20313698:20413698 --nocopy",
	"esscli delete volume":                          "esscli delete relationship 20313698:20413698",
	"esscli delete volume 20413698 20613698 --json": "esscli create volume --size 2GiB --first 204; esscli create volume --size 1MiB --first 206",
	"esscli delete task":                            "esscli create task OLD --pair 20313698:20413698",
	"esscli delete task NIGHTLY OLD --json":         "esscli create task NIGHTLY --pair 20313698:20413698; esscli create task OLD --pair 20313698:20413698",
	"esscli delete host esx1 db1 --json":            "esscli create host esx1; esscli create host db1",
	"esscli delete run 20261122-020350-3d3aaf --json": "esscli create volume --size 1MiB --first 206; rsExecuteTask T\n" +
		"RUN=$(esscli list run --json | sed -n 's/.*\"id\": \"\\(.*\\)\".*/\\1/p' | head -n 1)",
	"esscli delete user backup watcher --json": "esscli create user backup --new-password-file FILE\nesscli create user watcher --new-password-file FILE",
	"esscli delete credential 51c0ffee --json": "CREDENTIAL=$(esscli list credential --json | sed -n 's/.*\"serial\": \"\\(.*\\)\".*/\\1/p' | head -n 1)",
	"esscli delete relationship 20313698": "esscli create volume --size 2GiB --first 204\n" +
		"esscli create relationship 20313698:20413698 --nocopy",
	"esscli delete relationship --source":    "esscli create relationship 20513698:20613698 --nocopy",
	"esscli show task A":                     "esscli create task A --pair 20313698:20413698",
	"esscli login":                           "esscli create user operator --new-password-file FILE",
	"esscli logout -s":                       "esscli login -u superuser -p passw0rd",
	"esscli import":                          "esscli login -u superuser -p passw0rd; truncate -s 1M disk.img",
	"gunzip <":                               "gzip -k disk.img",
	"esscli export volume 20413698 disk.img": "esscli delete volume 20413698; esscli create volume --size 1MiB --first 204; rm disk.img",
	"esscli completion fish":                 "mkdir -p ~/.config/fish/conf.d",
}

// insteadOfExample has what is run in place of an example that asks a person, or
// that wants disks of a 2105, which this machine has not.
var insteadOfExample = map[string]string{
	"rsPrimeServer -s copyserver.example":                              "rsPrimeServer -s copyserver.example --hostname other --sysroot $HOSTS/rich-w2k-os-1",
	"rsPrimeServer --dry-run":                                          "rsPrimeServer --dry-run --sysroot $HOSTS/rich-w2k-os-1",
	"esscli create user backup":                                        "esscli create user backup --new-password-file FILE",
	"esscli login -s copyserver.example -u operator":                   "esscli login -s copyserver.example -u operator -p Secr3t",
	"esscli login -s copyserver.example -u operator --password-file -": "esscli login -s copyserver.example -u operator --password-file - < FILE",
}

const noOtherArray = "there is no other array on the network"

// exampleNotRun are the examples that are not run, each with its reason.
var exampleNotRun = map[string]string{
	`copyserver service install --state C:\ProgramData\copyserver`: "for Windows; make wine runs it",
	"copyserver service remove":                                    "for Windows; make wine runs it",

	"esscli create array 10.0.0.5 --driver copyserver --array-user admin":  noOtherArray,
	"esscli create array ess2:8453 --driver copyserver --array-user admin": noOtherArray,
	"esscli delete array 2105.75AB1":                                       noOtherArray,
	"esscli delete array 2105.75AB1 --json":                                noOtherArray,
}

// examplePlaces are what stands for places and names of the examples.
var examplePlaces = strings.NewReplacer("20261122-020350-3d3aaf", "$RUN", "51c0ffee", "$CREDENTIAL",
	"/etc/pki/libnbd", "$HOME/pki", "/etc/bash_completion.d/copyservices", "$HOME/completion")

func TestExamplesOfHelps(t *testing.T) {
	t.Parallel()
	hosts, err := filepath.Abs("hosts")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	programs := 0
	for _, page := range helpPages {
		var examples []string
		for _, name := range page.programs {
			programs++
			examples = addExamples(t, examples, name)
		}
		script := playground + page.before + "HOSTS=" + hosts + "\n"
		for _, line := range examples {
			met[line] = true
			if exampleNotRun[line] == "" {
				script += exampleAsRun(line, met)
			}
		}
		runPage(t, page.name, script)
	}
	for _, table := range []map[string]string{beforeExample, insteadOfExample, exampleNotRun} {
		for line := range table {
			if !met[line] {
				t.Errorf("no help has the example %q", line)
			}
		}
	}
	if programs != len(mains) {
		t.Errorf("the helps of %d programs were looked at, there are %d", programs, len(mains))
	}
}

// exampleAsRun is an example with what comes before it; met notes what was used.
func exampleAsRun(line string, met map[string]bool) string {
	before := ""
	for beginning := range beforeExample {
		if strings.HasPrefix(line, beginning) && len(beginning) >= len(before) {
			before = beginning
		}
	}
	prepared := ""
	if before != "" && !met["run "+before] {
		met[before], met["run "+before] = true, true
		prepared = beforeExample[before] + "\n"
	}
	if other, ok := insteadOfExample[line]; ok {
		line = other
	}
	return prepared + examplePlaces.Replace(asRun(line))
}

var (
	helpBranch  = regexp.MustCompile(`(?m)^  ([a-z]\S*) +\S`)
	helpCommand = regexp.MustCompile(`(?m)^(?:usage:|      ) (copyserver (?:[a-z]+ ?)+)`)
)

// addExamples adds the examples in the help of a command, and in those of the
// commands below it, to the ones that are not there yet.
func addExamples(t *testing.T, examples []string, words ...string) []string {
	t.Helper()
	cmd := exec.Command(words[0], append(words[1:], "--help")...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.CombinedOutput()
	head, text, found := strings.Cut(string(out), "\nexamples: ")
	if err != nil || !found {
		t.Fatalf("%q: no examples, %v\n%s", words, err, out)
	}
	text, _, _ = strings.Cut(text, "\nsee also: ")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(examples, line) {
			examples = append(examples, line)
		}
	}
	for _, m := range helpBranch.FindAllStringSubmatch(head, -1) {
		examples = addExamples(t, examples, append(slices.Clone(words), m[1])...)
	}
	for _, m := range helpCommand.FindAllStringSubmatch(head, -1) {
		below := strings.Fields(m[1])
		for n := len(words) + 1; n <= len(below); n++ {
			examples = addExamples(t, examples, below[:n]...)
		}
	}
	return examples
}
