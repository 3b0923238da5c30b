package nbd

import (
	"encoding/binary"
	"strings"
)

// The numbers of the protocol, from doc/proto.md of the NBD project
// (https://github.com/NetworkBlockDevice/nbd). All integers on the wire are
// big-endian.
const (
	magicServer     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454f5054 // "IHAVEOPT"
	magicOptReply   = 0x3e889045565a9
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef
)

// Handshake flags of the server and the client flags that answer them.
const (
	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// Transmission flags.
const (
	sendHasFlags    = 1 << 0
	sendReadOnly    = 1 << 1
	sendFlush       = 1 << 2
	sendFUA         = 1 << 3
	sendTrim        = 1 << 5
	sendWriteZeroes = 1 << 6
	sendDF          = 1 << 7
	canMultiConn    = 1 << 8
	sendFastZero    = 1 << 11
)

// Options of the handshake.
const (
	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optStartTLS        = 5
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10
)

// Replies to options. Those with bit 31 set are errors.
const (
	repAck         = 1
	repServer      = 2
	repInfo        = 3
	repMetaContext = 4
	repError       = 1 << 31
	repErrUnsup    = repError + 1
	repErrPolicy   = repError + 2
	repErrInvalid  = repError + 3
	repErrTLSReqd  = repError + 5
	repErrUnknown  = repError + 6
	repErrTooBig   = repError + 9
)

// Items of NBD_OPT_INFO and NBD_OPT_GO.
const (
	infoExport    = 0
	infoName      = 1
	infoBlockSize = 3
)

// Commands.
const (
	cmdRead        = 0
	cmdWrite       = 1
	cmdDisconnect  = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdWriteZeroes = 6
	cmdBlockStatus = 7
)

// Command flags.
const (
	cmdFlagFUA      = 1 << 0
	cmdFlagNoHole   = 1 << 1
	cmdFlagDF       = 1 << 2
	cmdFlagReqOne   = 1 << 3
	cmdFlagFastZero = 1 << 4
)

// Structured replies.
const (
	chunkDone        = 1 << 0
	chunkNone        = 0
	chunkData        = 1
	chunkHole        = 2
	chunkBlockStatus = 5
	chunkError       = 1<<15 + 1
)

// States of the context base:allocation.
const (
	stateHole = 1 << 0
	stateZero = 1 << 1
)

// errno is an error value of the protocol. They look like those of Linux and
// are the same on every system.
type errno uint32

const (
	errnoNone    errno = 0
	errnoPerm    errno = 1
	errnoIO      errno = 5
	errnoInvalid errno = 22
	errnoNoSpace errno = 28
	errnoNotSup  errno = 95
)

// Sizes in bytes.
const (
	headerRequest = 28              // a request before its payload
	headerSimple  = 16              // a simple reply before its data
	headerChunk   = 20              // a chunk before its payload
	headerData    = headerChunk + 8 // a data chunk before its data
	holeChunk     = headerChunk + 12
	maxString     = 4096 // a name
	maxErrorText  = 256  // a message of ours; the protocol allows 4096
	maxErrorReply = headerChunk + 6 + maxErrorText
)

// What the server tells about request sizes, in bytes. A volume takes any
// offset and length; 4096 avoids read-modify-write underneath.
const (
	minBlock       = 1
	preferredBlock = 4096
	maxPayload     = 32 << 20
)

// appendSimple appends the header of a simple reply.
func appendSimple(dst []byte, cookie uint64, e errno) []byte {
	dst = binary.BigEndian.AppendUint32(dst, magicSimple)
	dst = binary.BigEndian.AppendUint32(dst, uint32(e))
	return binary.BigEndian.AppendUint64(dst, cookie)
}

// appendChunk appends the header of a chunk whose payload has n bytes.
func appendChunk(dst []byte, cookie uint64, flags, kind uint16, n uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, magicStructured)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint16(dst, kind)
	dst = binary.BigEndian.AppendUint64(dst, cookie)
	return binary.BigEndian.AppendUint32(dst, n)
}

// appendDataHeader appends what stands before n bytes of data from off.
func appendDataHeader(dst []byte, cookie uint64, flags uint16, off int64, n int) []byte {
	dst = appendChunk(dst, cookie, flags, chunkData, uint32(n)+8)
	return binary.BigEndian.AppendUint64(dst, uint64(off))
}

// appendHole appends the chunk that says n bytes from off read as zeros.
func appendHole(dst []byte, cookie uint64, flags uint16, off int64, n uint32) []byte {
	dst = appendChunk(dst, cookie, flags, chunkHole, 12)
	dst = binary.BigEndian.AppendUint64(dst, uint64(off))
	return binary.BigEndian.AppendUint32(dst, n)
}

// appendErrorChunk appends the last chunk of a failed request.
func appendErrorChunk(dst []byte, cookie uint64, e errno, text string) []byte {
	text = clip(text)
	dst = appendChunk(dst, cookie, chunkDone, chunkError, uint32(6+len(text)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(text)))
	return append(dst, text...)
}

// clip shortens a message to what a reply has room for.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
}
