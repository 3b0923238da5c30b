package hostdisk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
)

// toolErrors is how much is kept of what a tool writes to standard error.
const toolErrors = 4 << 10

// A runner runs a tool of the system and returns what it writes to standard
// output. A tool that is not there is errNoTool, one that says that it failed
// errToolFailed; all errors are of kind Failed, or Interrupted when ctx ended.
type runner func(ctx context.Context, name string, args ...string) ([]byte, error)

var (
	errNoTool     = errors.New("not on this host")
	errToolFailed = errors.New("failed")
)

// toolbox is where tools are run from. It has folders of its own instead of the
// caller's PATH: under cron that has no sbin, and a program that root runs must
// not be found in somebody else's folder.
type toolbox struct {
	dirs    []string
	timeout time.Duration
	output  int // bytes, more is an error
}

// run is a runner. The tool runs in the C locale, whose texts the parsers know.
func (b toolbox) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	path := b.find(name)
	if path == "" {
		return nil, fault.New(fault.Failed, "%s is %w", name, errNoTool).
			WithHint("the disks of this system are listed with it; it belongs in %s", b.dirs[0])
	}
	limited, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LANG=C", "PATH="+strings.Join(b.dirs, ":"))
	cmd.WaitDelay = time.Second // for a child that holds on to the output
	stdout := limitedBuffer{limit: b.output, full: cancel}
	stderr := limitedBuffer{limit: toolErrors}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fault.New(fault.KindOf(ctx.Err()), "%s was ended: %w", name, ctx.Err())
	case stdout.over:
		return nil, fault.New(fault.Failed, "%s printed more than %d bytes", name, b.output)
	case limited.Err() != nil:
		return nil, fault.New(fault.Failed, "%s did not end within %s", name, b.timeout).
			WithHint("a disk that does not answer may be the cause")
	case err != nil:
		return nil, toolError(name, err, stderr.kept.Bytes())
	}
	return stdout.kept.Bytes(), nil
}

// toolError quotes the first line of what the tool said.
func toolError(name string, err error, said []byte) error {
	line, _, _ := bytes.Cut(bytes.TrimSpace(said), []byte("\n"))
	why := printable(line)
	if why == "" {
		why = err.Error()
	}
	return fault.New(fault.Failed, "%s %w: %s", name, errToolFailed, why)
}

// find returns the path of a tool, empty where it is not there.
func (b toolbox) find(name string) string {
	for _, dir := range b.dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// limitedBuffer keeps what is written up to its limit and drops the rest. The
// buffer is not embedded: io.Copy would go past Write to its ReadFrom.
type limitedBuffer struct {
	kept  bytes.Buffer
	limit int
	over  bool
	full  func() // called at the limit; may be nil
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := b.limit - b.kept.Len()
	if len(p) > room {
		b.over = true
		if b.full != nil {
			b.full()
		}
	}
	b.kept.Write(p[:min(len(p), room)])
	return len(p), nil
}

// isOptional reports whether err is that of a tool that is not needed: one that is
// not there or has nothing to tell.
func isOptional(err error) bool {
	return errors.Is(err, errNoTool) || errors.Is(err, errToolFailed)
}

// lister returns how a system lists its disks with its own tools; nil for a
// system that this package does not know.
func lister(goos string) func(context.Context, runner, Options) (found, error) {
	switch goos {
	case "aix":
		return listAIX
	case "darwin":
		return listMacOS
	case "freebsd":
		return listFreeBSD
	case "solaris", "illumos":
		return listSolaris
	}
	return nil
}

func listWithTools(ctx context.Context, goos string, run runner,
	opts Options) ([]Disk, []string, error) {
	list := lister(goos)
	if list == nil {
		return nil, nil, fault.New(fault.Failed, "listing disks is not supported on %s", goos).
			WithHint("give a captured Linux tree with --sysroot DIR, " +
				"or name volumes by their serials, which the server lists")
	}
	all, err := list(ctx, run, opts)
	if err != nil {
		return nil, nil, err
	}
	disks, warnings := all.finish(opts)
	return disks, warnings, nil
}
