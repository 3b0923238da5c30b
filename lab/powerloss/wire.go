package main

import "fmt"

// What of the NBD protocol the harness speaks, as
// https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md has it.
const (
	magicServer  = 0x4e42444d41474943
	magicOption  = 0x49484156454F5054
	magicReplies = 0x3e889045565a9
	magicRequest = 0x25609513
	magicSimple  = 0x67446698

	flagsHandshake = 3 // fixed newstyle, no zeroes

	optExportName = 1
	optAbort      = 2
	optInfo       = 6
	optGo         = 7

	repAck         = 1
	repInfo        = 3
	repUnsupported = 1<<31 | 1

	hasFlags      = 1 << 0
	sendFlush     = 1 << 2
	sendFUA       = 1 << 3
	sendTrim      = 1 << 5
	sendZeroes    = 1 << 6
	maxOption     = 64 << 10
	maxRequest    = 64 << 20
	errInput      = 5  // EIO
	errInvalid    = 22 // EINVAL
	requestLength = 28
	replyLength   = 16
	optionLength  = 16
	infoExport    = 0
)

// operation is the kind of an NBD request.
type operation uint16

const (
	cmdRead       operation = 0
	cmdWrite      operation = 1
	cmdDisconnect operation = 2
	cmdFlush      operation = 3
	cmdTrim       operation = 4
	cmdZero       operation = 6
)

// The flags of requests.
const (
	flagFUA    = 1 << 0
	flagNoHole = 1 << 1
)

// nbdError is the error number that a server answered with.
type nbdError uint32

func (e nbdError) Error() string { return fmt.Sprintf("NBD error %d", uint32(e)) }
