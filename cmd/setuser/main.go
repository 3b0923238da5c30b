// Command setuser is described in man/setuser.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.SetUserMain()) }
