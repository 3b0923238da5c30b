// Command setdevice is described in man/setdevice.1.
package main

import (
	"os"

	"copyservices/rscli/shell"
)

func main() { os.Exit(shell.SetDeviceMain()) }
