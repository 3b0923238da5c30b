// Command esscli is described in man/esscli.1.
package main

import (
	"os"

	"copyservices/rscli/esscli"
)

func main() { os.Exit(esscli.Main()) }
