package hostdisk

import (
	"bytes"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/rscli/hostdisk/hostdisktest"
)

func TestPage80Serial(t *testing.T) {
	for name, c := range map[string]struct{ page, want string }{
		"plain":               {"\x00\x80\x00\x0820313698", "20313698"},
		"blanks on the left":  {"\x00\x80\x00\x0e      20313698", "20313698"},
		"blanks on the right": {"\x00\x80\x00\x0c20313698    ", "20313698"},
		"NULs":                {"\x00\x80\x00\x0c20313698\x00\x00\x00\x00", "20313698"},
		"nothing":             {"", ""},
		"half a header":       {"\x00\x80\x00", ""},
		"header only":         {"\x00\x80\x00\x08", ""},
		"cut off":             {"\x00\x80\x00\x082031", "2031"},
		"length too large":    {"\x00\x80\xff\xff20313698", "20313698"},
		"length too small":    {"\x00\x80\x00\x0320313698", "203"},
		"length zero":         {"\x00\x80\x00\x0020313698", ""},
		"another page":        {"\x00\x83\x00\x0820313698", ""},
		"only blanks":         {"\x00\x80\x00\x04    ", ""},
		"escape sequence":     {"\x00\x80\x00\x07A\x1b[31mB", "A?[31mB"},
		"not ASCII":           {"\x00\x80\x00\x04A\xc3\xa9B", "A??B"},
		"junk after a NUL":    {"\x00\x80\x00\x0e20313698\x00\x00junk", "20313698"},
		"NULs on the left":    {"\x00\x80\x00\x0c\x00\x00\x00\x0020313698", "20313698"},
		"control at the end":  {"\x00\x80\x00\x0920313698\x03", "20313698"},
		"controls, blanks":    {"\x00\x80\x00\x0e \n20313698\x1b \x7f\x00", "20313698"},
	} {
		if got := page80Serial([]byte(c.page)); got != c.want {
			t.Errorf("%s: page80Serial = %q, want %q", name, got, c.want)
		}
	}
}

func TestPage83Volume(t *testing.T) {
	ascii := func(kind byte, text string) []byte {
		return hostdisktest.Designator(codeSetASCII, kind, []byte(text))
	}
	naa := hostdisktest.Designator(1, 3, []byte{0x50, 5, 7, 0x63, 0, 0xc0, 2, 3})
	page := func(designators ...[]byte) []byte {
		return hostdisktest.Page(pageDeviceID, bytes.Join(designators, nil))
	}
	const t10 = "IBM     2105800         20313698"
	ofPort := ascii(typeT10, t10)
	ofPort[1] |= 1 << 4
	for name, c := range map[string]struct {
		page []byte
		want string
	}{
		"QEMU":                {page(ascii(typeVendor, "20313698"), naa), "20313698"},
		"T10":                 {page(naa, ascii(typeT10, t10)), "20313698"},
		"T10, padded":         {page(ascii(typeT10, t10+"    \x00")), "20313698"},
		"T10, vendor only":    {page(ascii(typeT10, "20313698")), ""},
		"T10, no serial":      {page(ascii(typeT10, "IBM     2105800")), ""},
		"QEMU, junk":          {page(ascii(typeVendor, "20313698\x00\x00junk")), "20313698"},
		"QEMU, control":       {page(ascii(typeVendor, "20313698\x03")), "20313698"},
		"T10, NULs between":   {page(ascii(typeT10, "IBM     2105800\x00\x0020313698")), "20313698"},
		"T10, junk":           {page(ascii(typeT10, t10+"\x00\x00junk")), "20313698"},
		"T10, control":        {page(ascii(typeT10, t10+"\x03")), "20313698"},
		"of the port":         {page(ofPort), ""},
		"binary":              {page(naa), ""},
		"binary T10":          {page(hostdisktest.Designator(1, typeT10, []byte(t10))), ""},
		"an empty one before": {page(ascii(typeT10, ""), ascii(typeVendor, "20313698")), "20313698"},
		"nothing":             {nil, ""},
		"no designators":      {page(), ""},
		"half a header":       {page([]byte{2, 1, 0}), ""},
		"length too large":    {page([]byte{2, 0, 0, 255}, []byte("20313698")), "20313698"},
		"length too small":    {page([]byte{2, 0, 0, 3}, []byte("20313698")), ""},
		"another page":        {hostdisktest.Page(0x80, ascii(typeVendor, "20313698")), ""},
	} {
		if got := page83Volume("2105", c.page); got != c.want {
			t.Errorf("%s: page83Volume = %q, want %q", name, got, c.want)
		}
	}
}

// checkText fails where s could do more to a terminal than show characters.
func checkText(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%q is not printable ASCII", s)
	}
	if s != strings.TrimSpace(s) {
		t.Errorf("%q is not trimmed", s)
	}
}

func FuzzPage80(f *testing.F) {
	f.Add([]byte("\x00\x80\x00\x0820313698"))
	f.Add([]byte("\x00\x80\xff\xff \x1b[2J\x00"))
	f.Add([]byte{0, 0x80, 0})
	f.Fuzz(func(t *testing.T, page []byte) {
		serial := page80Serial(page)
		checkText(t, serial)
		if len(serial) > max(0, len(page)-vpdHeader) {
			t.Errorf("serial %q is longer than the page", serial)
		}
	})
}

func FuzzPage83(f *testing.F) {
	f.Add(hostdisktest.Page(0x83, hostdisktest.Designator(2, 0, []byte("20313698"))))
	f.Add(hostdisktest.Page(0x83, hostdisktest.Designator(2, 1, []byte("IBM     2105 20313698"))))
	f.Add([]byte("\x00\x83\xff\xff\x02\x01\x00\xff"))
	f.Fuzz(func(t *testing.T, page []byte) {
		serial := page83Volume("2105", page)
		checkText(t, serial)
		if _, err := arrayclient.ParseSerial(serial); serial != "" && err != nil {
			t.Errorf("%q is not a volume serial", serial)
		}
	})
}
