package testscripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The command lines in the README, in the man pages and in the description of the REST
// API are run as they stand, page by page and in their order, each page in an empty
// home with a server of its own. Only addresses and the names of folders are others.

// notRun are the beginnings of lines that are not run, each with its reason. A line
// that is neither run nor here fails the test, as does one of here that is in no text.
var notRun = map[string]string{
	"make ":                        "builds, and runs tests such as this one",
	"-d":                           "part of a command line of QEMU",
	"qemu-system-x86_64":           "QEMU, whose guest would not end; make guests runs one",
	"systemctl":                    "wants a systemd that has the unit installed; the packages' test has",
	"copyserver service":           "for Windows; make wine runs it",
	"sc start":                     "a command of Windows",
	"disk name":                    "what a command prints",
	"-------------":                "what a command prints",
	"Disk":                         "what a command prints",
	"name: VMWare_W2K_FC":          "a task file",
	"type: establish":              "a task file",
	"pairs:":                       "a task file",
	"- source:":                    "a task file",
	"target:":                      "a task file",
	"options:":                     "a task file",
	"freeze:":                      "a task file",
	"copyserver.example:8452 sha2": "a line of known_servers",
	"server:":                      "a configuration file",
	"backup_server:":               "a configuration file",
	"user:":                        "a configuration file",
	"password_file:":               "a configuration file",
	"rsPrimeServer -":              "this machine has no disk of a 2105; prime.txtar runs it on captured hosts",
}

// stage is what the pages other than the beginners' take for granted.
const stage = `
copyserver --state /var/lib/copyserver --array-serial 13698 &
await
esscli login -u superuser -p passw0rd
esscli create volume --size 1MiB --count 8 --first 203
esscli create task A --pair 20513698:20613698
esscli create task nightly --pair 20713698:20813698
esscli create host rich-w2k-os-1 --device Disk1=20313698
esscli create host RICH-W2K-OS-2 --device Disk1=20413698
`

// pages are the texts, in the order in which a reader meets them, with what
// comes before their first line and the lines that stand for one of theirs.
var pages = []struct{ file, before string }{
	{"README.md", "truncate -s 1M disk.img\n"},
	{"man/copyservices.7", ""},
	{"man/copyserver.8", ""},
	{"man/esscli.1", stage},
	{"man/rsExecuteTask.1", stage +
		"esscli create task VMWare_W2K_FC --source rich-w2k-os-1:Disk1 --target RICH-W2K-OS-2:Disk1\n"},
	{"man/rsList2105s.1", ""},
	{"man/rsPrimeServer.1", stage},
	{"man/rsQuery.1", stage},
	{"man/rsQueryComplete.1", stage},
	{"man/rsFlashCopyQuery.1", stage},
	{"man/rsTestConnection.1", stage + "umask 077; echo passw0rd > pw; export RSCLI_PASSWORD_FILE=pw\n" +
		"esscli create user operator --new-password-file pw\n"},
	{"man/setdevice.1", stage + "umask 077; echo passw0rd > pw; echo lsess > commands\n"},
	{"man/setuser.1", stage},
	{"man/rscli-config.5", ""},
	{openAPI, ""},
}

// openAPI describes the REST API.
const openAPI = "copyserver/rest/openapi.yaml"

// instead has what is run in place of a line that asks a person for a password, or
// that takes a user or a disk for granted that is not there.
var instead = map[string]string{
	"esscli login -s copyserver.example -u operator": "esscli login -s copyserver.example -u superuser -p passw0rd",
	"setuser -u superuser adduser backup":            "setuser -u superuser -p NEWPASSWORD adduser backup Secr3t",
	// This machine has no disk of a 2105.
	"rsPrimeServer": "esscli create host rich-w2k-os-1 --device Disk1=20313698\n" +
		"esscli create host RICH-W2K-OS-2 --device Disk1=20413698",
}

// playground defines copyserver so that it takes free ports, and await, which names
// it to the commands as the one of this machine.
const playground = `
copyserver() {
	case $1 in check) command copyserver "$@"; return ;; esac
	command copyserver "$@" --listen 127.0.0.1:0 --nbd-listen 127.0.0.1:0 --ready-file "$HOME/ready" \
		2>>"$HOME/log"
}
await() {
	tries=0
	until [ -s "$HOME/ready" ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || exit 1
		sleep 0.1
	done
	server=$(sed 's/.*"pid":\([0-9]*\).*/\1/' "$HOME/ready")
	RSCLI_SERVER=$(sed 's/.*"address":"\([^"]*\)".*/\1/' "$HOME/ready")
	export RSCLI_SERVER
}
finish() {
	[ ! -s "$HOME/ready" ] || { kill -TERM "$server"; wait; }
}
trap finish EXIT
`

func TestSentencesThatAreCommands(t *testing.T) {
	met := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("..", page.file))
		if err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		script.WriteString(playground + page.before)
		for _, line := range commandLines(page.file, string(text)) {
			if key := reasonNotToRun(line); key != "" {
				met[key] = true
				continue
			}
			script.WriteString(asRun(line))
		}
		runPage(t, page.file, script.String())
	}
	for key := range notRun {
		if !met[key] {
			t.Errorf("no text has a line that begins with %q: %s", key, notRun[key])
		}
	}
	if files, err := filepath.Glob("../man/*"); err != nil || len(files)+2 != len(pages) {
		t.Errorf("%d pages are run, there are %d man pages, the README and the description of the REST API; %v",
			len(pages), len(files), err)
	}
}

func reasonNotToRun(line string) string {
	longest := ""
	for key := range notRun {
		if strings.HasPrefix(line, key) && len(key) > len(longest) {
			longest = key
		}
	}
	return longest
}

var manEscapes = strings.NewReplacer(`\e`, `\`, `\-`, "-", `\(aq`, "'", `\&`, "")

// commandLines returns the lines that are set apart in a text: indented in the
// README; in .Dl, and between .Bd -literal and .Ed, in a man page.
func commandLines(file, text string) []string {
	if filepath.Ext(file) == ".yaml" {
		return describedLines(text)
	}
	var lines []string
	literal := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		isMan := filepath.Ext(file) != ".md"
		rest, single := strings.CutPrefix(line, ".Dl ")
		switch {
		case !isMan && strings.HasPrefix(line, "    "):
			lines = append(lines, strings.TrimSpace(line))
		case isMan && strings.HasPrefix(line, ".Bd -literal"):
			literal = true
		case isMan && line == ".Ed":
			literal = false
		case single || literal:
			if line = manEscapes.Replace(strings.TrimSpace(rest)); len(lines) > 0 &&
				strings.HasSuffix(lines[len(lines)-1], `\`) {
				lines[len(lines)-1] += "\n" + line
			} else {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

var foreground = regexp.MustCompile(`^copyserver --state [^&]*$`)

// asRun is a line of a text in the script, with what shows how far the script came.
func asRun(line string) string {
	if other, ok := instead[line]; ok {
		line = other
	}
	shown := "printf '+ %s\\n' '" + strings.ReplaceAll(line, "'", `'\''`) + "' >&2\n"
	switch {
	case foreground.MatchString(line): // until somebody ends it
		return shown + line + " & await\nkill -TERM $server; wait $!\n"
	case strings.HasSuffix(line, "&"):
		return shown + line + "\nawait\n"
	}
	return shown + line + "\n"
}

// replacePlaces puts the script's own places for those of the texts.
func replacePlaces(script, home string) string {
	state := filepath.Join(home, "state")
	return strings.NewReplacer("/var/lib/copyserver", state, "/tmp/copyservices", state,
		"copyserver.example", "$RSCLI_SERVER", "localhost:8452", "$RSCLI_SERVER").Replace(script)
}

// pageTime is far more than a page needs.
const pageTime = 2 * time.Minute

func runPage(t *testing.T, file, script string) {
	t.Run(filepath.Base(file), func(t *testing.T) {
		if strings.Contains(script, "curl ") {
			needCurl(t)
		}
		t.Parallel()
		home := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", replacePlaces(script, home))
		cmd.Dir, cmd.WaitDelay = home, pageTime
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
		if out, err := cmd.CombinedOutput(); err != nil {
			log, _ := os.ReadFile(filepath.Join(home, "log"))
			t.Errorf("%s: %v\n%s\nthe server said:\n%s", file, err, out, log)
		}
	})
}
