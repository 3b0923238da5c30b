package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const fioResult = `{"fio version" : "fio-3.33", "jobs" : [{"jobname" : "bench", "error" : 0,
	"read" : {"io_bytes" : 8, "bw_bytes" : 2097152, "bw" : 2048, "iops" : 512.5, "runtime" : 1500},
	"write" : {"bw_bytes" : 0, "iops" : 0.0, "runtime" : 0}}]}`

func TestParseFio(t *testing.T) {
	got, err := parseFio([]byte(fioResult))
	if want := (fioRate{2097152, 512.5, 1.5}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	warned := "fio: Any use of blockalign= turns off randommap\n{\n" + fioResult[1:]
	if again, err := parseFio([]byte(warned)); err != nil || again != got {
		t.Errorf("after a warning: %v, %v", again, err)
	}
	for name, result := range map[string]string{
		"no JSON":   "fio: failed",
		"no job":    `{"jobs": []}`,
		"an error":  strings.Replace(fioResult, `"error" : 0`, `"error" : 5`, 1),
		"no result": strings.Replace(fioResult, "512.5", "0.0", 1),
	} {
		if got, err := parseFio([]byte(result)); err == nil {
			t.Errorf("%s was taken for %v", name, got)
		}
	}
}

const serverLog = `{"time":"2030-01-01T00:00:00Z","level":"INFO","msg":"serving","nbd_address":""}
{"level":"INFO","msg":"request","method":"POST","path":"/v1/tasks/establish/runs","status":201,` +
	`"duration":5300000}
{"level":"INFO","msg":"request","method":"POST","path":"/v1/tasks/withdraw/runs","status":201,` +
	`"duration":700000}
{"level":"INFO","msg":"stopped"}
`

func TestRequests(t *testing.T) {
	served, err := requests([]byte(serverLog))
	if err != nil || len(served) != 2 || served[0].Duration != 5300*time.Microsecond {
		t.Fatalf("got %+v, %v", served, err)
	}
	seconds, err := runDurations(served, 2)
	if want := []float64{0.0053, 0.0007}; err != nil || !slices.Equal(seconds, want) {
		t.Errorf("got %v, %v, want %v", seconds, err, want)
	}
	if _, err := runDurations(served, 3); err == nil {
		t.Error("a call without a request was not noticed")
	}
	served[1].Status = 500
	if _, err := runDurations(served, 2); err == nil {
		t.Error("a failed request counts as a run")
	}
	if _, err := requests([]byte("panic: oops\n")); err == nil {
		t.Error("a log that is not one was read")
	}
}

func TestAlternate(t *testing.T) {
	even, odd := alternate([]float64{1, 2, 3, 4, 5})
	if !slices.Equal(even, []float64{1, 3, 5}) || !slices.Equal(odd, []float64{2, 4}) {
		t.Errorf("got %v and %v", even, odd)
	}
}

func TestParseVmRSS(t *testing.T) {
	got, err := parseVmRSS("Name:\tcopyserver\nVmHWM:\t   48916 kB\nVmRSS:\t   48600 kB\n" +
		"RssAnon:\t 1 kB\n")
	if err != nil || got != 48600<<10 {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := parseVmRSS("Name:\tkthreadd\n"); err == nil {
		t.Errorf("a status without VmRSS has %d", got)
	}
}

func TestParseProcessorTime(t *testing.T) {
	const stat = "4711 (a ) b) S 1 4711 4711 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 1 2 3\n"
	if got, err := parseProcessorTime(stat); err != nil || got != 1.75 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, stat := range []string{"", "4711 (x) S 1 2"} {
		if got, err := parseProcessorTime(stat); err == nil {
			t.Errorf("%q has %v", stat, got)
		}
	}
}

func TestMountType(t *testing.T) {
	const info = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
22 27 0:21 / /proc rw - proc proc rw
25 24 0:23 / /dev/shm rw,relatime shared:3 - tmpfs tmpfs rw,size=24684084k
30 27 0:30 / /data rw - xfs /dev/vdb rw
31 30 0:31 / /data rw - btrfs /dev/vdc rw
nonsense
`
	for dir, want := range map[string]string{
		"/tmp/x": "ext4", "/dev/shm/bench": "tmpfs", "/dev/shm": "tmpfs", "/dev/shmx": "ext4",
		"/data/x": "btrfs",
	} {
		if got := mountType(info, dir); got != want {
			t.Errorf("%s is on %s, want %s", dir, got, want)
		}
	}
	if got := mountType("", "/tmp"); got != unknown {
		t.Errorf("without any mount: %s", got)
	}
}

func TestField(t *testing.T) {
	const text = "processor\t: 0\nmodel name\t: Some CPU @ 2:1\nPRETTY_NAME=\"An OS 12\"\n" +
		"MemTotal:  24684084 kB\n"
	for name, want := range map[string]string{
		"model name": "Some CPU @ 2:1", "PRETTY_NAME": "An OS 12", "NAME": unknown,
	} {
		if got := field(text, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := memorySize(text); got != "23.5 GiB" {
		t.Errorf("memory: %s", got)
	}
	if got := memorySize(""); got != unknown {
		t.Errorf("memory of an empty file: %s", got)
	}
}

func TestLoad(t *testing.T) {
	if got := loadIn("1.25 0.50 0.25 2/150 4711\n"); got != "1.25 0.50 0.25" {
		t.Errorf("load %q", got)
	}
	if got := loadIn(""); got != unknown || busy(got, 1) {
		t.Errorf("a load that is not known: %q, busy is %t", got, busy(got, 1))
	}
	if !busy("1.25 0.50 0.25", 2) || busy("0.95 9 9", 2) {
		t.Error("busy does not go by half the processors")
	}
}

func TestVersionIn(t *testing.T) {
	for text, want := range map[string]string{
		"version: 0.31  2020/02/20 [svn: r160]\n":       "0.31",
		"lsblk from util-linux 2.38.1\n":                "2.38.1",
		"fio-3.33\n":                                    "3.33",
		"qemu-nbd 7.2.22 (Debian 1:7.2+dfsg)\nmore 9.9": "7.2.22",
		"tool\n1.2.3\n":                                 "of unknown version",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestNotMeasured(t *testing.T) {
	absent := tool{"no-such-program-anywhere", "some-package", "--version"}
	const want = "not measured: no-such-program-anywhere is not installed (Debian: some-package)"
	if got := absent.notMeasured(); got != want {
		t.Errorf("got %q", got)
	}
	if got := absent.describe(t.Context()); got != absent.name+" not installed" {
		t.Errorf("described as %q", got)
	}
	rows, err := section{title: "Title", needs: []tool{absent}}.rows(t.Context(), nil)
	if err != nil || len(rows) != 1 || rows[0].ours != want {
		t.Errorf("a section without its tool: %+v, %v", rows, err)
	}
}
