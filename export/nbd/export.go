package nbd

import (
	"encoding/binary"
	"slices"

	"copyservices/arrayclient/fault"
)

// contextAllocation is the one metadata context there is, under an id of
// ours.
const (
	contextAllocation   = "base:allocation"
	contextAllocationID = 1
)

// exportName is the old way into the transmission phase. It knows no error
// reply.
func (h *handshake) exportName(name string) (*session, error) {
	s, err := h.enter(name)
	if err != nil {
		return nil, err
	}
	h.out.Write(binary.BigEndian.AppendUint64(nil, uint64(s.size)))
	h.out.Write(binary.BigEndian.AppendUint16(nil, s.flags()))
	if !h.noZeroes {
		h.out.Write(make([]byte, 124))
	}
	return s, nil
}

// info answers NBD_OPT_INFO, and NBD_OPT_GO with a session.
func (h *handshake) info(opt option) (*session, error) {
	name, items, ok := parseInfo(opt.data)
	if !ok {
		return nil, h.refuse(opt.code, repErrInvalid, "the option is malformed")
	}
	open := h.open
	if opt.code == optGo {
		open = h.enter
	}
	s, err := open(name)
	if err != nil {
		return nil, h.refuse(opt.code, repUnavailable(err), messageOf(err))
	}
	h.describe(opt.code, s, items)
	h.reply(opt.code, repAck, nil)
	if opt.code == optGo {
		return s, nil
	}
	s.close()
	return nil, nil
}

// describe sends what items ask for; the first part is mandatory.
func (h *handshake) describe(code uint32, s *session, items []uint16) {
	data := binary.BigEndian.AppendUint16(nil, infoExport)
	data = binary.BigEndian.AppendUint64(data, uint64(s.size))
	h.reply(code, repInfo, binary.BigEndian.AppendUint16(data, s.flags()))
	if slices.Contains(items, infoName) {
		data := binary.BigEndian.AppendUint16(nil, infoName)
		h.reply(code, repInfo, append(data, s.name...))
	}
	if slices.Contains(items, infoBlockSize) {
		data := binary.BigEndian.AppendUint16(nil, infoBlockSize)
		for _, size := range []uint32{minBlock, preferredBlock, maxPayload} {
			data = binary.BigEndian.AppendUint32(data, size)
		}
		h.reply(code, repInfo, data)
	}
}

// flags returns the transmission flags.
func (s *session) flags() uint16 {
	flags := uint16(sendHasFlags | sendFlush | sendFUA | canMultiConn)
	if s.readOnly {
		flags |= sendReadOnly
	} else {
		flags |= sendTrim | sendWriteZeroes | sendFastZero
	}
	if s.structured {
		flags |= sendDF
	}
	return flags
}

// metaContext answers NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT.
func (h *handshake) metaContext(opt option) error {
	if opt.code == optSetMeta {
		h.metaSet = false
	}
	name, queries, ok := parseMeta(opt.data)
	if !ok || !h.structured {
		return h.refuse(opt.code, repErrInvalid, "the option is malformed or comes too early")
	}
	s, err := h.open(name)
	if err != nil {
		return h.refuse(opt.code, repUnavailable(err), messageOf(err))
	}
	s.close()
	if opt.code == optSetMeta && slices.Contains(queries, contextAllocation) {
		h.metaSet, h.metaName = true, name
		h.replyContext(opt.code, contextAllocationID)
	}
	if opt.code == optListMeta && listsAllocation(queries) {
		h.replyContext(opt.code, 0)
	}
	h.reply(opt.code, repAck, nil)
	return nil
}

func (h *handshake) replyContext(code, id uint32) {
	data := binary.BigEndian.AppendUint32(nil, id)
	h.reply(code, repMetaContext, append(data, contextAllocation...))
}

func listsAllocation(queries []string) bool {
	return len(queries) == 0 || slices.Contains(queries, contextAllocation) ||
		slices.Contains(queries, "base:")
}

// repUnavailable is the reply for an export that Open refused.
func repUnavailable(err error) uint32 {
	switch fault.KindOf(err) {
	case fault.Refused, fault.Denied:
		return repErrPolicy
	}
	return repErrUnknown
}

// parser takes an option's data apart; ok turns false where it is too short.
type parser struct {
	rest []byte
	ok   bool
}

func (p *parser) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(p.rest)) {
		p.ok, p.rest = false, nil
	}
	if !p.ok {
		return nil
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) uint16() uint16 {
	if b := p.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) string() string { return string(p.bytes(p.uint32())) }

// parseInfo reads the data of NBD_OPT_INFO and NBD_OPT_GO.
func parseInfo(data []byte) (name string, items []uint16, ok bool) {
	p := parser{data, true}
	name = p.string()
	for n := p.uint16(); n > 0 && p.ok; n-- {
		items = append(items, p.uint16())
	}
	return name, items, p.ok && len(p.rest) == 0
}

// parseMeta reads the data of the two options about metadata contexts.
func parseMeta(data []byte) (name string, queries []string, ok bool) {
	p := parser{data, true}
	name = p.string()
	for n := p.uint32(); n > 0 && p.ok; n-- {
		queries = append(queries, p.string())
	}
	return name, queries, p.ok && len(p.rest) == 0
}
