"""Writes the mesh's records where the caller has room, each in one go."""

from libc.string cimport memcpy, memset
from switch.base.invariant cimport ensure
from switch.machine.claims cimport ClaimBody, ClaimedBody, ClaimNotedBody, ClaimStateBody
from switch.mesh.claim_records cimport check_claim, check_claim_noted, check_claim_state, check_claimed
from switch.mesh.record_decoder cimport is_control, is_plain_text
from switch.mesh.records cimport (
    MESH_ALIGNMENT_BYTES,
    MESH_ANSWER,
    MESH_CLAIM,
    MESH_CLAIM_NOTED,
    MESH_CLAIM_STATE,
    MESH_CLAIMED,
    MESH_COMPLETE,
    MESH_COUNTED,
    MESH_COUNTED_DECLINED,
    MESH_COUNTED_STAND_IN,
    MESH_COUNTED_TAKEN_BACK,
    MESH_COUNTS_TAKEN,
    MESH_CURRENCY_MAX,
    MESH_DIGEST_BYTES,
    MESH_FRAME_BYTES_MAX,
    MESH_HANDLED,
    MESH_HANG_UP,
    MESH_HEAD_BYTES,
    MESH_HELLO,
    MESH_JOURNAL,
    MESH_KINDS,
    MESH_LINK_FRAME,
    MESH_LINK_SEND,
    MESH_LINK_STATE,
    MESH_LINK_STATE_MAX,
    MESH_MESSAGE_BYTES_MAX,
    MESH_NAME_BYTES_MAX,
    MESH_NODE_BYTES_MAX,
    MESH_OUTSTANDING,
    MESH_PARTITIONS_MAX,
    MESH_PEER_BYTES_MAX,
    MESH_PING,
    MESH_PONG,
    MESH_REASON_BYTES_MAX,
    MESH_TERMINAL_CLOSED,
    MESH_TERMINAL_FRAME,
    MESH_TERMINAL_OPEN,
    MESH_TOLD,
    MESH_VERSION,
    MESH_WORKERS_MAX,
    BytesBody,
    CountBody,
    CountedBody,
    FrameBody,
    HandledBody,
    HelloBody,
    LinkFrameBody,
    LinkSendBody,
    LinkStateBody,
    MeshFault,
    MeshHead,
    MeshJournal,
    OpenBody,
    OutstandingBody,
    PingBody,
    padded,
)
from switch.dialect.tables cimport ENTRY_MODES_MAX
from switch.tables.count_log cimport COUNTED_PAN_MAX, Counted
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX
from switch.wire.cursor cimport Writer, writer_over, writer_reserve
from switch.wire.framing cimport FRAME_HEADERS_MAX


cdef inline int begin(Writer *writer, uint8_t *out, size_t room, MeshHead head, size_t content) noexcept nogil:
    """Write the head of a record with ``content`` bytes behind it, and the zeros at its end; its size, -1 without room.

    ``content`` is within the limits of its parts.
    """
    cdef size_t size = padded(MESH_HEAD_BYTES + content)
    if size > room:
        return -1
    head.size = <uint32_t>size
    writer_over(writer, out, size)
    memset(out + size - MESH_ALIGNMENT_BYTES, 0, MESH_ALIGNMENT_BYTES)
    put(writer, &head, sizeof(head))
    return <int>size


cdef inline void put(Writer *writer, const void *data, size_t size) noexcept nogil:
    """Append bytes for which ``begin`` has found room."""
    cdef uint8_t *at
    cdef bint has_room = writer_reserve(writer, size, &at) == 0
    ensure(has_room, b"a record has room for its parts")
    if size:
        memcpy(at, data, size)


cdef int write_hello(uint8_t *out, size_t room, const MeshHello *hello) noexcept nogil:
    cdef Writer writer
    cdef HelloBody body
    cdef uint32_t i
    cdef int size
    if hello.worker >= MESH_WORKERS_MAX or not 1 <= hello.partitions <= MESH_PARTITIONS_MAX:
        return -1
    if hello.owned_count > hello.partitions or not 1 <= hello.node.size <= MESH_NODE_BYTES_MAX:
        return -1
    if not is_plain_text(hello.node.at, hello.node.size):
        return -1
    for i in range(hello.owned_count):
        if hello.owned[i].partition >= hello.partitions or hello.owned[i].position < 0:
            return -1
        if i and hello.owned[i].partition <= hello.owned[i - 1].partition:
            return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_HELLO, 0, 0),
                 sizeof(body) + hello.owned_count * sizeof(MeshJournal) + hello.node.size)
    if size < 0:
        return -1
    memset(&body, 0, sizeof(body))
    body.version = MESH_VERSION
    body.worker = hello.worker
    body.partitions = hello.partitions
    body.owned_count = hello.owned_count
    memcpy(body.digest, hello.digest, MESH_DIGEST_BYTES)
    body.node_size = <uint8_t>hello.node.size
    body.asks = hello.asks
    put(&writer, &body, sizeof(body))
    put(&writer, hello.owned, hello.owned_count * sizeof(MeshJournal))
    put(&writer, hello.node.at, hello.node.size)
    return size


cdef int write_terminal_open(uint8_t *out, size_t room, const MeshTerminal *terminal, uint16_t listener, Span peer,
                             Span name) noexcept nogil:
    cdef Writer writer
    cdef OpenBody body
    cdef int size
    if peer.size > MESH_PEER_BYTES_MAX or name.size > MESH_NAME_BYTES_MAX or not is_plain_text(peer.at, peer.size):
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_TERMINAL_OPEN, 0, listener), sizeof(body) + peer.size + name.size)
    if size < 0:
        return -1
    memset(&body, 0, sizeof(body))
    body.terminal = terminal[0]
    body.name_size = <uint16_t>name.size
    body.peer_size = <uint8_t>peer.size
    put(&writer, &body, sizeof(body))
    put(&writer, peer.at, peer.size)
    put(&writer, name.at, name.size)
    return size


cdef int write_terminal_frame(uint8_t *out, size_t room, const MeshTerminal *terminal, uint16_t partition, Span headers,
                              Span message) noexcept nogil:
    cdef Writer writer
    cdef FrameBody body
    cdef int size
    if headers.size > FRAME_HEADERS_MAX or not 1 <= message.size <= MESH_MESSAGE_BYTES_MAX:
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_TERMINAL_FRAME, 0, partition),
                 sizeof(body) + headers.size + message.size)
    if size < 0:
        return -1
    body = FrameBody(terminal[0], <uint32_t>headers.size, <uint32_t>message.size)
    put(&writer, &body, sizeof(body))
    put(&writer, headers.at, headers.size)
    put(&writer, message.at, message.size)
    return size


cdef int write_count(uint8_t *out, size_t room, uint8_t type, const MeshTerminal *terminal,
                     uint64_t count) noexcept nogil:
    cdef Writer writer
    cdef CountBody body = CountBody(terminal[0], count)
    cdef int size = begin(&writer, out, room, MeshHead(0, type, 0, 0), sizeof(body))
    if size > 0:
        put(&writer, &body, sizeof(body))
    return size


cdef int write_terminal_closed(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t told) noexcept nogil:
    return write_count(out, room, MESH_TERMINAL_CLOSED, terminal, told)


cdef int write_told(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t told) noexcept nogil:
    return write_count(out, room, MESH_TOLD, terminal, told)


cdef int write_answer(uint8_t *out, size_t room, const MeshTerminal *terminal, Span frame) noexcept nogil:
    cdef Writer writer
    cdef BytesBody body
    cdef int size
    if not 1 <= frame.size <= MESH_FRAME_BYTES_MAX:
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_ANSWER, 0, 0), sizeof(body) + frame.size)
    if size < 0:
        return -1
    body = BytesBody(terminal[0], <uint32_t>frame.size, 0)
    put(&writer, &body, sizeof(body))
    put(&writer, frame.at, frame.size)
    return size


cdef int write_handled(uint8_t *out, size_t room, const MeshTerminal *terminal, uint64_t handled,
                       uint32_t in_flight) noexcept nogil:
    cdef Writer writer
    cdef HandledBody body = HandledBody(terminal[0], handled, in_flight, 0)
    cdef int size = -1
    if in_flight <= handled:
        size = begin(&writer, out, room, MeshHead(0, MESH_HANDLED, 0, 0), sizeof(body))
    if size > 0:
        put(&writer, &body, sizeof(body))
    return size


cdef int write_hang_up(uint8_t *out, size_t room, const MeshTerminal *terminal, Span reason) noexcept nogil:
    cdef Writer writer
    cdef BytesBody body
    cdef uint8_t *text
    cdef size_t i
    cdef int size
    reason.size = min(reason.size, <size_t>MESH_REASON_BYTES_MAX)
    size = begin(&writer, out, room, MeshHead(0, MESH_HANG_UP, 0, 0), sizeof(body) + reason.size)
    if size < 0:
        return -1
    body = BytesBody(terminal[0], <uint32_t>reason.size, 0)
    put(&writer, &body, sizeof(body))
    text = writer.at
    put(&writer, reason.at, reason.size)
    for i in range(reason.size):
        if is_control(text[i]):
            text[i] = b"?"
    return size


cdef int write_link_send(uint8_t *out, size_t room, uint16_t link, Span frame) noexcept nogil:
    cdef Writer writer
    cdef LinkSendBody body
    cdef int size
    if not 1 <= frame.size <= MESH_FRAME_BYTES_MAX:
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_LINK_SEND, 0, link), sizeof(body) + frame.size)
    if size < 0:
        return -1
    body = LinkSendBody(<uint32_t>frame.size, 0)
    put(&writer, &body, sizeof(body))
    put(&writer, frame.at, frame.size)
    return size


cdef int write_link_frame(uint8_t *out, size_t room, uint16_t link, Span headers, Span message) noexcept nogil:
    cdef Writer writer
    cdef LinkFrameBody body
    cdef int size
    if headers.size > FRAME_HEADERS_MAX or not 1 <= message.size <= MESH_MESSAGE_BYTES_MAX:
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_LINK_FRAME, 0, link), sizeof(body) + headers.size + message.size)
    if size < 0:
        return -1
    body = LinkFrameBody(<uint32_t>headers.size, <uint32_t>message.size)
    put(&writer, &body, sizeof(body))
    put(&writer, headers.at, headers.size)
    put(&writer, message.at, message.size)
    return size


cdef int write_link_state(uint8_t *out, size_t room, uint16_t link, uint8_t state, uint32_t connections) noexcept nogil:
    cdef Writer writer
    cdef LinkStateBody body
    cdef int size = -1
    if state <= MESH_LINK_STATE_MAX:
        size = begin(&writer, out, room, MeshHead(0, MESH_LINK_STATE, 0, link), sizeof(body))
    if size > 0:
        memset(&body, 0, sizeof(body))
        body.state = state
        body.connections = connections
        put(&writer, &body, sizeof(body))
    return size


cdef int write_token(uint8_t *out, size_t room, uint8_t type, uint64_t token) noexcept nogil:
    cdef Writer writer
    cdef PingBody body = PingBody(token)
    cdef int size = begin(&writer, out, room, MeshHead(0, type, 0, 0), sizeof(body))
    if size > 0:
        put(&writer, &body, sizeof(body))
    return size


cdef int write_ping(uint8_t *out, size_t room, uint64_t token) noexcept nogil:
    return write_token(out, room, MESH_PING, token)


cdef int write_pong(uint8_t *out, size_t room, uint64_t token) noexcept nogil:
    return write_token(out, room, MESH_PONG, token)


cdef int write_counted(uint8_t *out, size_t room, uint64_t number, const Counted *counted,
                       uint64_t now_ms) noexcept nogil:
    cdef Writer writer
    cdef CountedBody body
    cdef int size
    if counted.pan_digits > <int>COUNTED_PAN_MAX or counted.kind >= MESH_KINDS:
        return -1
    if counted.entry_mode >= ENTRY_MODES_MAX or (
            counted.is_declined and (counted.is_stand_in or counted.is_taken_back)):
        return -1
    if not 0 <= counted.currency <= <int>MESH_CURRENCY_MAX or counted.amount_minor < (0 if counted.is_stand_in else -1):
        return -1
    size = begin(&writer, out, room, MeshHead(0, MESH_COUNTED, 0, counted.link if counted.is_stand_in else 0),
                 sizeof(body))
    if size < 0:
        return -1
    memset(&body, 0, sizeof(body))
    body.number = number
    body.amount_minor = counted.amount_minor
    body.age_ms = now_ms - min(counted.moment_ms, now_ms)
    body.currency = <uint32_t>counted.currency
    body.kind = counted.kind
    body.how = ((MESH_COUNTED_STAND_IN if counted.is_stand_in else 0)
                | (MESH_COUNTED_TAKEN_BACK if counted.is_taken_back else 0)
                | (MESH_COUNTED_DECLINED if counted.is_declined else 0))
    body.entry_mode = counted.entry_mode
    body.pan_size = counted.pan_digits
    memcpy(body.pan, counted.pan, counted.pan_digits)
    memcpy(body.terminal, counted.terminal, TERMINAL_ID_MAX)
    memcpy(body.merchant, counted.merchant, MERCHANT_ID_MAX)
    put(&writer, &body, sizeof(body))
    return size


cdef int write_counts_taken(uint8_t *out, size_t room, uint64_t next) noexcept nogil:
    return write_token(out, room, MESH_COUNTS_TAKEN, next)


cdef int write_outstanding(uint8_t *out, size_t room, uint16_t link, int currency,
                           int64_t amount_minor) noexcept nogil:
    cdef Writer writer
    cdef OutstandingBody body = OutstandingBody(amount_minor, <uint32_t>currency, 0)
    cdef int size = -1
    if 0 <= currency <= <int>MESH_CURRENCY_MAX and amount_minor >= 0:
        size = begin(&writer, out, room, MeshHead(0, MESH_OUTSTANDING, 0, link), sizeof(body))
    if size > 0:
        put(&writer, &body, sizeof(body))
    return size


cdef int write_body(uint8_t *out, size_t room, uint8_t type, uint32_t partition, const void *body,
                    size_t body_size) noexcept nogil:
    """Write a record of one body, which was checked."""
    cdef Writer writer
    cdef int size = -1
    if partition < MESH_PARTITIONS_MAX:
        size = begin(&writer, out, room, MeshHead(0, type, 0, <uint16_t>partition), body_size)
    if size > 0:
        put(&writer, body, body_size)
    return size


cdef int write_claim(uint8_t *out, size_t room, uint32_t keeper, const ClaimBody *body) noexcept nogil:
    cdef MeshFault fault
    if check_claim(body, &fault) != MESH_COMPLETE:
        return -1
    return write_body(out, room, MESH_CLAIM, keeper, body, sizeof(ClaimBody))


cdef int write_claimed(uint8_t *out, size_t room, const ClaimedBody *body) noexcept nogil:
    cdef MeshFault fault
    if check_claimed(body, &fault) != MESH_COMPLETE:
        return -1
    return write_body(out, room, MESH_CLAIMED, body.claim.partition, body, sizeof(ClaimedBody))


cdef int write_claim_state(uint8_t *out, size_t room, uint32_t keeper, const ClaimStateBody *body) noexcept nogil:
    cdef MeshFault fault
    if check_claim_state(body, &fault) != MESH_COMPLETE:
        return -1
    return write_body(out, room, MESH_CLAIM_STATE, keeper, body, sizeof(ClaimStateBody))


cdef int write_claim_noted(uint8_t *out, size_t room, uint32_t claimant, const ClaimNotedBody *body) noexcept nogil:
    cdef MeshFault fault
    if check_claim_noted(body, &fault) != MESH_COMPLETE:
        return -1
    return write_body(out, room, MESH_CLAIM_NOTED, claimant, body, sizeof(ClaimNotedBody))


cdef int write_journal(uint8_t *out, size_t room, const MeshJournal *journal) noexcept nogil:
    cdef Writer writer
    cdef int size = -1
    if journal.partition < MESH_PARTITIONS_MAX and journal.position >= 0:
        size = begin(&writer, out, room, MeshHead(0, MESH_JOURNAL, 0, 0), sizeof(MeshJournal))
    if size > 0:
        put(&writer, journal, sizeof(MeshJournal))
    return size
