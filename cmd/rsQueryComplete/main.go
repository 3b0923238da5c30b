// Command rsQueryComplete is described in man/rsQueryComplete.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.QueryCompleteMain()) }
