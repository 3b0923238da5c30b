package rscli

import (
	"net/http"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
)

// What flags, environment and files take for values.

func TestNumbersOfFlagsAreDecimal(t *testing.T) {
	f := newFake(t)
	var got api.VolumeCreate
	f.handle("POST /v1/volumes", func(w http.ResponseWriter, r *http.Request) {
		readBody(t, r, &got)
		sendJSON(w, http.StatusCreated, []api.Volume{})
	})
	b := newBench(t)
	b.expect(b.run(newESSCLI, "create", "volume", "--size", "1M", "--count", "010", "-s", f.addr()), 0)
	if got.Count != 10 {
		t.Errorf("010 became %d", got.Count)
	}
	for _, text := range []string{"0", "-1", "+1", "0x10", "1_0"} {
		b.expect(b.run(newESSCLI, "create", "volume", "--size", "1M", "--count", text, "-s", f.addr()), 2,
			`--count: "`+text+`" is not a number`)
		b.expect(b.run(newESSCLI, "list", "run", "--limit", text, "-s", f.addr()), 2,
			`--limit: "`+text+`" is not a number`)
	}
	// The library's own flags for numbers take octal ones, too.
	for _, build := range everyCommand {
		walkFlags(build(&Env{}), func(cmd *command, f cli.Flag) {
			switch f.(type) {
			case *cli.StringFlag, *cli.StringSliceFlag, *cli.BoolFlag, *cli.GenericFlag:
			default:
				t.Errorf("%s: --%s is a %T", cmd.name, f.Names()[0], f)
			}
		})
	}
}

// A flag that a script gives with an unset variable does not pass for one that was
// not given.
func TestEmptyFlagsAreRefused(t *testing.T) {
	for _, build := range everyCommand {
		walkFlags(build(&Env{}), func(cmd *command, f cli.Flag) {
			if !takesValue(f) || mayBeBlank(f) {
				return
			}
			for _, name := range f.Names() {
				for _, args := range [][]string{{"--" + name, ""}, {"-" + name + "="}} {
					_, err := parseArgs(build(&Env{}), args)
					if err == nil || !strings.Contains(err.Error(), "is empty") {
						t.Errorf("%s %q: %v", cmd.name, args, err)
					}
				}
			}
		})
	}
	f := newFake(t)
	b := newBench(t)
	b.vars["RSCLI_SERVER"] = f.addr()
	b.expect(b.run(newExecuteTask, "-s", "", "T"), 2, "--server is empty", "hint: give it a value, or leave it out")
	b.expect(b.run(newExecuteTask, "--user=", "T", "--json"), 2, "--user is empty")
	if seen, _ := f.requests(); len(seen) > 0 {
		t.Errorf("it asked for %q", seen)
	}
}

// Labels and the hosts of a volume are taken away by an empty value.
func TestFlagsWithAMeaningWhenEmpty(t *testing.T) {
	blank := map[string]bool{}
	walkFlags(newESSCLI(&Env{}), func(_ *command, f cli.Flag) {
		if mayBeBlank(f) {
			blank[f.Names()[0]] = true
		}
	})
	if len(blank) != 2 || !blank["label"] || !blank["hosts"] {
		t.Errorf("these may be empty: %v", blank)
	}
}

func TestBadValueKeepsItsHint(t *testing.T) {
	b := newBench(t)
	b.expect(b.run(newESSCLI, "create", "volume", "--size", "1MB"), 2,
		`--size: "1MB" is not a size`, "hint: a size is a number of bytes, or has a unit: KiB, MiB, GiB, TiB")
	b.expect(b.run(newESSCLI, "set", "array", "2105.13698", "--copy-rate", "1MB"), 2,
		`--copy-rate: "1MB" is not a copy rate`, "or K, M, G, T for short")
}
