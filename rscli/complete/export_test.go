package complete

// ShellNames are the shells that have a script.
var ShellNames = shellNames
