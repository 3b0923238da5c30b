package connect

// ReadPins is for the tests of commands that pin.
func ReadPins(path string) (map[string]string, error) { return pinsIn(path).read() }
