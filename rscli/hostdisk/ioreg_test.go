package hostdisk

import (
	"encoding/base64"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const ioregOf = "ioreg -a -r -l -c "

func macHost(t *testing.T) *fakeTools {
	return sampleTools(t, map[string]string{ioregOf + classSCSI: "macos/ioreg-scsi",
		ioregOf + classStorage: "macos/ioreg-storage"})
}

func TestMacOS(t *testing.T) {
	f := macHost(t)
	disks, warnings := f.list("darwin", Options{})
	if got, want := showDisks(t, disks), "disk2=20313698 disk10=20413698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings)
	if disks[0].Size != 1<<30 || len(f.ran) != 1 {
		t.Errorf("%+v after %q", disks[0], f.ran)
	}
}

func TestMacOSAll(t *testing.T) {
	disks, _ := macHost(t).list("darwin", Options{All: true})
	want := `disk0=0ba0123456789abc |  | APPLE SSD AP1024R
disk2=20313698 | IBM | 2105800
disk10=20413698 | IBM | 2105800`
	if got := showAll(t, disks); got != want {
		t.Errorf("listed\n%s\nwant\n%s", got, want)
	}
}

// TestMacOSStrayBytes puts what XML cannot hold into each text of the registry in
// turn: it costs no disk, not even where it pads the serial itself.
func TestMacOSStrayBytes(t *testing.T) {
	sample, err := os.ReadFile("testdata/macos/ioreg-scsi")
	check(t, err)
	ends := regexp.MustCompile(`</string>`).FindAllIndex(sample, -1)
	if len(ends) < 10 {
		t.Fatalf("%d texts", len(ends))
	}
	for _, stray := range []string{"\x03", "\x00\x00junk", "\x1b", "&#3;"} {
		for _, end := range ends {
			text := string(sample[:end[0]]) + stray + string(sample[end[0]:])
			f := sampleTools(t, map[string]string{ioregOf + classSCSI: "=" + text})
			disks, _ := f.list("darwin", Options{})
			if got, want := showDisks(t, disks), "disk2=20313698 disk10=20413698"; got != want {
				t.Errorf("%q at %d: listed %q, want %q", stray, end[0], got, want)
			}
		}
	}
	broken := strings.ReplaceAll(string(sample), "IOMedia", "Caf\xe9")
	disks, _ := sampleTools(t, map[string]string{ioregOf + classSCSI: "=" + broken}).list("darwin",
		Options{})
	if len(disks) != 2 {
		t.Errorf("with broken UTF-8: %+v", disks)
	}
}

// TestMacOSData: a driver that keeps its texts as data tells them all the same.
func TestMacOSData(t *testing.T) {
	sample, err := os.ReadFile("testdata/macos/ioreg-scsi")
	check(t, err)
	texts := regexp.MustCompile(`<string>(IBM *|2105800 *|20[34]13698)</string>`)
	text := texts.ReplaceAllStringFunc(string(sample), func(s string) string {
		return "<data>" + base64.StdEncoding.EncodeToString([]byte(texts.FindStringSubmatch(s)[1])) +
			"</data>"
	})
	f := sampleTools(t, map[string]string{ioregOf + classSCSI: "=" + text})
	disks, _ := f.list("darwin", Options{})
	if got, want := showDisks(t, disks), "disk2=20313698 disk10=20413698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestMacOSWithoutSCSI(t *testing.T) {
	disks, warnings := sampleTools(t, map[string]string{ioregOf + classSCSI: "="}).list("darwin",
		Options{})
	if len(disks)+len(warnings) > 0 {
		t.Errorf("listed %+v, %q", disks, warnings)
	}
}

func TestParsePlist(t *testing.T) {
	for text, want := range map[string]any{
		"": nil, " \n": nil,
		"<plist><string>a&amp;b</string></plist>":                                                     "a&b",
		"<plist><true/></plist>":                                                                      true,
		"<plist><integer>-5</integer></plist>":                                                        int64(-5),
		"<plist><integer>0x10</integer></plist>":                                                      int64(16),
		"<plist><integer>18446744073709551615</integer></plist>":                                      "18446744073709551615",
		"<plist><array><dict/><data>AA==</data></array></plist>":                                      []any{map[string]any{}, []byte{0}},
		"<plist><data>\n\tMjAz\n\tMTM2OTg=\n</data></plist>":                                          []byte("20313698"),
		"<plist><data>no base!</data></plist>":                                                        []byte(nil),
		"<plist><string>a\x03\x00b\xff&#7;&#x1b;&#65;</string></plist>":                               "a\x03\x00b\u00ff\x07\x1bA",
		"<plist><string>a\ufffe&#xd800;&#99999999999;</string></plist>":                               "a\u00ff\u00ff\u00ff",
		"<plist><dict><key>a\x01</key><true/></dict></plist>":                                         map[string]any{"a\x01": true},
		`<?xml version="1.0" encoding="ISO-8859-1"?><plist><dict><key>a</key><array/></dict></plist>`: map[string]any{"a": []any(nil)},
	} {
		got, err := parsePlist([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %#v, %v; want %#v", text, got, err, want)
		}
	}
}

func TestParsePlistRefuses(t *testing.T) {
	deep := strings.Repeat("<array>", 1000) + strings.Repeat("</array>", 1000)
	for _, text := range []string{"x", "<", "<plist>", "<plist/>", "<html><p/></html>",
		"<plist><dict><string>a</string></dict></plist>", "<plist><dict><key>a</key></dict></plist>",
		"<plist><array><dict></array></plist>", "<plist><string>a", "<plist>" + deep + "</plist>",
		"\x00\xff", "bplist00\xd1"} {
		if got, err := parsePlist([]byte(text)); err == nil {
			t.Errorf("%.60q is %v", text, got)
		}
	}
}

func FuzzIoreg(f *testing.F) {
	f.Add([]byte("<plist><array><dict><key>BSD Name</key><string>disk2</string><key>Whole</key>" +
		"<true/><key>Vendor Identification</key><string>IBM\x1b</string></dict></array></plist>"))
	f.Add([]byte("<plist><dict><key>Size</key><integer>-1</integer></dict></plist>"))
	f.Fuzz(func(t *testing.T, out []byte) {
		disks, err := parseIoreg(out)
		if err != nil && disks != nil {
			t.Errorf("%+v and %v", disks, err)
		}
		for _, d := range disks {
			checkDisk(t, d.Name, d)
		}
	})
}
