package copyserver

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copyservices/copyserver/api"
)

// outside runs a client of others. Where CI is set it has to be installed.
func outside(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is required", name)
		}
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// save writes the files that libnbd and QEMU look for in a folder.
func (c issued) save(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"ca-cert.pem": c.Authority, "client-cert.pem": c.Certificate, "client-key.pem": string(c.key),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// qemu returns the arguments that open an export with QEMU's tools.
func qemu(address, export, certificates string) []string {
	host, port, _ := net.SplitHostPort(address)
	return []string{
		"--object", "tls-creds-x509,id=tls0,endpoint=client,verify-peer=yes,dir=" + certificates,
		"--image-opts", "driver=nbd,host=" + host + ",port=" + port + ",export=" + export +
			",tls-creds=tls0",
	}
}

// TestOutsideClientsWithCredentials: libnbd and QEMU take the credentials and
// verify the server by them.
func TestOutsideClientsWithCredentials(t *testing.T) {
	w := startTLS(t, t.TempDir())
	v := w.volumes(2)
	w.assign(v[0], api.HostAccess{Host: "h"})
	w.assign(v[1], api.HostAccess{Host: "h", ReadOnly: true})
	dir := w.credential("h").save(t)
	uri := func(export, certificates string) string {
		return "nbds://" + w.NBDAddr() + "/" + export + "?tls-certificates=" + certificates
	}
	for serial, readOnly := range map[string]bool{v[0]: false, v[1]: true} {
		out, err := outside(t, "nbdinfo", "--json", uri(serial, dir))
		var info struct {
			TLS     bool
			Exports []struct {
				ReadOnly bool `json:"is_read_only"`
			}
		}
		if err == nil {
			err = json.Unmarshal([]byte(out), &info)
		}
		if err != nil || !info.TLS || len(info.Exports) != 1 || info.Exports[0].ReadOnly != readOnly {
			t.Errorf("nbdinfo: %v\n%s", err, out)
		}
		out, err = outside(t, "qemu-img", append([]string{"info"}, qemu(w.NBDAddr(), serial, dir)...)...)
		if err != nil || !strings.Contains(out, "virtual size: 1 MiB") {
			t.Errorf("qemu-img: %v\n%s", err, out)
		}
	}
	stranger := w.credential("stranger").save(t)
	foreign := startTLS(t, t.TempDir()).credential("h").save(t)
	for _, certificates := range []string{stranger, foreign} {
		if out, err := outside(t, "nbdinfo", "--size", uri(v[0], certificates)); err == nil {
			t.Errorf("nbdinfo: %s", out)
		}
		args := append([]string{"info"}, qemu(w.NBDAddr(), v[0], certificates)...)
		if out, err := outside(t, "qemu-img", args...); err == nil {
			t.Errorf("qemu-img: %s", out)
		}
	}
	if out, err := outside(t, "nbdinfo", "--list", "nbd://"+w.NBDAddr()); err == nil {
		t.Errorf("without TLS: %s", out)
	}
}
