// Command copyserver is the Copy Services server.
package main

import (
	"os"

	"copyservices/copyserver"
)

func main() { os.Exit(copyserver.Main()) }
