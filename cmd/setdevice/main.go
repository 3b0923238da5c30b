// Command setdevice is described in man/setdevice.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.SetDeviceMain()) }
