package service

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// account is the user that Windows keeps for the service of that name, and for
// nothing else: a virtual account, without a password.
func account(name string) string { return `NT SERVICE\` + name }

// accountSID is that account's security identifier: S-1-5-80 and then the SHA-1
// sum of the name in upper case and UTF-16, as five numbers (sc showsid prints
// it). It is known before the service exists.
func accountSID(name string) string {
	var text []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	sum := sha1.Sum(text)
	sid := "S-1-5-80"
	for i := 0; i < len(sum); i += 4 {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sum[i:]))
	}
	return sid
}

// folderRights are the rights on the state folder in the language of security
// descriptors (SDDL): all for the system, administrators and the service, handed
// on to what is in it, and none for others, whatever the folder above says.
func folderRights(name string) string {
	const all = "(A;OICI;FA;;;%s)"
	return "D:P" + fmt.Sprintf(all+all+all, "SY", "BA", accountSID(name))
}
