package program_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/esscli"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

// What flags, environment and files take for values.

func TestNumbersOfFlagsAreDecimal(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got api.VolumeCreate
	f.Handle("POST /v1/volumes", func(w http.ResponseWriter, r *http.Request) {
		rsclitest.ReadBody(t, r, &got)
		rsclitest.SendJSON(w, http.StatusCreated, []api.Volume{})
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(esscli.New, "create", "volume", "--size", "1M", "--count", "010", "-s", f.Addr()), 0)
	if got.Count != 10 {
		t.Errorf("010 became %d", got.Count)
	}
	for _, text := range []string{"0", "-1", "+1", "0x10", "1_0"} {
		b.Expect(b.Run(esscli.New, "create", "volume", "--size", "1M", "--count", text, "-s", f.Addr()), 2,
			`--count: "`+text+`" is not a number`)
		b.Expect(b.Run(esscli.New, "list", "run", "--limit", text, "-s", f.Addr()), 2,
			`--limit: "`+text+`" is not a number`)
	}
	// The library's own flags for numbers take octal ones, too.
	for _, build := range everyCommand {
		walkFlags(build(&program.Env{}), func(cmd *program.Command, f cli.Flag) {
			switch f.(type) {
			case *cli.StringFlag, *cli.StringSliceFlag, *cli.BoolFlag, *cli.GenericFlag:
			default:
				t.Errorf("%s: --%s is a %T", cmd.Name, f.Names()[0], f)
			}
		})
	}
}

// A flag that a script gives with an unset variable does not pass for one that was
// not given.
func TestEmptyFlagsAreRefused(t *testing.T) {
	for _, build := range everyCommand {
		walkFlags(build(&program.Env{}), func(cmd *program.Command, f cli.Flag) {
			if !program.TakesValue(f) || program.MayBeBlank(f) {
				return
			}
			for _, name := range f.Names() {
				for _, args := range [][]string{{"--" + name, ""}, {"-" + name + "="}} {
					_, err := program.ParseArgs(build(&program.Env{}), args)
					if err == nil || !strings.Contains(err.Error(), "is empty") {
						t.Errorf("%s %q: %v", cmd.Name, args, err)
					}
				}
			}
		})
	}
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_SERVER"] = f.Addr()
	b.Expect(b.Run(rscli.NewExecuteTask, "-s", "", "T"), 2, "--server is empty", "hint: give it a value, or leave it out")
	b.Expect(b.Run(rscli.NewExecuteTask, "--user=", "T", "--json"), 2, "--user is empty")
	if seen, _ := f.Requests(); len(seen) > 0 {
		t.Errorf("it asked for %q", seen)
	}
}

// Labels and the hosts of a volume are taken away by an empty value.
func TestFlagsWithAMeaningWhenEmpty(t *testing.T) {
	blank := map[string]bool{}
	walkFlags(esscli.New(&program.Env{}), func(_ *program.Command, f cli.Flag) {
		if program.MayBeBlank(f) {
			blank[f.Names()[0]] = true
		}
	})
	if len(blank) != 2 || !blank["label"] || !blank["hosts"] {
		t.Errorf("these may be empty: %v", blank)
	}
}

func TestBadValueKeepsItsHint(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(esscli.New, "create", "volume", "--size", "1MB"), 2,
		`--size: "1MB" is not a size`, "hint: a size is a number of bytes, or has a unit: KiB, MiB, GiB, TiB")
	b.Expect(b.Run(esscli.New, "set", "array", "2105.13698", "--copy-rate", "1MB"), 2,
		`--copy-rate: "1MB" is not a copy rate`, "or K, M, G, T for short")
}
