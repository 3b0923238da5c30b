package rscli

import "slices"

// programs are the commands of the suite but the server.
func programs() []Program {
	return slices.Concat(smallPrograms(), shellPrograms(), []Program{{Name: "esscli", Build: newESSCLI}})
}
