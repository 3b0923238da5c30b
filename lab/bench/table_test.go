package main

import (
	"strings"
	"testing"
)

func plain(name string, values ...float64) series { return series{name: name, values: values} }

func gone(name, why string) series { return series{name: name, missing: why} }

func TestAgainst(t *testing.T) {
	const missing = "not measured: x is not installed (Debian: x)"
	for name, c := range map[string]struct {
		ours    series
		peers   []series
		better  direction
		aim     aim
		peersAs string
		ratio   string
		reached verdict
	}{
		"times, the peer with the lesser counts": {
			plain("us", 0.010, 0.020), []series{plain("slow", 0.9, 0.9), plain("quick", 0.020, 0.020)},
			less, fasterThanAll, "slow 900 ms, quick 20.0 ms", "1.50 (1.00 to 2.00) of quick", met,
		},
		"throughput, the peer with the greater counts": {
			plain("us", 0.010, 0.020), []series{plain("slow", 0.010, 0.010), plain("quick", 0.020, 0.020)},
			more, theBetter, "slow 10.0 ms, quick 20.0 ms", "0.75 (0.50 to 1.00) of quick", missed,
		},
		"as fast is enough": {
			plain("us", 0.010), []series{plain("p", 0.010)}, less, theBetter,
			"p 10.0 ms", "1.00 (1.00 to 1.00) of p", met,
		},
		"as fast is not faster": {
			plain("us", 0.010), []series{plain("p", 0.010)}, less, fasterThanAll,
			"p 10.0 ms", "1.00 (1.00 to 1.00) of p", missed,
		},
		"one peer is missing": {
			plain("us", 0.010), []series{gone("x", missing), plain("p", 0.100)}, less, theBetter,
			"x " + missing + ", p 100 ms", "10.00 (10.00 to 10.00) of p", open,
		},
		"without an aim": {
			plain("us", 0.010), []series{plain("p", 0.005)}, less, aim{},
			"p 5.0 ms", "0.50 (0.50 to 0.50) of p", noAim,
		},
		"all peers are missing": {
			plain("us", 0.010), []series{gone("x", missing)}, less, theBetter, "x " + missing, "", open,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := against("work", c.ours, c.peers, c.better, milliseconds, c.aim)
			if r.peers != c.peersAs || r.ratio != c.ratio || r.reached != c.reached {
				t.Errorf("got %q, %q, %s\nwant %q, %q, %s", r.peers, r.ratio, r.reached,
					c.peersAs, c.ratio, c.reached)
			}
		})
	}
}

func TestMultiple(t *testing.T) {
	base := plain("1GiB", 0.001, 0.001, 0.002)
	for limit, want := range map[float64]verdict{2: met, 1.4: missed} {
		r := multiple("1 TiB", plain("1TiB", 0.0015, 0.003, 0.001), base, less,
			milliseconds, atMost(limit, "aim"))
		if r.ratio != "1.50 (0.50 to 3.00) of its time" || r.reached != want {
			t.Errorf("limit %g: %q, %s", limit, r.ratio, r.reached)
		}
		if r.ours != "1.5 ms" || r.peers != "1GiB 1.0 ms" {
			t.Errorf("ours %q, peer %q", r.ours, r.peers)
		}
	}
	half := plain("half as many a second", 1e3)
	r := multiple("rate", half, plain("base", 2e3), more, perSecond, aim{})
	if r.ratio != "2.00 (2.00 to 2.00) of its time" || r.reached != noAim {
		t.Errorf("half the rate: %q, %s", r.ratio, r.reached)
	}
}

func TestFigure(t *testing.T) {
	s := span{0.005, 0.0042, 0.25}
	for _, c := range []struct {
		aim     aim
		reached verdict
	}{{aim{}, noAim}, {atMost(0.005, "≤ 5 ms"), met}, {atMost(0.0049, "< 5 ms"), missed}} {
		r := figure("work", s, milliseconds, c.aim)
		if r.ours != "5.0 ms (4.2 ms to 250 ms)" || r.aim != c.aim.text || r.reached != c.reached {
			t.Errorf("aim %q: %+v", c.aim.text, r)
		}
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		milliseconds(0.0005): "0.500 ms",
		milliseconds(0.0123): "12.3 ms",
		milliseconds(1.5):    "1500 ms",
		kibibytes(1 << 9):    "0.5 KiB",
		mebibytes(3 << 19):   "1.5 MiB",
		throughput(5 << 30):  "5120 MiB/s",
		perSecond(12345):     "12.3 k/s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	err := writeTable(&b, []row{
		{work: "w", ours: "1 ms", aim: "≥ 1.0", reached: met},
		{work: "longer", ours: "not measured: x is not installed"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `
| work   | ours                             | peer | ratio (least to greatest) | aim   | reached |
| ------ | -------------------------------- | ---- | ------------------------- | ----- | ------- |
| w      | 1 ms                             | -    | -                         | ≥ 1.0 | met     |
| longer | not measured: x is not installed | -    | -                         | -     | -       |
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
