"""Reads the mesh's records from bytes as they lie in a ring or in what was read from a connection.

The other side may be another version, or broken; in a ring it may write while we read. So each number is copied once,
then checked, and the copy is used.
"""

from libc.string cimport memcpy, memset
from switch.machine.claims cimport ClaimBody, ClaimedBody, ClaimNotedBody, ClaimStateBody
from switch.mesh.claim_records cimport read_claim, read_claim_noted, read_claim_state, read_claimed
from switch.mesh.record_checks cimport at_most, check_digits, refuse, take_body, zeros
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
    MESH_FAULTY,
    MESH_FAULT_ALIGNMENT,
    MESH_FAULT_NONE,
    MESH_FAULT_NOT_ZERO,
    MESH_FAULT_ORDER,
    MESH_FAULT_SUM,
    MESH_FAULT_TEXT,
    MESH_FAULT_TOO_LONG,
    MESH_FAULT_TOO_SHORT,
    MESH_FAULT_TOO_SMALL,
    MESH_FAULT_TYPE,
    MESH_FAULT_VERSION,
    MESH_FRAME_BYTES_MAX,
    MESH_HANDLED,
    MESH_HANG_UP,
    MESH_HEAD_BYTES,
    MESH_HELLO,
    MESH_INCOMPLETE,
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
    MESH_RECORD_BYTES_MAX,
    MESH_TAKEN,
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
    MeshHead,
    MeshJournal,
    OpenBody,
    OutstandingBody,
    PingBody,
    Span,
)
from switch.dialect.tables cimport ENTRY_MODES_MAX
from switch.tables.count_log cimport COUNTED_PAN_MAX, Counted
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX
from switch.wire.cursor cimport Reader, reader_over, reader_position, reader_take
from switch.wire.framing cimport FRAME_HEADERS_MAX

cdef enum:
    TYPES = MESH_JOURNAL + 1
    HELLO_VERSION_BYTES = MESH_HEAD_BYTES + 4     # of a HELLO: what every version begins with

# What each ``MeshFaultCode`` is called, and how it is said.
cdef list FAULTS = [
    ("", ""),
    ("too-short", "needed at least {needed} bytes, got {available}"),
    ("too-long", "needed at most {needed} bytes, got {available}"),
    ("alignment", "needed a size that is a multiple of {needed}, got {available}"),
    ("type", "needed a type from 1 to {needed}, got {available}"),
    ("version", "needed version {needed} of the mesh, got {available}"),
    ("too-small", "needed at least {needed}, got {available}"),
    ("too-large", "needed at most {needed}, got {available}"),
    ("not-zero", "needed a byte of value 0, got {available}"),
    ("sum", "needed {needed} bytes for its parts, got {available}"),
    ("text", "a byte of value {available} in a text that may not have it"),
    ("order", "needed a partition of at least {needed}, got {available}"),
]

cdef list TYPE_NAMES = [
    "", "HELLO", "TERMINAL_OPEN", "TERMINAL_FRAME", "TERMINAL_CLOSED", "ANSWER", "TOLD", "HANDLED", "HANG_UP",
    "LINK_SEND", "LINK_FRAME", "LINK_STATE", "PING", "PONG", "COUNTED", "COUNTS_TAKEN", "OUTSTANDING",
    "CLAIM", "CLAIMED", "CLAIM_STATE", "CLAIM_NOTED", "JOURNAL",
]


class MeshRecordError(ValueError):
    """Bytes that are no record of the mesh. Its text holds no byte of any message."""

    def __init__(self, what, position, needed, available, text):
        self.what = what
        self.position = position
        self.needed = needed
        self.available = available
        super().__init__(text)

    def __reduce__(self):
        return MeshRecordError, (self.what, self.position, self.needed, self.available, str(self))


cdef str mesh_fault_words(const MeshFault *fault):
    words = FAULTS[fault.code][1].format(needed=fault.needed, available=fault.available)
    name = TYPE_NAMES[fault.type] if fault.type < TYPES else ""
    return f"mesh: {name or 'record'} refused at byte {fault.position}: {words}"


cdef object mesh_fault_error(const MeshFault *fault):
    return MeshRecordError(FAULTS[fault.code][0], fault.position, fault.needed, fault.available,
                           mesh_fault_words(fault))


cdef bint is_plain_text(const uint8_t *text, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if not 0x21 <= text[i] <= 0x7E:
            return False
    return True


cdef bint is_control(uint8_t byte) noexcept nogil:
    return byte < 0x20 or byte == 0x7F


cdef struct Limits:           # of a part
    uint32_t least
    uint32_t most


cdef int take_part(Reader *reader, size_t size, Limits limits, size_t position, Span *part,
                   MeshFault *fault) noexcept nogil:
    """Step over a part whose size stands at ``position``."""
    if size < limits.least:
        return refuse(fault, MESH_FAULT_TOO_SHORT, position, limits.least, size)
    if size > limits.most:
        return refuse(fault, MESH_FAULT_TOO_LONG, position, limits.most, size)
    if reader_take(reader, size, &part.at) < 0:
        return refuse(fault, MESH_FAULT_SUM, 0, reader_position(reader) + size,
                      reader_position(reader) + reader.left)
    part.size = size
    return MESH_COMPLETE


cdef int plain(const Reader *reader, const Span *part, MeshFault *fault) noexcept nogil:
    """Whether a part is graphic ASCII; else a fault."""
    cdef size_t i
    cdef uint8_t byte
    for i in range(part.size):
        byte = part.at[i]
        if not is_plain_text(&byte, 1):
            return refuse(fault, MESH_FAULT_TEXT, <size_t>(part.at - reader.start) + i, 0, byte)
    return MESH_COMPLETE


cdef int read_hello(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef HelloBody body
    cdef Span owned
    cdef MeshJournal entry
    cdef uint32_t i, least = 0
    cdef size_t position
    take_body(reader, &body, sizeof(body))
    if at_most(body.worker, MESH_WORKERS_MAX - 1, 12, fault) < 0:
        return MESH_FAULTY
    if body.partitions == 0:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 16, 1, 0)
    if at_most(body.partitions, MESH_PARTITIONS_MAX, 16, fault) < 0:
        return MESH_FAULTY
    if at_most(body.owned_count, body.partitions, 20, fault) < 0 or at_most(body.asks, 1, 57, fault) < 0:
        return MESH_FAULTY
    if zeros(body.reserved, 6, 58, fault) < 0:
        return MESH_FAULTY
    record.state = body.asks
    position = reader_position(reader)
    if take_part(reader, body.owned_count * sizeof(MeshJournal),
                 Limits(0, MESH_PARTITIONS_MAX * sizeof(MeshJournal)), 20, &owned, fault) < 0:
        return MESH_FAULTY
    for i in range(body.owned_count):
        memcpy(&entry, owned.at + i * sizeof(MeshJournal), sizeof(entry))
        MESH_TAKEN()
        if entry.partition < least:
            return refuse(fault, MESH_FAULT_ORDER, position, least, entry.partition)
        if at_most(entry.partition, body.partitions - 1, position, fault) < 0:
            return MESH_FAULTY
        if entry.position < 0:
            return refuse(fault, MESH_FAULT_TOO_SMALL, position + 16, 0, 0)
        least = entry.partition + 1
        position += sizeof(MeshJournal)
    if take_part(reader, body.node_size, Limits(1, MESH_NODE_BYTES_MAX), 56, &record.node, fault) < 0:
        return MESH_FAULTY
    record.worker = body.worker
    record.partitions = body.partitions
    record.owned_count = body.owned_count
    record.owned = owned.at
    record.digest = Span(reader.start + 24, MESH_DIGEST_BYTES)
    return plain(reader, &record.node, fault)


cdef int owned_partition(const MeshRecord *hello, uint32_t place, MeshJournal *journal) noexcept nogil:
    if place >= hello.owned_count:
        return -1
    memcpy(journal, hello.owned + place * sizeof(MeshJournal), sizeof(MeshJournal))
    MESH_TAKEN()
    return 0 if journal.partition < hello.partitions and journal.position >= 0 else -1


cdef int read_journal(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    take_body(reader, &record.journal, sizeof(record.journal))
    if record.journal.position < 0:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 24, 0, 0)
    return at_most(record.journal.partition, MESH_PARTITIONS_MAX - 1, 8, fault)


cdef int read_terminal_open(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef OpenBody body
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    if zeros(body.reserved, 5, 19, fault) < 0:
        return MESH_FAULTY
    if take_part(reader, body.peer_size, Limits(0, MESH_PEER_BYTES_MAX), 18, &record.peer, fault) < 0:
        return MESH_FAULTY
    if take_part(reader, body.name_size, Limits(0, MESH_NAME_BYTES_MAX), 16, &record.name, fault) < 0:
        return MESH_FAULTY
    return plain(reader, &record.peer, fault)


cdef int read_terminal_frame(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef FrameBody body
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    if take_part(reader, body.headers_size, Limits(0, FRAME_HEADERS_MAX), 16, &record.headers, fault) < 0:
        return MESH_FAULTY
    return take_part(reader, body.message_size, Limits(1, MESH_MESSAGE_BYTES_MAX), 20, &record.message, fault)


cdef int read_count(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef CountBody body
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    record.count = body.count
    return MESH_COMPLETE


cdef int read_answer(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef BytesBody body
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    if zeros(<const uint8_t *>&body.reserved, 4, 20, fault) < 0:
        return MESH_FAULTY
    return take_part(reader, body.size, Limits(1, MESH_FRAME_BYTES_MAX), 16, &record.frame, fault)


cdef int read_handled(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef HandledBody body
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    record.count = body.count
    record.in_flight = body.in_flight
    if at_most(body.in_flight, body.count, 24, fault) < 0:
        return MESH_FAULTY
    return zeros(<const uint8_t *>&body.reserved, 4, 28, fault)


cdef int read_hang_up(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef BytesBody body
    cdef size_t i
    cdef uint8_t byte
    take_body(reader, &body, sizeof(body))
    record.terminal = body.terminal
    if zeros(<const uint8_t *>&body.reserved, 4, 20, fault) < 0:
        return MESH_FAULTY
    if take_part(reader, body.size, Limits(0, MESH_REASON_BYTES_MAX), 16, &record.reason, fault) < 0:
        return MESH_FAULTY
    for i in range(record.reason.size):
        byte = record.reason.at[i]
        if is_control(byte):
            return refuse(fault, MESH_FAULT_TEXT, <size_t>(record.reason.at - reader.start) + i, 0, byte)
    return MESH_COMPLETE


cdef int read_link_send(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef LinkSendBody body
    take_body(reader, &body, sizeof(body))
    if zeros(<const uint8_t *>&body.reserved, 4, 12, fault) < 0:
        return MESH_FAULTY
    return take_part(reader, body.size, Limits(1, MESH_FRAME_BYTES_MAX), 8, &record.frame, fault)


cdef int read_link_frame(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef LinkFrameBody body
    take_body(reader, &body, sizeof(body))
    if take_part(reader, body.headers_size, Limits(0, FRAME_HEADERS_MAX), 8, &record.headers, fault) < 0:
        return MESH_FAULTY
    return take_part(reader, body.message_size, Limits(1, MESH_MESSAGE_BYTES_MAX), 12, &record.message, fault)


cdef int read_link_state(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef LinkStateBody body
    take_body(reader, &body, sizeof(body))
    record.state = body.state
    record.connections = body.connections
    if at_most(body.state, MESH_LINK_STATE_MAX, 8, fault) < 0:
        return MESH_FAULTY
    return zeros(body.reserved, 3, 9, fault)


cdef int read_token(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef PingBody body
    take_body(reader, &body, sizeof(body))
    record.token = body.token
    return MESH_COMPLETE


cdef int check_counted(const CountedBody *body, MeshFault *fault) noexcept nogil:
    cdef bint is_stand_in = body.how & MESH_COUNTED_STAND_IN
    if body.amount_minor < (0 if is_stand_in else -1):
        return refuse(fault, MESH_FAULT_TOO_SMALL, 16, 0, 0)
    if at_most(body.currency, MESH_CURRENCY_MAX, 32, fault) < 0 or at_most(body.kind, MESH_KINDS - 1, 36, fault) < 0:
        return MESH_FAULTY
    if at_most(body.how, MESH_COUNTED_DECLINED, 37, fault) < 0:
        return MESH_FAULTY
    if at_most(body.pan_size, COUNTED_PAN_MAX, 38, fault) < 0:
        return MESH_FAULTY
    if at_most(body.entry_mode, ENTRY_MODES_MAX - 1, 39, fault) < 0:
        return MESH_FAULTY
    if check_digits(body.pan, body.pan_size, COUNTED_PAN_MAX, 40, fault) < 0:
        return MESH_FAULTY
    return zeros(body.padding, sizeof(body.padding), 82, fault)


cdef int read_counted(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef CountedBody body
    record.counted = reader.at
    take_body(reader, &body, sizeof(body))
    record.token = body.number
    if record.number and not body.how & MESH_COUNTED_STAND_IN:
        return refuse(fault, MESH_FAULT_NOT_ZERO, 6, 0, record.number)
    return check_counted(&body, fault)


cdef int counted_by(const MeshRecord *record, uint64_t now_ms, Counted *counted) noexcept nogil:
    cdef CountedBody body
    cdef MeshFault fault
    memcpy(&body, record.counted, sizeof(body))
    MESH_TAKEN()
    if check_counted(&body, &fault) < 0:
        return -1
    memset(counted, 0, sizeof(Counted))
    counted.amount_minor = body.amount_minor
    counted.moment_ms = now_ms - min(body.age_ms, now_ms)
    counted.currency = <int>body.currency
    counted.link = record.number
    counted.kind = body.kind
    counted.is_stand_in = (body.how & MESH_COUNTED_STAND_IN) != 0
    counted.is_taken_back = (body.how & MESH_COUNTED_TAKEN_BACK) != 0
    counted.is_declined = (body.how & MESH_COUNTED_DECLINED) != 0
    counted.entry_mode = body.entry_mode
    counted.pan_digits = body.pan_size
    memcpy(counted.pan, body.pan, COUNTED_PAN_MAX)
    memcpy(counted.terminal, body.terminal, TERMINAL_ID_MAX)
    memcpy(counted.merchant, body.merchant, MERCHANT_ID_MAX)
    return 0


cdef int read_outstanding(Reader *reader, MeshRecord *record, MeshFault *fault) noexcept nogil:
    cdef OutstandingBody body
    take_body(reader, &body, sizeof(body))
    record.amount_minor = body.amount_minor
    record.currency = body.currency
    if body.amount_minor < 0:
        return refuse(fault, MESH_FAULT_TOO_SMALL, 8, 0, 0)
    if at_most(body.currency, MESH_CURRENCY_MAX, 16, fault) < 0:
        return MESH_FAULTY
    return zeros(<const uint8_t *>&body.reserved, 4, 20, fault)


ctypedef int (*ReadBody)(Reader *, MeshRecord *, MeshFault *) noexcept nogil

cdef struct Shape:
    ReadBody read
    bint has_number           # of a listener, partition or link
    uint32_t size_min         # of the record: head and body

cdef Shape[TYPES] shapes
shapes[<int>MESH_HELLO] = Shape(read_hello, False, MESH_HEAD_BYTES + sizeof(HelloBody))
shapes[<int>MESH_TERMINAL_OPEN] = Shape(read_terminal_open, True, MESH_HEAD_BYTES + sizeof(OpenBody))
shapes[<int>MESH_TERMINAL_FRAME] = Shape(read_terminal_frame, True, MESH_HEAD_BYTES + sizeof(FrameBody))
shapes[<int>MESH_TERMINAL_CLOSED] = Shape(read_count, False, MESH_HEAD_BYTES + sizeof(CountBody))
shapes[<int>MESH_ANSWER] = Shape(read_answer, False, MESH_HEAD_BYTES + sizeof(BytesBody))
shapes[<int>MESH_TOLD] = Shape(read_count, False, MESH_HEAD_BYTES + sizeof(CountBody))
shapes[<int>MESH_HANDLED] = Shape(read_handled, False, MESH_HEAD_BYTES + sizeof(HandledBody))
shapes[<int>MESH_HANG_UP] = Shape(read_hang_up, False, MESH_HEAD_BYTES + sizeof(BytesBody))
shapes[<int>MESH_LINK_SEND] = Shape(read_link_send, True, MESH_HEAD_BYTES + sizeof(LinkSendBody))
shapes[<int>MESH_LINK_FRAME] = Shape(read_link_frame, True, MESH_HEAD_BYTES + sizeof(LinkFrameBody))
shapes[<int>MESH_LINK_STATE] = Shape(read_link_state, True, MESH_HEAD_BYTES + sizeof(LinkStateBody))
shapes[<int>MESH_PING] = Shape(read_token, False, MESH_HEAD_BYTES + sizeof(PingBody))
shapes[<int>MESH_PONG] = Shape(read_token, False, MESH_HEAD_BYTES + sizeof(PingBody))
shapes[<int>MESH_COUNTED] = Shape(read_counted, True, MESH_HEAD_BYTES + sizeof(CountedBody))
shapes[<int>MESH_COUNTS_TAKEN] = Shape(read_token, False, MESH_HEAD_BYTES + sizeof(PingBody))
shapes[<int>MESH_OUTSTANDING] = Shape(read_outstanding, True, MESH_HEAD_BYTES + sizeof(OutstandingBody))
shapes[<int>MESH_CLAIM] = Shape(read_claim, True, MESH_HEAD_BYTES + sizeof(ClaimBody))
shapes[<int>MESH_CLAIMED] = Shape(read_claimed, True, MESH_HEAD_BYTES + sizeof(ClaimedBody))
shapes[<int>MESH_CLAIM_STATE] = Shape(read_claim_state, True, MESH_HEAD_BYTES + sizeof(ClaimStateBody))
shapes[<int>MESH_CLAIM_NOTED] = Shape(read_claim_noted, True, MESH_HEAD_BYTES + sizeof(ClaimNotedBody))
shapes[<int>MESH_JOURNAL] = Shape(read_journal, False, MESH_HEAD_BYTES + sizeof(MeshJournal))


cdef int check_head(const MeshHead *head, size_t size_max, MeshFault *fault) noexcept nogil:
    """What every version keeps to: sizes, types, and where a number may stand."""
    if head.size < MESH_HEAD_BYTES:
        return refuse(fault, MESH_FAULT_TOO_SHORT, 0, MESH_HEAD_BYTES, head.size)
    if head.size > size_max:
        return refuse(fault, MESH_FAULT_TOO_LONG, 0, size_max, head.size)
    if head.size % MESH_ALIGNMENT_BYTES:
        return refuse(fault, MESH_FAULT_ALIGNMENT, 0, MESH_ALIGNMENT_BYTES, head.size)
    if not 1 <= head.type < TYPES:
        return refuse(fault, MESH_FAULT_TYPE, 4, TYPES - 1, head.type)
    if head.reserved:
        return refuse(fault, MESH_FAULT_NOT_ZERO, 5, 0, head.reserved)
    if head.number and not shapes[head.type].has_number:
        return refuse(fault, MESH_FAULT_NOT_ZERO, 6, 0, head.number)
    return MESH_COMPLETE


cdef int read_record(const uint8_t *data, size_t size, size_t size_max, MeshRecord *record,
                     MeshFault *fault) noexcept nogil:
    cdef Reader reader
    cdef MeshHead head
    cdef uint32_t version
    cdef const uint8_t *at
    memset(record, 0, sizeof(MeshRecord))
    reader_over(&reader, data, size)
    if reader_take(&reader, sizeof(head), &at) < 0:
        return MESH_INCOMPLETE
    memcpy(&head, at, sizeof(head))
    MESH_TAKEN()
    fault.code = MESH_FAULT_NONE
    fault.type = head.type
    if check_head(&head, min(size_max, <size_t>MESH_RECORD_BYTES_MAX), fault) < 0:
        return MESH_FAULTY
    record.size = head.size
    if head.type == MESH_HELLO and head.size >= HELLO_VERSION_BYTES:
        if reader_take(&reader, sizeof(version), &at) < 0:
            return MESH_INCOMPLETE
        memcpy(&version, at, sizeof(version))
        MESH_TAKEN()
        if version != MESH_VERSION:
            return refuse(fault, MESH_FAULT_VERSION, MESH_HEAD_BYTES, MESH_VERSION, version)
    if head.size < shapes[head.type].size_min:
        return refuse(fault, MESH_FAULT_TOO_SHORT, 0, shapes[head.type].size_min, head.size)
    if size < head.size:
        return MESH_INCOMPLETE
    record.type = head.type
    record.number = head.number
    reader_over(&reader, data, head.size)
    reader_take(&reader, sizeof(head), &at)
    if shapes[head.type].read(&reader, record, fault) < 0:
        return MESH_FAULTY
    if reader.left >= MESH_ALIGNMENT_BYTES:
        return refuse(fault, MESH_FAULT_SUM, 0, head.size - reader.left // MESH_ALIGNMENT_BYTES * MESH_ALIGNMENT_BYTES,
                      head.size)
    if zeros(reader.at, reader.left, reader_position(&reader), fault) < 0:
        return MESH_FAULTY
    return MESH_COMPLETE
