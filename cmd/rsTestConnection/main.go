// Command rsTestConnection is described in man/rsTestConnection.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.TestConnectionMain()) }
