package rscli

// programs are the commands of this package, for the completion.
func smallPrograms() []Program {
	return []Program{
		{Name: "rsList2105s", Build: newList},
		{Name: "rsPrimeServer", Build: newPrime},
		{Name: "rsExecuteTask", Build: newExecuteTask},
		{Name: "rsQuery", Build: newQuery},
		{Name: "rsQueryComplete", Build: newQueryComplete},
		{Name: "rsFlashCopyQuery", Build: newFlashCopyQuery},
		{Name: "rsTestConnection", Build: newTestConnection},
	}
}
