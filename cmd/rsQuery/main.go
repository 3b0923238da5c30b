// Command rsQuery is described in man/rsQuery.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.QueryMain()) }
