package program

// What the tests that run commands look at.
var (
	HelpText   = helpText
	IsTerminal = isTerminal
	ReadSecret = readSecret
	TakesValue = takesValue
	MayBeBlank = mayBeBlank
)

// CheckCount is for the tests of examples.
func (c *Command) CheckCount(words string, args []string) error { return c.checkCount(words, args) }

// SharedFlagNames is for the tests of the help.
func (c *Command) SharedFlagNames() []string { return c.sharedFlagNames() }
