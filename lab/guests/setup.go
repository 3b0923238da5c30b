package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const qemu = "qemu-system-x86_64"

// recipe changes whenever this set-up makes something else of the packages, so
// that what an older one has made is not used.
const recipe = "1"

// guestPackages are the Debian packages that the guests are made of, beside the
// kernel and the libraries of these.
var guestPackages = []string{"busybox-static", "e2fsprogs", "sqlite3"}

// guestPrograms are the files of those packages that go into a guest's /bin.
// Busybox has a mke2fs of its own, which it takes by that name.
var guestPrograms = []string{"busybox", "mkfs.ext4", "sqlite3"}

// guestCommands are the commands of the suite that the guests have.
var guestCommands = []string{"rsList2105s", "rsPrimeServer", "rsExecuteTask", "rsQuery",
	"rsQueryComplete", "rsFlashCopyQuery", "rsTestConnection"}

// guestModules are the drivers that Debian's kernel has as modules.
var guestModules = []string{"virtio_pci", "virtio_net", "virtio_scsi", "sd_mod", "sg"}

//go:embed init.sh
var initScript string

//go:embed console.sh
var consoleScript string

//go:embed dbload.sh
var dbloadScript string

// parts are what every guest boots from.
type parts struct {
	kernel string // file
	base   string // file: cpio archive of everything but the suite
}

// setUp finds the parts in the cache or makes them of packages, which it fetches
// and unpacks there; it installs nothing.
func setUp(ctx context.Context, o options, out *display) (parts, error) {
	if err := missing(o); err != nil {
		return parts{}, err
	}
	p := parts{
		kernel: filepath.Join(o.cache, "vmlinuz-"+recipe),
		base:   filepath.Join(o.cache, "base-"+recipe+".cpio"),
	}
	_, err := os.Stat(p.base)
	if err == nil {
		_, err = os.Stat(p.kernel)
	}
	if err == nil {
		return p, nil
	}
	out.say("Fetching a kernel, busybox, mke2fs and sqlite3, which are kept in %s", o.cache)
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return p, err
	}
	work, err := os.MkdirTemp(o.cache, "unpacked")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(work)
	return p, p.make(ctx, work)
}

// missing says everything that is not there and how to get it.
func missing(o options) error {
	var errs []error
	for program, debian := range map[string]string{
		qemu: "qemu-system-x86", "apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg",
	} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: the guests need Debian's package %s, "+
				"and apt to fetch what they are made of", program, debian))
		}
	}
	for _, name := range append([]string{"copyserver", "esscli", "setuser"}, guestCommands...) {
		if _, err := os.Stat(filepath.Join(o.bin, name)); err != nil {
			errs = append(errs, fmt.Errorf("build the binaries first: %w", err))
		}
	}
	return errors.Join(errs...)
}

// make makes the parts, in a folder for what is between. The base is there only
// when it is whole.
func (p parts) make(ctx context.Context, work string) error {
	root, err := fetch(ctx, work)
	if err != nil {
		return err
	}
	files, err := findFiles(root)
	if err != nil {
		return err
	}
	var a archive
	if err := addPrograms(&a, files); err != nil {
		return err
	}
	if err := addModules(&a, files); err != nil {
		return err
	}
	kernel, err := files.only("vmlinuz-")
	if err != nil {
		return err
	}
	if err := os.Rename(kernel, p.kernel); err != nil {
		return err
	}
	made := filepath.Join(work, "base")
	if err := os.WriteFile(made, a.bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(made, p.base)
}

// addPrograms adds the programs of the packages with the libraries that they need.
func addPrograms(a *archive, files packageFiles) error {
	for _, name := range guestPrograms {
		if err := a.addFile("bin/"+name, files[name]); err != nil {
			return err
		}
	}
	if err := a.addFile("etc/mke2fs.conf", files["mke2fs.conf"]); err != nil {
		return err
	}
	libraries, err := files.libraries(guestPrograms)
	if err != nil {
		return err
	}
	for _, name := range libraries {
		folder := "lib/"
		if strings.HasPrefix(name, "ld-linux") {
			folder = "lib64/"
		}
		if err := a.addFile(folder+name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// addModules adds the drivers and a list of them in the order in which they must
// be loaded.
func addModules(a *archive, files packageFiles) error {
	order, err := files.modules(guestModules)
	if err != nil {
		return err
	}
	for _, m := range order {
		a.add("modules/"+m.name, 0o644, m.content)
	}
	var list strings.Builder
	for _, m := range order {
		fmt.Fprintln(&list, m.name)
	}
	a.add("modules/order", 0o644, []byte(list.String()))
	return nil
}
