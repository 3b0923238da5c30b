// Command esscli is described in man/esscli.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.ESSCLIMain()) }
