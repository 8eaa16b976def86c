"""Which partition's a message is: a terminal's by its field 41, an issuer's by the number that we gave it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from switch.dialect.tables cimport is_answer
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.state cimport State
from switch.path.issuer_answer cimport awaits, handle_answer, handle_link_message
from switch.path.request cimport handle_request, handle_scanned
from switch.wire.fields cimport FIELD_STAN, FIELD_TERMINAL
from switch.wire.scan cimport MessageIndex, read_number, read_text, scan_message

cdef enum:
    ID_ROOM = 64


cdef void take_request(Partitions partitions, TerminalChannel channel, const Frame *frame) noexcept:
    cdef State host = partitions.host
    cdef State state = host
    cdef Listener listener = channel.listener
    cdef uint8_t terminal_id[ID_ROOM]
    cdef bint is_readable
    cdef int size
    if partitions.count == 1:
        handle_request(host, channel, frame)
        return
    is_readable = scan_message(listener.tables.spec, frame.message, frame.message_size, &host.request, &host.fault) == 0
    if is_readable:
        size = read_text(listener.tables.spec, &host.request, FIELD_TERMINAL, terminal_id, ID_ROOM)
        if size > 0:
            state = partitions.of_terminal(terminal_id, size)
    if state is not host:
        memcpy(&state.request, &host.request, sizeof(MessageIndex))
    handle_scanned(state, channel, frame.headers, is_readable)


cdef void take_link_message(Partitions partitions, LinkChannel channel, const Frame *frame) noexcept:
    cdef State host = partitions.host
    cdef State state
    cdef Link link = host.link_of(channel)
    if (partitions.count == 1
            or scan_message(link.tables.spec, frame.message, frame.message_size, &host.answer, &host.fault) != 0
            or not is_answer(host.answer.mti)):
        handle_link_message(host, channel, frame)
        return
    state = _awaiting(partitions, channel, link)
    if state is not host:
        memcpy(&state.answer, &host.answer, sizeof(MessageIndex))
    handle_answer(state, channel)


cdef State _awaiting(Partitions partitions, LinkChannel channel, Link link):
    """The state machine that waits for the answer which the host has scanned; the host where none does.

    What was sent before the number of partitions was changed may be reversed under its own number, which is now in the
    part of another partition: so all are asked.
    """
    cdef State host = partitions.host
    cdef State state
    cdef int64_t stan
    if not link.match_by_rrn:
        stan = read_number(link.tables.spec, &host.answer, FIELD_STAN)
        state = partitions.of_stan(<uint32_t>stan) if stan > 0 else None
        if state is not None and awaits(state, channel, &host.answer):
            return state
    for state in partitions.states:
        if awaits(state, channel, &host.answer):
            return state
    return host
