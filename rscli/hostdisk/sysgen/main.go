// Command sysgen writes the sysfs tree of a host with many 2105 volumes, for
// measuring rsList2105s against lsblk and lsscsi. It is not installed.
package main

import (
	"flag"
	"fmt"
	"os"

	"copyservices/rscli/hostdisk/hostdisktest"
)

func main() { os.Exit(run()) }

func run() int {
	n := flag.Int("n", 4096, "how many disks, at most 4096")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: sysgen [-n N] DIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *n < 0 || *n > 4096 {
		flag.Usage()
		return 2
	}
	if err := hostdisktest.Large(flag.Arg(0), *n); err != nil {
		fmt.Fprintln(os.Stderr, "sysgen: error:", err)
		return 1
	}
	return 0
}
