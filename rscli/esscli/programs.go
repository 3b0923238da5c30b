package esscli

import (
	"slices"

	"copyservices/rscli"
	"copyservices/rscli/complete"
	"copyservices/rscli/shell"
)

// Programs are the commands of the suite but the server.
func Programs() []complete.Program {
	return append(slices.Concat(rscli.Programs(), shell.Programs()),
		complete.Program{Name: "esscli", Build: New})
}
