package connect

// ReadPins is for the tests of commands that pin.
var ReadPins = readPins
