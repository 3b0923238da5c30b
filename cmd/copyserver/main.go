// Command copyserver is the Copy Services server.
package main

import (
	"os"

	"copyservices/copyserver/program"
)

func main() { os.Exit(program.Main()) }
