// Command setuser is described in man/setuser.1.
package main

import (
	"os"

	"copyservices/rscli/shell"
)

func main() { os.Exit(shell.SetUserMain()) }
