"""Which partition's a message is: a terminal's by its field 41, an issuer's by the number that we gave it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.dialect.tables cimport is_answer
from switch.machine.link cimport Link
from switch.machine.numbering cimport instance_of
from switch.machine.partitioning cimport partition_of_id
from switch.mesh.peer cimport ElsewhereLink, Peer
from switch.path.handing_over cimport hand_over
from switch.path.issuer_answer cimport awaits, handle_answer, handle_link_message
from switch.path.request cimport handle_scanned
from switch.wire.fields cimport FIELD_RRN, FIELD_STAN, FIELD_TERMINAL, RRN_SIZE
from switch.wire.scan cimport copy_index, read_number, read_text, scan_message

cdef enum:
    ID_ROOM = 64


cdef int scan_partition(State state, Listener listener, Span message, uint32_t partitions) noexcept:
    cdef uint8_t terminal_id[ID_ROOM]
    cdef int size
    if scan_message(listener.tables.spec, message.at, <uint32_t>message.size, &state.request, &state.fault) != 0:
        return SCAN_UNREADABLE
    size = read_text(listener.tables.spec, &state.request, FIELD_TERMINAL, terminal_id, ID_ROOM)
    return <int>partition_of_id(terminal_id, size, partitions) if size > 0 else SCAN_NOBODYS


cdef void take_request_of_several(Partitions partitions, Mesh mesh, TerminalChannel channel,
                                  const Frame *frame) noexcept:
    cdef State host = partitions.host
    cdef State state = host
    cdef Span message
    cdef int partition
    message.at, message.size = frame.message, frame.message_size
    partition = scan_partition(host, channel.listener, message, partitions.count)
    if partition >= 0:
        state = partitions.at(<uint32_t>partition)
        if state is None:
            hand_over(host, mesh, channel, frame, partition)
            return
    if state is not host:
        copy_index(&state.request, &host.request)
    handle_scanned(state, channel, frame.headers, partition != SCAN_UNREADABLE)


cdef void take_link_message_of_several(Partitions partitions, Mesh mesh, LinkChannel channel,
                                       const Frame *frame) noexcept:
    cdef State host = partitions.host
    cdef State state
    cdef Link link = host.link_of(channel)
    if (scan_message(link.tables.spec, frame.message, frame.message_size, &host.answer, &host.fault) != 0
            or not is_answer(host.answer.mti)):
        handle_link_message(host, channel, frame)
        return
    state = _awaiting(partitions, channel, link)
    if state is None and mesh is not None and _send_home(partitions, mesh, link, frame):
        return
    _hand_answer(host, host if state is None else state, channel)


cdef void take_answer(Partitions partitions, LinkChannel elsewhere, const Frame *frame) noexcept:
    cdef State host = partitions.host
    cdef State state
    cdef Link link = host.link_of(elsewhere)
    if (scan_message(link.tables.spec, frame.message, frame.message_size, &host.answer, &host.fault) != 0
            or not is_answer(host.answer.mti)):
        return                                # whoever received it would not have sent it
    state = _awaiting(partitions, elsewhere, link)
    _hand_answer(host, host if state is None else state, elsewhere)


cdef void _hand_answer(State host, State state, LinkChannel channel) noexcept:
    if state.journal.outdated is not None and awaits(state, channel, &host.answer):
        return
    if state is not host:
        copy_index(&state.answer, &host.answer)
    handle_answer(state, channel)


cdef State _awaiting(Partitions partitions, LinkChannel channel, Link link):
    """The state machine that waits for the answer which the host has scanned; None where none does.

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
    return None


cdef bint _send_home(Partitions partitions, Mesh mesh, Link link, const Frame *frame) noexcept:
    """Give an answer to the worker whose partition's number it bears; False where there is no such worker."""
    cdef State host = partitions.host
    cdef uint8_t rrn[RRN_SIZE]
    cdef int64_t instance = -1
    cdef int64_t stan, partition
    cdef Span headers, message
    cdef ElsewhereLink asked_by
    cdef Peer peer
    if link.match_by_rrn:
        if read_text(link.tables.spec, &host.answer, FIELD_RRN, rrn, RRN_SIZE) == RRN_SIZE:
            instance = instance_of(rrn)
    else:
        stan = read_number(link.tables.spec, &host.answer, FIELD_STAN)
        if stan > 0:
            instance = (stan - 1) // host.numbering.stan_count
    partition = instance - (host.numbering.instance - host.partition)
    if not 0 <= partition < partitions.count:
        return False
    peer = mesh.owner(<uint32_t>partition)
    if peer is None:
        return False
    headers.at, headers.size = frame.headers, link.framing.headers_size
    message.at, message.size = frame.message, frame.message_size
    if not peer.send_answer_home(link.number, headers, message):
        return False
    asked_by = <ElsewhereLink>peer.links[link.number]
    if asked_by.carried:
        asked_by.carried -= 1
    return True
