package hostdisk

import (
	"slices"
	"testing"

	"copyservices/arrayclient/fault"
)

func TestParseModels(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, " , ": nil, "2105": {"2105"}, "2105,2107": {"2105", "2107"},
		" 2105, 1750\t2145 ": {"2105", "1750", "2145"},
	} {
		if got, err := ParseModels(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseModels(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"210", "21055", "2105800", "abcd", "2105;2107", "2105,-107"} {
		got, err := ParseModels(text)
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || got != nil {
			t.Errorf("ParseModels(%q) = %q, %v", text, got, err)
		}
	}
}

func TestVolumeSerial(t *testing.T) {
	const naa = "60050768028106B53800000000000002"
	for _, c := range []struct{ machine, text, want string }{
		{"2105", "20313698", "20313698"}, {"2105", "fff1369a", "FFF1369A"}, {"2105", "2031369", ""},
		{"2105", "75DC8914805", ""}, {"2107", "75dc8914805", "75DC8914805"},
		{"1750", "13AAGXA1000", "13AAGXA1000"}, {"2107", "75DC891480G", ""},
		{"2107", "75DC-914805", ""}, {"2107", "20313698", ""}, {"2145", naa, naa},
		{"2145", "0200602046b2XX00", ""}, {"2145", "7" + naa[1:], ""}, {"2145", naa + "0", ""},
		{"1814", "20313698", ""}, {"", "20313698", ""}, {"2105", "", ""}, {"2107", "", ""},
	} {
		got, ok := volumeSerial(c.machine, c.text)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("volumeSerial(%q, %q) = %q, %t", c.machine, c.text, got, ok)
		}
	}
}

func TestVolumeOfOtherModels(t *testing.T) {
	ibm := Disk{Vendor: "IBM", Model: "2107900", Counts: true}
	for serial, want := range map[string][2]string{
		"75dc8914805": {"75DC8914805", "75DC8914805"}, "20313698": {"20313698", "20313698"},
		"fff1369a": {"FFF1369A", "FFF1369A"}, "any form": {"", "any form"}, "": {"", ""},
	} {
		ibm.Serial = serial
		volume, ok := ibm.Volume()
		if string(volume) != want[0] || ok != (want[0] != "") || ibm.VolumeSerial() != want[1] {
			t.Errorf("%q: %q, %t; %q", serial, volume, ok, ibm.VolumeSerial())
		}
	}
	other := Disk{Vendor: "IBM", Model: "ST31468", Serial: "abc1dede"}
	if volume, ok := other.Volume(); ok || other.VolumeSerial() != "abc1dede" {
		t.Errorf("a disk that does not count is volume %q", volume)
	}
}

func TestCounts(t *testing.T) {
	for _, c := range []struct {
		models        []string
		vendor, model string
		want          bool
	}{
		{nil, "IBM", "2105800", true}, {nil, "IBM", "2107900", false}, {nil, "IBMX", "2105800", false},
		{nil, "ibm", "2105800", false}, {nil, "IBM", "210", false}, {nil, "", "2105800", false},
		{[]string{"2107"}, "IBM", "2105800", false}, {[]string{"2107"}, "IBM", "2107900", true},
		{[]string{"2145"}, "IBM", "2145", true}, {[]string{"2145"}, "IBM", "IC35L", false},
	} {
		if got := (Options{Models: c.models}).counts(c.vendor, c.model); got != c.want {
			t.Errorf("%q: %s %s counts: %t", c.models, c.vendor, c.model, got)
		}
	}
}
