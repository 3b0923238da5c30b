package program

import (
	"fmt"
	"strings"

	"copyservices/copyserver"

	"github.com/urfave/cli/v2"
)

// The help has the form of that of the commands: usage, what it does, flags with the
// placeholder of their value, examples, the man page. The library takes each text
// for a template; none has braces.

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "the state folder `DIR`", TakesFile: true}
}

// serverFlags are described in few words, the placeholder in backquotes at the
// end; copyserver(8) says more.
func serverFlags() []cli.Flag {
	d := copyserver.DefaultOptions()
	text := func(name, usage string) cli.Flag { return &cli.StringFlag{Name: name, Usage: usage} }
	return []cli.Flag{
		stateFlag(),
		text("config", "read a YAML file whose keys are these flags `FILE`"),
		text("listen", "serve HTTPS there, else on "+d.Listen+" `ADDRESS`"),
		text("nbd-listen", "export volumes there, or "+copyserver.NoNBD+" `ADDRESS`"),
		&cli.BoolFlag{Name: "nbd-insecure", Usage: "export beyond loopback to whoever comes"},
		&cli.BoolFlag{Name: "nbd-tls", Usage: "export to hosts with a credential of this server"},
		text("nbd-tls-cert", "the certificate that NBD shows, PEM `FILE`"),
		text("nbd-tls-key", "its key, PEM `FILE`"),
		text("nbd-tls-client-ca", "who signs for NBD clients, PEM `FILE`"),
		text("array-serial", "of a new array: 5 letters or digits `SERIAL`"),
		text("ready-file", "write it when connections are accepted `FILE`"),
		text("memory", "use no more than that, else "+d.Memory+" `AMOUNT`"),
		text("log-format", "text or json `FORMAT`"),
		text("log-level", "debug, info, warn or error `LEVEL`"),
	}
}

func serverHelp() string {
	return helpText(`usage: copyserver --state DIR [FLAGS]
       copyserver check --state DIR
       copyserver service install --state DIR [FLAGS] | service remove
Serve tasks, hosts, users and an array of volumes from a state folder.
`, serverFlags(), "-h, --help; -v, --version", "copyserver --state /var/lib/copyserver",
		"copyserver check --state /var/lib/copyserver")
}

func checkHelp() string {
	return helpText(`usage: copyserver check --state DIR
Verify everything in a state folder that no server has open.
`, []cli.Flag{stateFlag()}, "-h, --help", "copyserver check --state /var/lib/copyserver")
}

func serviceHelp() string {
	return helpText(`usage: copyserver service install --state DIR [FLAGS]
       copyserver service remove
Register a Windows service, or remove it; the state folder stays.
`, nil, "-h, --help", `copyserver service install --state C:\ProgramData\copyserver`,
		"copyserver service remove")
}

func installHelp() string {
	return helpText(`usage: copyserver service install --state DIR [FLAGS]
Register a Windows service that runs with these flags.
`, serverFlags(), "-h, --help", `copyserver service install --state C:\ProgramData\copyserver`)
}

func helpText(head string, flags []cli.Flag, common string, examples ...string) string {
	var b strings.Builder
	b.WriteString(head + "\n")
	for _, f := range flags {
		usage := f.(cli.DocGenerationFlag).GetUsage()
		text, placeholder, _ := strings.Cut(usage, "`")
		name := strings.TrimSpace("--" + f.Names()[0] + " " + strings.TrimSuffix(placeholder, "`"))
		fmt.Fprintf(&b, "      %-28s %s\n", name, strings.TrimSpace(text))
	}
	what := "print this"
	if strings.Contains(common, "version") {
		what += ", or the version"
	}
	fmt.Fprintf(&b, "  %-32s %s\n", common, what)
	label := "\nexamples:"
	for _, example := range examples {
		fmt.Fprintf(&b, "%-9s %s\n", label, example)
		label = ""
	}
	return b.String() + "see also: man copyserver\n"
}
