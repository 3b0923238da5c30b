package hostdisk

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"
	"unicode"

	"copyservices/arrayclient/fault"
)

// HostName returns the name of the machine or, with a root, the one that the
// tree gives in proc/sys/kernel/hostname or else etc/hostname. It is printable
// and never empty. The error is of kind Failed.
func HostName(root string) (string, error) {
	if isMachine(root) {
		name, err := os.Hostname()
		if err == nil && !isHostName(name) {
			err = fault.New(fault.Failed, "%+q is not a host name", name)
		}
		if err != nil {
			return "", fault.New(fault.Failed, "cannot tell this host's name: %w", err)
		}
		return name, nil
	}
	for _, file := range []string{"proc/sys/kernel/hostname", "etc/hostname"} {
		if name := strings.TrimSpace(readInside(root, file)); isHostName(name) {
			return name, nil
		}
	}
	return "", fault.New(fault.Failed, "%s does not tell its host's name", root).
		WithHint("write the name to %s", path.Join(root, "etc/hostname"))
}

// isHostName: the server compares names and tasks write them before a colon.
func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || r == ':' || r == '/'
	})
}

// IsDefaultName reports whether a system has the name because nobody gave it one,
// so that many have it: localhost in its forms, and what kernels and the boot of
// Solaris and FreeBSD say instead of a name.
func IsDefaultName(name string) bool {
	first, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch first {
	case "":
		return name == ""
	case "localhost", "localhost4", "localhost6", "ip6-localhost", "localhost-live",
		"(none)", "unknown", "amnesiac":
		return true
	}
	return false
}

// OSName returns a text for people: PRETTY_NAME of os-release on Linux, elsewhere
// the system's name and version ("AIX 7.2", "Windows Server 2022 Standard, build
// 20348"), and the bare name where there is none.
func OSName(root string) string {
	if isMachine(root) && runtime.GOOS != "linux" {
		if name := printable([]byte(machineOS())); name != "" {
			return name
		}
		return runtime.GOOS
	}
	if root == "" {
		root = "/"
	}
	for _, file := range []string{"etc/os-release", "usr/lib/os-release"} {
		if name := prettyName(readInside(root, file)); name != "" {
			return name
		}
	}
	return "Linux"
}

// prettyName returns PRETTY_NAME of an os-release file, without quotes, empty
// where there is none that can be printed (os-release(5)).
func prettyName(file string) string {
	for line := range strings.Lines(file) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME=")
		if !ok {
			continue
		}
		value = strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`",
			`"`, "", `'`, "").Replace(value)
		if !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// readInside returns the beginning of a text file of the tree, empty where it
// cannot be read. A link that leads out of the tree is not followed: it would
// answer with this machine's file.
func readInside(root, name string) string {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return ""
	}
	defer dir.Close()
	info, err := dir.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := dir.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, attributeSize)
	n, _ := f.Read(buf)
	return string(buf[:n])
}

// unixName writes what uname(2) tells of a system: AIX has the major number in
// version and the minor one in release, the others the whole in release.
func unixName(system, release, version string) string {
	if system == "AIX" {
		release = version + "." + release
	}
	return strings.TrimSpace(system + " " + release)
}

// windowsName writes the product's name and build. Windows 11 calls itself
// Windows 10 in the registry; it begins with build 22000.
func windowsName(product string, build uint32) string {
	const firstOf11 = 22000
	if product == "" {
		product = "Windows"
	}
	if build >= firstOf11 {
		product = strings.Replace(product, "Windows 10", "Windows 11", 1)
	}
	return fmt.Sprintf("%s, build %d", product, build)
}
