package hostdisk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MachineID returns what tells this machine, or the one of a tree, from others that
// have its name: the system's own id, hashed as the systemd function
// sd_id128_get_machine_app_specific does, so that it tells nobody the id itself.
// It stays the same for the life of an installation. It is 32 lower-case hex
// digits, empty where the system has no such id. A machine that was copied with
// its id cannot be told from its copy.
//
//	Linux    /etc/machine-id (machine-id(5))
//	Windows  MachineGuid in the registry
//	AIX      os_uuid of sys0
//	Solaris  hostid
//	FreeBSD  kern.hostuuid
//	macOS    IOPlatformUUID
func MachineID(ctx context.Context, root string) string {
	if isMachine(root) {
		return appSpecific(ownMachineID(ctx))
	}
	return appSpecific(linuxMachineID(func(file string) string { return readInside(root, file) }))
}

// linuxMachineID returns the id in the first file that has one.
func linuxMachineID(read func(file string) string) string {
	for _, file := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if id := read(file); appSpecific(id) != "" {
			return id
		}
	}
	return ""
}

// toolMachineID asks a system's own tool. An id that it will not tell is none.
func toolMachineID(ctx context.Context, goos string, run runner) string {
	ask := func(name string, args ...string) string {
		out, err := run(ctx, name, args...)
		if err != nil {
			return ""
		}
		return string(out)
	}
	switch goos {
	case "aix":
		return ask("lsattr", "-El", "sys0", "-a", "os_uuid", "-F", "value")
	case "darwin":
		return platformUUID(ask("ioreg", "-a", "-r", "-d", "1", "-c", "IOPlatformExpertDevice"))
	case "freebsd":
		return ask("sysctl", "-n", "kern.hostuuid")
	case "solaris", "illumos":
		return ask("hostid")
	}
	return ""
}

// platformUUID reads the id of a Mac from its registry.
func platformUUID(list string) string {
	root, err := parsePlist([]byte(list))
	if err != nil {
		return ""
	}
	nodes, _ := root.([]any)
	for _, node := range nodes {
		if dict, ok := node.(map[string]any); ok {
			return registryText(dict, "IOPlatformUUID")
		}
	}
	return ""
}

// application is the id of this suite in app-specific machine ids. It never
// changes: hosts would seem to be other machines.
var application = []byte{0x5e, 0x0b, 0xd1, 0x4c, 0x27, 0x9a, 0x4f, 0x63,
	0x8b, 0x3d, 0x90, 0x71, 0xc6, 0x1f, 0xe4, 0xa8}

// appSpecific hashes an id that is 32 hex digits as systemd does, with and without
// the hyphens of a UUID, and a shorter number, as Solaris has it, the same way.
// What is none of that, or the same digit throughout, as before a system has got
// its id, gives an empty text.
func appSpecific(id string) string {
	const shortest, digits = 8, 32
	id = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(id), "-", ""))
	if len(id) < shortest || len(id) > digits || strings.Trim(id, id[:1]) == "" {
		return ""
	}
	key, err := hex.DecodeString(strings.Repeat("0", digits-len(id)) + id)
	if err != nil {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(application)
	sum := mac.Sum(nil)[:digits/2]
	sum[6] = sum[6]&0x0f | 0x40 // the bits that say what kind of UUID it is
	sum[8] = sum[8]&0x3f | 0x80
	return hex.EncodeToString(sum)
}
