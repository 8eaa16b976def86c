"""The way out: a composed message gets its MAC and its frame, and is queued on a connection."""

from switch.base.stats cimport stats_add
from switch.crypto.mac cimport MAC_NONE
from switch.dialect.authentication cimport seal_message
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.listener cimport Listener
from switch.machine.state cimport SCRATCH_BYTES
from switch.wire.framing cimport FRAME_HEADERS_MAX


cdef int frame_for_link(State state, Link link, const MessageIndex *message, int mac_field,
                        const uint8_t *received) noexcept:
    cdef uint8_t turned[FRAME_HEADERS_MAX]
    if mac_field and link.mac_key.algorithm != MAC_NONE:
        if seal_message(state.macs, link.tables, &link.mac_key, <uint8_t *>message.data, message, mac_field) != 0:
            return -1
    if received == NULL:
        return link.framing.close_frame(state.out, SCRATCH_BYTES, NULL, message.size)
    link.framing.reply_headers(received, turned)
    return link.framing.close_frame(state.out, SCRATCH_BYTES, turned, message.size)


cdef int send_to_link(State state, LinkChannel channel, uint32_t frame_size, int64_t position) noexcept:
    if state.depart(channel, state.out, frame_size, position, OUTCOME_NONE) != 0:
        return -1
    channel.last_sent_ns = state.calendar.now_ns
    return 0


cdef bint send_to_terminal(State state, TerminalChannel channel, const uint8_t *received, uint32_t size,
                           int64_t position, uint32_t outcome) noexcept:
    cdef uint8_t turned[FRAME_HEADERS_MAX]
    cdef Listener listener = channel.listener
    cdef int total
    listener.framing.reply_headers(received, turned)
    total = listener.framing.close_frame(state.out, SCRATCH_BYTES, turned, size)
    if total < 0 or state.depart(channel, state.out, <uint32_t>total, position, outcome) != 0:
        channel.hang_up("answer cannot be queued")
        return False
    stats_add(state.meters.stats, state.meters.listener[listener.number].answers, 1)
    return True
