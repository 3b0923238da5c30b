// Command rsPrimeServer is described in man/rsPrimeServer.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.PrimeMain()) }
