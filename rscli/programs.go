package rscli

import (
	"copyservices/rscli/complete"
)

// Programs are the commands of this package, for the completion.
func Programs() []complete.Program {
	return []complete.Program{
		{Name: "rsList2105s", Build: NewList},
		{Name: "rsPrimeServer", Build: NewPrime},
		{Name: "rsExecuteTask", Build: NewExecuteTask},
		{Name: "rsQuery", Build: NewQuery},
		{Name: "rsQueryComplete", Build: NewQueryComplete},
		{Name: "rsFlashCopyQuery", Build: NewFlashCopyQuery},
		{Name: "rsTestConnection", Build: NewTestConnection},
	}
}
