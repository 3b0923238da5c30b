package complete

// What the tests outside the package hold against the commands.
var (
	ShellNames    = shellNames
	ArgumentKinds = argumentKinds
	FlagKinds     = flagKinds
)
