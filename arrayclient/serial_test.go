package arrayclient_test

import (
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

func TestSerials(t *testing.T) {
	for text, want := range map[string]struct {
		array, volume string
		id            uint16
	}{
		"20313698":    {"13698", "203", 0x203},
		"fff1a2b3":    {"1A2B3", "FFF", 0xFFF},
		"00000000":    {"00000", "000", 0},
		"75DC8914805": {"75DC891", "4805", 0x4805},
		"75dhz81ffff": {"75DHZ81", "FFFF", 0xFFFF},
		"13AAGXA1000": {"13AAGXA", "1000", 0x1000},
	} {
		s, err := arrayclient.ParseSerial(text)
		if err != nil || string(s) != strings.ToUpper(text) {
			t.Errorf("%s: %q, %v", text, s, err)
			continue
		}
		if s.ArraySerial() != want.array || s.VolumeDigits() != want.volume || s.VolumeID() != want.id {
			t.Errorf("%s is volume %s (%d) of array %s", s, s.VolumeDigits(), s.VolumeID(), s.ArraySerial())
		}
		if made := arrayclient.MakeSerial(want.id, want.array); made != s {
			t.Errorf("volume %d of %s is %s, not %s", want.id, want.array, made, s)
		}
	}
}

func TestWhatIsNoSerial(t *testing.T) {
	for text, hint := range map[string]string{
		"": "3 hex digits", "2031369": "3 hex digits", "203136980": "3 hex digits",
		"G0313698": "3 hex digits", "203 3698": "3 hex digits", "203-3698": "3 hex digits",
		"75DC891480G": "2107", "75DC-914805": "2107", "75DC89148050": "3 hex digits",
		"2031369ı": "3 hex digits", "75DC8914805\n": "3 hex digits",
	} {
		_, err := arrayclient.ParseSerial(text)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), hint) {
			t.Errorf("%q: %v (%s)", text, err, fault.HintOf(err))
		}
	}
}

func TestSerialsOfAMachineType(t *testing.T) {
	for _, c := range []struct {
		machine, text string
		ok            bool
	}{
		{"2105", "20313698", true}, {"2105", "75DC8914805", false},
		{"2107", "75dc8914805", true}, {"1750", "13AAGXA1000", true}, {"2107", "20313698", false},
		{"2145", "20313698", false}, {"", "20313698", false},
	} {
		if got, ok := arrayclient.ParseSerialOf(c.machine, c.text); ok != c.ok {
			t.Errorf("%s of a %s: %s, %v", c.text, c.machine, got, ok)
		}
	}
}

func TestArrayIDs(t *testing.T) {
	for text, volumes := range map[string]int{
		"2105.13698": 1 << 12, "2105.1a2b3": 1 << 12, "2107.75FA120": 1 << 16,
		"1750.13AAGXA": 1 << 16, "9999.13698": 1 << 12, "9999.75FA120": 1 << 12,
	} {
		id, err := arrayclient.ParseArrayID(text)
		if err != nil || id.String() != strings.ToUpper(text) || id.VolumeIDs() != volumes {
			t.Errorf("%s: %s, %d ids, %v", text, id, id.VolumeIDs(), err)
		}
	}
	for _, text := range []string{
		"", "2105", "2105.", ".13698", "2105.75FA120", "2107.13698", "210.13698", "21x5.13698",
		"2105-13698", "2105.1369-", "9999.1369", "2105.13698.1",
	} {
		if id, err := arrayclient.ParseArrayID(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q is array %s, %v", text, id, err)
		}
	}
}

func TestVolumeIDs(t *testing.T) {
	for _, c := range []struct {
		machine, text string
		id            uint16
		hint          string // empty: it is one
	}{
		{"2105", "203", 0x203, ""}, {"2105", "fFf", 0xFFF, ""}, {"2107", "4805", 0x4805, ""},
		{"2105", "4805", 0, "3 hex digits, like 203"}, {"2107", "203", 0, "4 hex digits"},
		{"2105", "xyz", 0, "like 203"}, {"2105", "+20", 0, "like 203"}, {"1750", "", 0, "4805"},
	} {
		id, err := arrayclient.ParseVolumeID(c.machine, c.text)
		if id != c.id || (err == nil) != (c.hint == "") || !strings.Contains(fault.HintOf(err), c.hint) {
			t.Errorf("volume %s of a %s: %x, %v (%s)", c.text, c.machine, id, err, fault.HintOf(err))
		}
	}
	for text, ok := range map[string]bool{
		"203": true, "4805": true, "20": false, "20313": false, "xyz": false, "": false,
	} {
		if err := arrayclient.CheckVolumeID(text); (err == nil) != ok {
			t.Errorf("volume id %q: %v", text, err)
		}
	}
}
