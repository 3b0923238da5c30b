package notation_test

import (
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/notation"
)

func TestNumbersAreDecimal(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "010": 10, "100": 100} {
		if n, err := notation.ParseNumber(text, 1, 100); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "0", "101", "-1", "+5", "0x10", "0o10", "1_0", "1e1", "5 ", "99999999999999999999"} {
		if n, err := notation.ParseNumber(text, 1, 100); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func TestSizeNamesItsUnits(t *testing.T) {
	for _, text := range []string{"1MB", "2TB", "2kB", "5 parsecs"} {
		_, err := notation.ParseSize(text)
		if hint := fault.HintOf(err); !strings.Contains(hint, "KiB, MiB, GiB, TiB, or K, M, G, T") ||
			!strings.Contains(hint, "MB, GB, TB are not taken") {
			t.Errorf("%s: %v, hint %q", text, err, hint)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"Server": "server", "server:08452": "server:8452", "10.0.0.5": "10.0.0.5",
		"0:0:0:0:0:0:0:1": "::1", "[FE80::1%Eth0]:1": "[fe80::1%Eth0]:1", "fe80::1%lo": "fe80::1%lo",
		"[::1]": "::1",
	} {
		if a, err := notation.ParseAddress(text); a.String() != want || err != nil {
			t.Errorf("%q: %q, %v", text, a, err)
		}
	}
	for _, text := range []string{"[server]:1", "[server]", "fe80::1%", "fe80::1%a b", "[10.0.0.1]:5", "a:+5", "::1]:5", "10.0.0.256", "1.2.3:5", "7",
		".", "..", "..:1", "a..b", "-a", ".a"} {
		if a, err := notation.ParseAddress(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %q, %v", text, a, err)
		}
	}
	if got := notation.WithoutZone("fe80::1%lo"); got != "fe80::1" {
		t.Errorf("without its zone: %s", got)
	}
	if !notation.IsLoopback("::1%lo") || !notation.IsLoopback("::ffff:127.0.0.1") || notation.IsLoopback("fe80::1%lo") {
		t.Error("what is loopback")
	}
}

func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"ESS1", "ess1", true}, {"::1", "0:0:0:0:0:0:0:1", true}, {"[FE80::2]:8452", "[fe80:0::2]:08452", true},
		{"ess1", "ess1:8452", false}, {"ess1", "ess2", false}, {"fe80::1%a", "fe80::1%A", false},
		{"x/Y", "X/y", true}, {"x/y", "x", false},
	} {
		if notation.SameAddress(c.a, c.b) != c.same || notation.SameAddress(c.b, c.a) != c.same {
			t.Errorf("%q and %q: same should be %t", c.a, c.b, c.same)
		}
	}
}

func TestListenAddresses(t *testing.T) {
	for _, text := range []string{":0", "127.0.0.1:8452", "[fe80::1%lo]:0", "localhost:1", "[::]:65535"} {
		if err := notation.CheckListen(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "here", "here:", "a b:1", ":65536", ":https", "fe80::1%lo"} {
		if err := notation.CheckListen(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFingerprintSpellings(t *testing.T) {
	print := notation.Fingerprint([]byte("a certificate"))
	digits := strings.ToUpper(strings.TrimPrefix(print, "sha256:"))
	var colons []string
	for i := 0; i < len(digits); i += 2 {
		colons = append(colons, digits[i:i+2])
	}
	for _, text := range []string{
		print, strings.ToUpper(print), digits, "SHA256:" + digits, "sha-256 " + digits,
		strings.Join(colons, ":"), "SHA256 Fingerprint=" + strings.Join(colons, ":"),
		"sha256 fingerprint: " + strings.Join(colons, " "),
	} {
		if got, err := notation.ParseFingerprint(text); got != print || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sha256:", "sha1:" + digits, print + "00", "md5 " + digits, print[:70] + "g"} {
		if got, err := notation.ParseFingerprint(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
