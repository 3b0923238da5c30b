package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// forDriver begins what a console says to the driver and not to people: see
// console.sh.
const forDriver = "\x1e"

// answer is how a command in a guest ended.
type answer struct {
	output string
	status string // as the guest says it: a number
}

// guest is a machine whose console takes commands, one at a time.
type guest struct {
	name    string
	in      io.Writer
	answers chan answer // closed when the console has ended
	cmd     *exec.Cmd   // nil where the test holds both ends of the console
}

// attach makes a guest of a console and shows all that comes from it.
func attach(name string, in io.Writer, console io.Reader, out *display) *guest {
	g := &guest{name: name, in: in, answers: make(chan answer, 1)}
	go g.listen(console, out)
	return g
}

// listen reads the console to its end.
func (g *guest) listen(console io.Reader, out *display) {
	defer close(g.answers)
	var output strings.Builder
	for lines := bufio.NewReader(console); ; {
		line, err := lines.ReadString('\n')
		line = visible(line)
		text, message, found := strings.Cut(line, forDriver)
		output.WriteString(text)
		if found && text != "" {
			text += "\n" // the command's last line had no end
		}
		out.print(text)
		switch message = strings.TrimSpace(message); {
		case message == "+":
			output.Reset()
		case found:
			g.answers <- answer{output.String(), message}
			output.Reset()
		}
		if err != nil {
			return
		}
	}
}

// visible returns what a terminal shows of a line at its end: a carriage return
// lets what follows overwrite what was before, as progress bars do.
func visible(line string) string {
	line, newline := strings.CutSuffix(line, "\n")
	line = strings.TrimRight(line, "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	if newline {
		line += "\n"
	}
	return line
}

// run has the guest run a command line and returns what it printed; the error
// says how the command failed, or that the guest did.
func (g *guest) run(ctx context.Context, command string) (string, error) {
	if _, err := io.WriteString(g.in, command+"\n"); err != nil {
		return "", fmt.Errorf("%s has ended: %w", g.name, err)
	}
	return g.await(ctx, command)
}

func (g *guest) await(ctx context.Context, what string) (string, error) {
	select {
	case a, ok := <-g.answers:
		switch {
		case !ok:
			return "", fmt.Errorf("%s ended during %q", g.name, what)
		case a.status != "0":
			return a.output, fmt.Errorf("%s: %q ended with status %s", g.name, what, a.status)
		}
		return a.output, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s: %q did not end: %w", g.name, what, context.Cause(ctx))
	}
}

// machine is what a guest is made of.
type machine struct {
	name           string
	kernel, initrd string
	nbd            string // address of the server's export
	volumes        []string
}

// args are the arguments of qemu-system-x86_64. There is no hardware
// virtualisation: a /dev/kvm that opens may still be unusable.
func (m machine) args() ([]string, error) {
	host, port, err := net.SplitHostPort(m.nbd)
	if err != nil {
		return nil, err
	}
	args := []string{"-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", "384",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-kernel", m.kernel, "-initrd", m.initrd,
		"-append", "console=ttyS0 panic=-1 quiet nokaslr mitigations=off host=" + m.name +
			" disks=" + strconv.Itoa(len(m.volumes)),
		"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile=",
		"-device", "virtio-scsi-pci,id=scsi0"}
	for lun, serial := range m.volumes {
		node := "disk" + strconv.Itoa(lun)
		args = append(args,
			// Requests wait for a server that is gone so many seconds.
			"-blockdev", "driver=nbd,node-name="+node+",server.type=inet,server.host="+host+
				",server.port="+port+",export="+serial+
				",reconnect-delay=60,cache.direct=on,discard=unmap",
			"-device", "scsi-hd,bus=scsi0.0,lun="+strconv.Itoa(lun)+",drive="+node+
				",vendor=IBM,product=2105800,ver=.106,serial="+serial+
				",wwn=0x5005076300c00"+serial[:3])
	}
	return args, nil
}

// boot starts the machine. Its console has not said yet that it is ready.
func (m machine) boot(ctx context.Context, out *display) (*guest, error) {
	args, err := m.args()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = prefixed{out, m.name + ": qemu: "}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	console, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := attach(m.name, in, console, out)
	g.cmd = cmd
	return g, nil
}

// ready returns the guest when it takes commands. One that ends while it boots is
// booted again, twice: QEMU without hardware virtualisation lets a kernel panic at
// times. There is always a guest to kill, also with an error.
func (m machine) ready(ctx context.Context, g *guest, out *display) (*guest, error) {
	for again := 2; ; again-- {
		_, err := g.await(ctx, "booting")
		if err == nil || again == 0 || ctx.Err() != nil {
			return g, err
		}
		out.print(fmt.Sprintf("%v; it is booted again\n", err))
		if err := g.kill(); err != nil {
			return g, err
		}
		another, err := m.boot(ctx, out)
		if err != nil {
			return g, err
		}
		g = another
	}
}

// prefixed shows lines with the name of who says them.
type prefixed struct {
	out    *display
	prefix string
}

func (p prefixed) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		p.out.print(p.prefix + strings.TrimSuffix(line, "\n") + "\n")
	}
	return len(text), nil
}

// shutDown ends the guest as its own reboot command does, and returns when it is
// gone.
func (g *guest) shutDown(ctx context.Context) error {
	io.WriteString(g.in, "sync; reboot -f\n") // one that cannot be told has ended
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for open := true; open; {
		select {
		case _, open = <-g.answers:
		case <-ctx.Done():
			return fmt.Errorf("%s does not end", g.name)
		}
	}
	return g.cmd.Wait()
}

// kill ends the guest at once. Called after shutDown it does nothing.
func (g *guest) kill() error {
	if g.cmd.ProcessState != nil {
		return nil
	}
	if err := g.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for range g.answers {
		continue // the console must be read to its end before Wait
	}
	g.cmd.Wait() // says that it was killed
	return nil
}
