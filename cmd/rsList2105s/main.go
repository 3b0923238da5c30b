// Command rsList2105s is described in man/rsList2105s.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.ListMain()) }
