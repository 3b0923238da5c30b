package nbd

import (
	"encoding/binary"
	"errors"
	"io"
	"syscall"

	"copyservices/arrayclient/fault"
)

// request is one command of the transmission phase.
type request struct {
	cookie uint64
	off    int64
	n      int64 // bytes the command is about
	kind   uint16
	flags  uint16
	err    errno // set where the request is refused as it stands
	// mem is the payload of a write, or what the data of a read goes through.
	mem *buffer
	// parts is set where this is part of a write that is carried out in parts.
	parts *parts
}

// drop gives the memory of r back, if it has any.
func (r *request) drop() {
	r.mem.release()
	r.mem = nil
}

// parseRequest reads a header of headerRequest bytes.
func parseRequest(p []byte) (request, error) {
	if binary.BigEndian.Uint32(p) != magicRequest {
		return request{}, errBadMark
	}
	return request{
		flags:  binary.BigEndian.Uint16(p[4:]),
		kind:   binary.BigEndian.Uint16(p[6:]),
		cookie: binary.BigEndian.Uint64(p[8:]),
		off:    int64(binary.BigEndian.Uint64(p[16:])),
		n:      int64(binary.BigEndian.Uint32(p[24:])),
	}, nil
}

// allowedFlags tells which flags each command takes. NBD_CMD_FLAG_FUA has to
// be taken with all of them.
func (r *request) allowedFlags() uint16 {
	switch r.kind {
	case cmdRead:
		return cmdFlagFUA | cmdFlagDF
	case cmdWriteZeroes:
		return cmdFlagFUA | cmdFlagNoHole | cmdFlagFastZero
	case cmdBlockStatus:
		return cmdFlagFUA | cmdFlagReqOne
	}
	return cmdFlagFUA
}

// check returns what is wrong with r before its volume is asked.
func (s *session) check(r *request) errno {
	if r.flags&^r.allowedFlags() != 0 {
		return errnoInvalid
	}
	if r.flags&cmdFlagDF != 0 && !s.structured {
		return errnoInvalid
	}
	switch r.kind {
	case cmdRead:
		return s.checkRange(r, maxPayload, errnoInvalid)
	case cmdWrite, cmdWriteZeroes, cmdTrim:
		return s.checkChange(r)
	case cmdBlockStatus:
		if !s.meta {
			return errnoInvalid
		}
		return s.checkRange(r, s.size, errnoInvalid)
	case cmdFlush:
		if r.off == 0 && r.n == 0 {
			return errnoNone
		}
	}
	return errnoInvalid
}

// checkChange is check for the commands that change the volume.
func (s *session) checkChange(r *request) errno {
	if s.readOnly {
		return errnoPerm
	}
	switch r.kind {
	case cmdWrite:
		return s.checkRange(r, maxPayload, errnoNoSpace)
	case cmdTrim:
		return s.checkRange(r, s.size, errnoInvalid)
	}
	return s.checkRange(r, s.size, errnoNoSpace)
}

// checkRange returns beyond for a range that leaves the volume.
func (s *session) checkRange(r *request, most int64, beyond errno) errno {
	switch {
	case r.n == 0:
		return errnoInvalid
	case r.off < 0 || r.off > s.size || r.n > s.size-r.off:
		return beyond
	case r.n > most:
		return errnoInvalid
	}
	return errnoNone
}

// errnoOf returns the error value for what a volume failed with.
func errnoOf(err error) errno {
	switch {
	case err == nil:
		return errnoNone
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		errors.Is(err, syscall.EFBIG):
		return errnoNoSpace
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errnoInvalid
	}
	switch fault.KindOf(err) {
	case fault.Refused, fault.Denied:
		return errnoPerm
	}
	return errnoIO
}

// messageOf returns what a client may know of err: the text of a fault, and
// nothing of a system call.
func messageOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	return ""
}
