// Command rsFlashCopyQuery is described in man/rsFlashCopyQuery.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.FlashCopyQueryMain()) }
