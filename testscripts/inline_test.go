package testscripts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The commands of the suite that stand in the middle of a sentence, as .Ql or .Ic in
// the man pages and in backquotes in the README, with arguments, are run as well.

// inlineNotRun are those that are not run, each with its reason.
var inlineNotRun = map[string]string{
	"esscli create credential":                                      "names a command; the page of esscli has its arguments",
	"esscli create array":                                           "names a command; the page of esscli has its arguments",
	"esscli set volume --hosts":                                     "names a flag",
	"esscli delete volume":                                          "names a command; which volume depends",
	"esscli login -s SERVER -u USER":                                "asks for a password, of whoever reads it",
	"setuser chuser superuser":                                      "asks for a password; copyservices(7) has it with one",
	"copyserver service install --state DIR":                        "for Windows; make wine runs it",
	"esscli completion powershell":                                  "has its man page run it",
	"copyserver check --state DIR":                                  "has its man page run it, with a folder",
	"esscli completion powershell | Out-String | Invoke-Expression": "for PowerShell",
}

// inlineInstead has what is run in place of one that asks a person for a password,
// or that takes a folder for granted.
var inlineInstead = map[string]string{
	"esscli login": "esscli login -u superuser -p passw0rd",
	"esscli completion zsh > ~/.zfunc/_copyservices": "mkdir ~/.zfunc\n" +
		"esscli completion zsh > ~/.zfunc/_copyservices",
	"esscli completion fish > ~/.config/fish/conf.d/copyservices.fish": "mkdir -p ~/.config/fish/conf.d\n" +
		"esscli completion fish > ~/.config/fish/conf.d/copyservices.fish",
}

var (
	manInline    = regexp.MustCompile(`(?m)^\.(?:Ql|Ic) (.*)$`)
	readmeInline = regexp.MustCompile("`([^`]+)`")
	manPoint     = regexp.MustCompile(`(?: [.,:;)])+$`)
)

// inlineCommands returns the commands of the suite, with arguments, that a text has
// in its sentences.
func inlineCommands(file, text string) []string {
	pattern := manInline
	if filepath.Ext(file) == ".md" {
		pattern = readmeInline
	}
	var commands []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		line := manEscapes.Replace(manPoint.ReplaceAllString(m[1], ""))
		if words := strings.Fields(line); len(words) > 1 && mains[words[0]] != nil {
			commands = append(commands, strings.Join(words, " "))
		}
	}
	return commands
}

func TestCommandsInSentences(t *testing.T) {
	t.Parallel()
	script := playground + stage +
		"umask 077; echo passw0rd > pw; export RSCLI_USER=superuser RSCLI_PASSWORD_FILE=pw\n"
	var met []string
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("..", page.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range inlineCommands(page.file, string(text)) {
			if slices.Contains(met, line) {
				continue
			}
			met = append(met, line)
			if other, ok := inlineInstead[line]; ok {
				line = other
			}
			if inlineNotRun[line] == "" {
				script += examplePlaces.Replace(asRun(line))
			}
		}
	}
	runPage(t, "sentences", script)
	for _, table := range []map[string]string{inlineNotRun, inlineInstead} {
		for line := range table {
			if !slices.Contains(met, line) {
				t.Errorf("no text has the command %q", line)
			}
		}
	}
	if len(met) < 10 {
		t.Errorf("only %q were found: is there a mistake in the pattern?", met)
	}
}
