"""What other workers say: frames of their terminals for partitions of ours, answers to ours, and what was told."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.link_connections cimport LINK_UP, LinkChannel
from switch.machine.state cimport State
from switch.mesh.peer cimport ElsewhereLink, Guest
from switch.mesh.record_decoder cimport mesh_fault_words, read_record
from switch.mesh.record_encoder cimport write_pong
from switch.mesh.records cimport (
    MESH_ANSWER, MESH_CLAIM, MESH_CLAIM_NOTED, MESH_CLAIM_STATE, MESH_CLAIMED, MESH_COMPLETE, MESH_COUNTED,
    MESH_COUNTS_TAKEN, MESH_FAULTY, MESH_HANDLED, MESH_HANG_UP, MESH_JOURNAL, MESH_LINK_FRAME, MESH_LINK_SEND,
    MESH_LINK_STATE, MESH_OUTSTANDING, MESH_PING, MESH_PONG, MESH_RECORD_BYTES_MAX, MESH_TERMINAL_CLOSED,
    MESH_TERMINAL_FRAME, MESH_TERMINAL_OPEN, MESH_TOLD, MeshFault, MeshJournal, MeshRecord,
)
from switch.path.claim_exchange cimport take_claim_record
from switch.path.dispatch cimport scan_partition, take_answer
from switch.path.network cimport note_elsewhere
from switch.path.request cimport handle_scanned
from switch.saf.reversal cimport reverse_untold
from switch.wire.framing cimport Frame

cdef enum:
    PONG_BYTES = 16


cdef size_t hear(Partitions partitions, Mesh mesh, Peer peer, const uint8_t *data, size_t size) noexcept:
    cdef MeshRecord record
    cdef MeshFault fault
    cdef size_t taken = 0
    cdef int status
    while peer.fault is None:
        status = read_record(data + taken, size - taken, MESH_RECORD_BYTES_MAX, &record, &fault)
        if status == MESH_FAULTY:
            peer.fail(mesh_fault_words(&fault))
        if status != MESH_COMPLETE:
            break
        taken += record.size
        _take(partitions, mesh, peer, &record)
    return taken


cdef void hear_stream(Partitions partitions, Mesh mesh, Peer peer, RecordStream stream, const uint8_t *data,
                      size_t size) noexcept:
    cdef MeshRecord record
    cdef MeshFault fault
    cdef int status = MESH_COMPLETE
    stream.begin(data, size)
    while status == MESH_COMPLETE and peer.fault is None:
        status = stream.next(&record, &fault)
        if status == MESH_FAULTY:
            peer.fail(mesh_fault_words(&fault))
        elif status == MESH_COMPLETE:
            _take(partitions, mesh, peer, &record)
    if stream.end() != 0:
        peer.fail("there is no memory for what it says")


cdef void _take(Partitions partitions, Mesh mesh, Peer peer, const MeshRecord *record) noexcept:
    """One record, as its type says."""
    cdef State host = partitions.host
    if record.type == MESH_TERMINAL_FRAME:
        _take_frame(partitions, peer, record)
    elif record.type == MESH_ANSWER:
        peer.take_answer(record, host.calendar.now_ns)
    elif record.type == MESH_HANDLED:
        peer.take_handled(record)
    elif record.type == MESH_TOLD:
        _take_told(peer, record)
    elif record.type == MESH_TERMINAL_OPEN:
        _take_guest_in(host, peer, record)
    elif record.type == MESH_TERMINAL_CLOSED:
        _let_guest_go(partitions, peer.close_guest(record))
    elif record.type == MESH_HANG_UP:
        peer.take_hang_up(record)
    elif record.type == MESH_PING:
        _answer_ping(peer, record)
    elif record.type in (MESH_LINK_SEND, MESH_LINK_FRAME, MESH_LINK_STATE):
        _take_of_link(partitions, peer, record)
    elif record.type in (MESH_COUNTED, MESH_COUNTS_TAKEN, MESH_OUTSTANDING):
        peer.take_count(record, <uint64_t>(host.calendar.now_ns // 1_000_000))
    elif record.type in (MESH_CLAIM, MESH_CLAIMED, MESH_CLAIM_STATE, MESH_CLAIM_NOTED):
        if not _is_outdated(partitions, record.number):
            take_claim_record(partitions, mesh, peer, record)
    elif record.type == MESH_JOURNAL:
        _take_journal(partitions, mesh, peer, record)
    elif record.type != MESH_PONG:
        peer.fail("it says twice who it is")


cdef bint _is_outdated(Partitions partitions, uint32_t partition) noexcept:
    """Whether a newer journal than that of a partition here knows what it is asked, or told."""
    cdef State state = partitions.at(partition) if partition < partitions.count else None
    return state is not None and state.journal.outdated is not None


cdef void _take_journal(Partitions partitions, Mesh mesh, Peer peer, const MeshRecord *record) noexcept:
    """How a journal of the peer is, or what it has heard of one here: if of a newer one, this decides nothing more."""
    cdef const MeshJournal *journal = &record.journal
    cdef State state = partitions.at(journal.partition) if journal.partition < partitions.count else None
    cdef str why
    if state is not None:
        why = state.journal.why_outdated(journal.epoch, journal.life, journal.position)
        if why is not None:
            state.journal.outlive(f"worker {peer.name}: {why}")
        else:
            mesh.begin_to_tell(peer, journal.partition)
    elif journal.partition < partitions.count and mesh.owner(journal.partition) is peer:
        mesh.heard.note(journal)
    else:
        peer.fail("it speaks of a journal that is neither its own nor here")


# --- as an owner ------------------------------------------------------------------------------------------------------

cdef void _take_guest_in(State host, Peer peer, const MeshRecord *record) noexcept:
    cdef Guest guest = peer.open_guest(record, host.listeners)
    if guest is not None:
        host.enlist(guest)


cdef void _take_frame(Partitions partitions, Peer peer, const MeshRecord *record) noexcept:
    """A frame of a guest, for a partition of ours."""
    cdef Guest guest = peer.guest(record)
    cdef State state = partitions.at(record.number) if record.number < partitions.count else None
    if guest is None:
        return
    if state is None or record.headers.size != guest.listener.framing.headers_size:
        peer.fail("it gives a frame to a partition that is not here")
        return
    guest.handled += 1
    state.channels.wake(guest)
    if guest.is_leaving:
        return
    if guest.in_flight >= guest.listener.in_flight_max:
        peer.fail("it gives more requests of a connection than may be under way")
        return
    if scan_partition(state, guest.listener, record.message, partitions.count) != record.number:
        peer.fail("it gives a frame to a partition that is not its terminal's")
        return
    state.notes.speaker = guest.peer
    handle_scanned(state, guest, record.headers.at, True)
    state.notes.speaker = NULL


cdef void _take_told(Peer peer, const MeshRecord *record) noexcept:
    cdef Guest guest = peer.guest(record)
    if guest is not None and guest.take_told(record.count) != 0:
        peer.fail("it has told more than it was given")


cdef void _let_guest_go(Partitions partitions, Guest guest) noexcept:
    if guest is not None:
        partitions.host.channels.delist(guest)
        reverse_undelivered(partitions, guest)


cdef void reverse_undelivered(Partitions partitions, Channel channel) noexcept:
    cdef uint32_t owner = 0
    cdef uint32_t outcome
    cdef State state
    while True:
        outcome = channel.next_undelivered(&owner)
        if outcome == OUTCOME_NONE:
            return
        state = <State>partitions.states[owner]
        if state.duplicates.fail_to_tell(outcome):
            reverse_untold(state, outcome)


cdef void lose(Partitions partitions, Peer peer) noexcept:
    cdef Guest guest
    cdef ElsewhereLink link
    peer.go_down()
    for guest in peer.take_guests():
        guest.settle_some(guest.waiting_frames(), False)
        _let_guest_go(partitions, guest)
    for link in peer.links:
        link.carried = 0
        _lose_link(partitions, link)
    peer.forget_views()


# --- of links ---------------------------------------------------------------------------------------------------------

cdef void _lose_link(Partitions partitions, LinkChannel elsewhere) noexcept:
    """A peer has no connections of a link any more: what waits to leave on them is lost, as on a connection here."""
    note_elsewhere(partitions.host, elsewhere, False)
    reverse_undelivered(partitions, elsewhere)


cdef void _take_of_link(Partitions partitions, Peer peer, const MeshRecord *record) noexcept:
    cdef LinkChannel elsewhere, carrier
    cdef uint8_t *place
    cdef Frame frame
    cdef State host = partitions.host
    if record.number >= len(peer.links):
        peer.fail("it speaks of a link that is not there")
        return
    elsewhere = <LinkChannel>peer.links[record.number]
    if record.type == MESH_LINK_STATE:
        if record.state == LINK_UP and record.connections > 0:
            note_elsewhere(host, elsewhere, True)
        else:
            _lose_link(partitions, elsewhere)
    elif record.type == MESH_LINK_FRAME:
        frame.message = record.message.at
        frame.message_size = <uint32_t>record.message.size
        take_answer(partitions, elsewhere, &frame)
    else:
        carrier = elsewhere.connections.next_for_others()
        if carrier is None:
            return                            # it was lost just now: whoever waits for the answer waits in vain
        place = carrier.reserve(<uint32_t>record.frame.size)
        if place == NULL:
            return
        memcpy(place, record.frame.at, record.frame.size)
        if carrier.depart(peer.owner, <uint32_t>record.frame.size, 0, OUTCOME_NONE, host.calendar.now_ns) == 0:
            carrier.last_sent_ns = host.calendar.now_ns
            (<ElsewhereLink>elsewhere).carried += 1
            (<ElsewhereLink>elsewhere).carried_ns = host.calendar.now_ns
            host.channels.wake(carrier)


cdef void _answer_ping(Peer peer, const MeshRecord *record) noexcept:
    cdef uint8_t *place = peer._reserve(PONG_BYTES)
    if place != NULL:
        peer._wrote(write_pong(place, PONG_BYTES, record.token))


cdef bint flush_elsewhere(Channel channel) noexcept:
    if isinstance(channel, Guest):
        return (<Guest>channel).flush()
    return (<ElsewhereLink>channel).flush()
