// Command rsExecuteTask is described in man/rsExecuteTask.1.
package main

import (
	"os"

	"copyservices/rscli"
)

func main() { os.Exit(rscli.ExecuteTaskMain()) }
