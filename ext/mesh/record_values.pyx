"""The mesh's records as Python values, for who has none of the hot path's hurry: HELLOs, tests, people."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from switch.machine.claims cimport ClaimBody, ClaimedBody, ClaimNotedBody, ClaimPart, ClaimStateBody
from switch.machine.originals cimport REFERENCE_ROOM
from switch.mesh.claim_records cimport claim_body, claim_noted_body, claim_state_body, claimed_body
from switch.mesh.record_decoder cimport counted_by, mesh_fault_error, owned_partition, read_record
from switch.mesh.record_encoder cimport (
    write_answer,
    write_claim,
    write_claim_noted,
    write_claim_state,
    write_claimed,
    write_counted,
    write_counts_taken,
    write_handled,
    write_hang_up,
    write_hello,
    write_journal,
    write_link_frame,
    write_link_send,
    write_link_state,
    write_outstanding,
    write_ping,
    write_pong,
    write_terminal_closed,
    write_terminal_frame,
    write_terminal_open,
    write_told,
)
from switch.mesh.records cimport (
    MESH_ANSWER,
    MESH_CLAIM,
    MESH_CLAIM_NOTED,
    MESH_CLAIM_STATE,
    MESH_CLAIMED,
    MESH_COMPLETE,
    MESH_COUNTED,
    MESH_COUNTS_TAKEN,
    MESH_DIGEST_BYTES,
    MESH_HANDLED,
    MESH_HANG_UP,
    MESH_HELLO,
    MESH_JOURNAL,
    MESH_LINK_FRAME,
    MESH_LINK_SEND,
    MESH_LINK_STATE,
    MESH_OUTSTANDING,
    MESH_PARTITIONS_MAX,
    MESH_PING,
    MESH_PONG,
    MESH_RECORD_BYTES_MAX,
    MESH_TERMINAL_CLOSED,
    MESH_TERMINAL_FRAME,
    MESH_TERMINAL_OPEN,
    MESH_TOLD,
    MESH_VERSION,
    MeshFault,
    MeshHello,
    MeshJournal,
    MeshRecord,
    MeshTerminal,
    Span,
)
from switch.tables.count_log cimport COUNTED_PAN_MAX, Counted
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX

RECORD_BYTES_MAX = MESH_RECORD_BYTES_MAX
"""The longest record that there is, in bytes."""

SPOKEN_VERSION = MESH_VERSION

cdef dict NAMES = {
    MESH_HELLO: "hello",
    MESH_TERMINAL_OPEN: "terminal_open",
    MESH_TERMINAL_FRAME: "terminal_frame",
    MESH_TERMINAL_CLOSED: "terminal_closed",
    MESH_ANSWER: "answer",
    MESH_TOLD: "told",
    MESH_HANDLED: "handled",
    MESH_HANG_UP: "hang_up",
    MESH_LINK_SEND: "link_send",
    MESH_LINK_FRAME: "link_frame",
    MESH_LINK_STATE: "link_state",
    MESH_PING: "ping",
    MESH_PONG: "pong",
    MESH_COUNTED: "counted",
    MESH_COUNTS_TAKEN: "counts_taken",
    MESH_OUTSTANDING: "outstanding",
    MESH_CLAIM: "claim",
    MESH_CLAIMED: "claimed",
    MESH_CLAIM_STATE: "claim_state",
    MESH_CLAIM_NOTED: "claim_noted",
    MESH_JOURNAL: "journal",
}


@cython.final
cdef class _Room:
    """Where one record is written."""
    cdef bytearray memory
    cdef uint8_t *at
    cdef size_t size

    def __cinit__(self, size_t room):
        self.memory = bytearray(room + 1)
        self.at = self.memory
        self.size = room


cdef Span span_of(bytes data):
    return Span(<const uint8_t *>PyBytes_AS_STRING(data), <size_t>len(data))


def _hello(_Room out not None, *, uint32_t worker, uint32_t partitions, bytes digest not None, str node not None,
           dict owned not None, bint asks=False):
    cdef bytes name = node.encode()
    cdef MeshHello hello
    cdef MeshJournal *entries
    cdef uint32_t i
    if len(digest) != MESH_DIGEST_BYTES:
        raise ValueError(f"digest: needed {MESH_DIGEST_BYTES} bytes, got {len(digest)}")
    if len(owned) > MESH_PARTITIONS_MAX:
        return -1
    entries = <MeshJournal *>malloc((len(owned) + 1) * sizeof(MeshJournal))
    if entries == NULL:
        raise MemoryError
    try:
        for i, (partition, (epoch, life, began)) in enumerate(sorted(owned.items())):
            entries[i] = MeshJournal(<uint32_t>partition, <uint32_t>life, <uint64_t>epoch, <int64_t>began)
        hello = MeshHello(worker, partitions, <uint32_t>len(owned), entries, asks,
                          <const uint8_t *>PyBytes_AS_STRING(digest), span_of(name))
        return write_hello(out.at, out.size, &hello)
    finally:
        free(entries)


def _terminal_open(_Room out not None, *, uint32_t slot, uint32_t generation, uint16_t listener, str peer not None,
                   bytes name not None):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    cdef bytes address = peer.encode()
    return write_terminal_open(out.at, out.size, &terminal, listener, span_of(address), span_of(name))


def _terminal_frame(_Room out not None, *, uint32_t slot, uint32_t generation, uint16_t partition,
                    bytes headers not None, bytes message not None):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    return write_terminal_frame(out.at, out.size, &terminal, partition, span_of(headers), span_of(message))


def _terminal_closed(_Room out not None, *, uint32_t slot, uint32_t generation, uint64_t told):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    return write_terminal_closed(out.at, out.size, &terminal, told)


def _answer(_Room out not None, *, uint32_t slot, uint32_t generation, bytes frame not None):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    return write_answer(out.at, out.size, &terminal, span_of(frame))


def _told(_Room out not None, *, uint32_t slot, uint32_t generation, uint64_t told):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    return write_told(out.at, out.size, &terminal, told)


def _handled(_Room out not None, *, uint32_t slot, uint32_t generation, uint64_t handled, uint32_t in_flight):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    return write_handled(out.at, out.size, &terminal, handled, in_flight)


def _hang_up(_Room out not None, *, uint32_t slot, uint32_t generation, str reason not None):
    cdef MeshTerminal terminal = MeshTerminal(slot, generation)
    cdef bytes text = reason.encode()
    return write_hang_up(out.at, out.size, &terminal, span_of(text))


def _link_send(_Room out not None, *, uint16_t link, bytes frame not None):
    return write_link_send(out.at, out.size, link, span_of(frame))


def _link_frame(_Room out not None, *, uint16_t link, bytes headers not None, bytes message not None):
    return write_link_frame(out.at, out.size, link, span_of(headers), span_of(message))


def _link_state(_Room out not None, *, uint16_t link, uint8_t state, uint32_t connections):
    return write_link_state(out.at, out.size, link, state, connections)


def _ping(_Room out not None, *, uint64_t token):
    return write_ping(out.at, out.size, token)


def _pong(_Room out not None, *, uint64_t token):
    return write_pong(out.at, out.size, token)


def _counted(_Room out not None, *, uint64_t number, uint16_t link, int64_t amount_minor, uint64_t age_ms, int currency,
             uint8_t transaction_kind, bint is_stand_in, bint is_taken_back, bint is_declined, uint8_t entry_mode,
             bytes pan not None, bytes terminal not None, bytes merchant not None):
    cdef Counted counted
    if len(pan) > <int>COUNTED_PAN_MAX or len(terminal) != TERMINAL_ID_MAX or len(merchant) != MERCHANT_ID_MAX:
        return -1
    memset(&counted, 0, sizeof(counted))
    counted.amount_minor = amount_minor
    counted.currency = currency
    counted.link = link
    counted.kind = transaction_kind
    counted.is_stand_in = is_stand_in
    counted.is_taken_back = is_taken_back
    counted.is_declined = is_declined
    counted.entry_mode = entry_mode
    counted.pan_digits = <uint8_t>len(pan)
    memcpy(counted.pan, PyBytes_AS_STRING(pan), <size_t>len(pan))
    memcpy(counted.terminal, PyBytes_AS_STRING(terminal), TERMINAL_ID_MAX)
    memcpy(counted.merchant, PyBytes_AS_STRING(merchant), MERCHANT_ID_MAX)
    return write_counted(out.at, out.size, number, &counted, age_ms)


def _counts_taken(_Room out not None, *, uint64_t next):
    return write_counts_taken(out.at, out.size, next)


def _outstanding(_Room out not None, *, uint16_t link, int currency, int64_t amount_minor):
    return write_outstanding(out.at, out.size, link, currency, amount_minor)


cdef int fill_claim(ClaimPart *part, dict values) except -1:
    cdef bytes terminal = values["terminal"]
    if len(terminal) != TERMINAL_ID_MAX:
        raise ValueError(f"terminal: needed {TERMINAL_ID_MAX} bytes, got {len(terminal)}")
    memset(part, 0, sizeof(ClaimPart))
    memcpy(part.terminal, PyBytes_AS_STRING(terminal), TERMINAL_ID_MAX)
    part.occasion = values["occasion"]
    part.amount_minor = values["amount_minor"]
    part.stan = values["stan"]
    part.partition = values["claimant"]
    part.currency = values["currency"]
    part.message_class = values["message_class"]
    part.kind = values["transaction_kind"]
    part.tag = values["tag"]
    return 0


cdef int fill_text(uint8_t *at, size_t size, bytes text) except -1:
    if <size_t>len(text) != size:
        raise ValueError(f"needed {size} bytes, got {len(text)}")
    memcpy(at, PyBytes_AS_STRING(text), size)
    return 0


def _claim(_Room out not None, *, uint16_t partition, bytes rrn not None, bytes merchant not None, bytes pan not None,
           **claim):
    cdef ClaimBody body
    memset(&body, 0, sizeof(body))
    fill_claim(&body.claim, claim)
    fill_text(body.rrn, sizeof(body.rrn), rrn)
    fill_text(body.merchant, sizeof(body.merchant), merchant)
    if len(pan) > <int>sizeof(body.pan):
        return -1
    body.pan_digits = <uint8_t>len(pan)
    memcpy(body.pan, PyBytes_AS_STRING(pan), <size_t>len(pan))
    return write_claim(out.at, out.size, partition, &body)


def _claimed(_Room out not None, *, uint16_t partition, int64_t position, uint32_t keeper, uint32_t age_s,
             uint16_t link, uint8_t reason, uint8_t flags, bytes rrn not None, bytes authorization_code not None,
             bytes data not None, **claim):
    cdef ClaimedBody body
    memset(&body, 0, sizeof(body))
    fill_claim(&body.claim, claim)
    if body.claim.partition != partition:
        return -1
    body.position, body.keeper, body.age_s = position, keeper, age_s
    body.link, body.reason, body.flags = link, reason, flags
    fill_text(body.rrn, sizeof(body.rrn), rrn)
    fill_text(body.authorization_code, sizeof(body.authorization_code), authorization_code)
    if len(data) > <int>REFERENCE_ROOM:
        return -1
    body.data_size = <uint8_t>len(data)
    memcpy(body.data, PyBytes_AS_STRING(data), <size_t>len(data))
    return write_claimed(out.at, out.size, &body)


def _claim_state(_Room out not None, *, uint16_t partition, int64_t position, int64_t approved_minor,
                 uint32_t claimant, uint32_t number, uint8_t state):
    cdef ClaimStateBody body
    memset(&body, 0, sizeof(body))
    body.position, body.approved_minor, body.partition = position, approved_minor, claimant
    body.number, body.state = number, state
    return write_claim_state(out.at, out.size, partition, &body)


def _claim_noted(_Room out not None, *, uint16_t partition, int64_t position, uint32_t keeper, uint32_t number):
    cdef ClaimNotedBody body = ClaimNotedBody(position, keeper, number)
    return write_claim_noted(out.at, out.size, partition, &body)


def _journal(_Room out not None, *, uint32_t partition, uint64_t epoch, uint32_t life, int64_t position):
    cdef MeshJournal journal = MeshJournal(partition, life, epoch, position)
    return write_journal(out.at, out.size, &journal)


cdef dict ENCODERS = {
    "hello": _hello,
    "terminal_open": _terminal_open,
    "terminal_frame": _terminal_frame,
    "terminal_closed": _terminal_closed,
    "answer": _answer,
    "told": _told,
    "handled": _handled,
    "hang_up": _hang_up,
    "link_send": _link_send,
    "link_frame": _link_frame,
    "link_state": _link_state,
    "ping": _ping,
    "pong": _pong,
    "counted": _counted,
    "counts_taken": _counts_taken,
    "outstanding": _outstanding,
    "claim": _claim,
    "claimed": _claimed,
    "claim_state": _claim_state,
    "claim_noted": _claim_noted,
    "journal": _journal,
}


def encode_record(str kind not None, size_t room=MESH_RECORD_BYTES_MAX, **values):
    """One record of ``kind``, made of ``values``."""
    cdef _Room out
    if kind not in ENCODERS:
        raise ValueError(f"{kind!r}: a record of the mesh is one of {', '.join(ENCODERS)}")
    out = _Room(room)
    size = ENCODERS[kind](out, **values)
    if size < 0:
        raise ValueError(f"{kind}: not within the limits of the mesh, or longer than {room} bytes")
    return bytes(out.memory[:size])


cdef bytes bytes_in(Span part):
    return PyBytes_FromStringAndSize(<const char *>part.at, <Py_ssize_t>part.size)


cdef dict owned_by(const MeshRecord *hello):
    cdef uint32_t i
    cdef MeshJournal journal
    owned = {}
    for i in range(hello.owned_count):
        if owned_partition(hello, i, &journal) == 0:
            owned[journal.partition] = (journal.epoch, journal.life, journal.position)
    return owned


cdef dict values_of(const MeshRecord *record):
    terminal = {"slot": record.terminal.slot, "generation": record.terminal.generation}
    if record.type == MESH_HELLO:
        return {"worker": record.worker, "partitions": record.partitions, "digest": bytes_in(record.digest),
                "node": bytes_in(record.node).decode("ascii"), "owned": owned_by(record),
                "asks": bool(record.state)}
    if record.type == MESH_TERMINAL_OPEN:
        return terminal | {"listener": record.number, "peer": bytes_in(record.peer).decode("ascii"),
                           "name": bytes_in(record.name)}
    if record.type == MESH_TERMINAL_FRAME:
        return terminal | {"partition": record.number, "headers": bytes_in(record.headers),
                           "message": bytes_in(record.message)}
    if record.type in (MESH_TERMINAL_CLOSED, MESH_TOLD):
        return terminal | {"told": record.count}
    if record.type == MESH_ANSWER:
        return terminal | {"frame": bytes_in(record.frame)}
    if record.type == MESH_HANDLED:
        return terminal | {"handled": record.count, "in_flight": record.in_flight}
    if record.type == MESH_HANG_UP:
        return terminal | {"reason": bytes_in(record.reason).decode("utf-8", "replace")}
    if record.type == MESH_LINK_SEND:
        return {"link": record.number, "frame": bytes_in(record.frame)}
    if record.type == MESH_LINK_FRAME:
        return {"link": record.number, "headers": bytes_in(record.headers), "message": bytes_in(record.message)}
    if record.type == MESH_LINK_STATE:
        return {"link": record.number, "state": record.state, "connections": record.connections}
    if record.type == MESH_COUNTED:
        return values_of_counted(record)
    if record.type == MESH_COUNTS_TAKEN:
        return {"next": record.token}
    if record.type == MESH_JOURNAL:
        return {"partition": record.journal.partition, "epoch": record.journal.epoch, "life": record.journal.life,
                "position": record.journal.position}
    if record.type == MESH_OUTSTANDING:
        return {"link": record.number, "currency": record.currency, "amount_minor": record.amount_minor}
    if record.type in (MESH_CLAIM, MESH_CLAIMED):
        return values_of_claim(record)
    if record.type in (MESH_CLAIM_STATE, MESH_CLAIM_NOTED):
        return values_of_state(record)
    return {"token": record.token}


cdef dict claim_in(const ClaimPart *part):
    return {"terminal": part.terminal[:TERMINAL_ID_MAX], "occasion": part.occasion, "amount_minor": part.amount_minor,
            "stan": part.stan, "currency": part.currency, "message_class": part.message_class,
            "transaction_kind": part.kind, "tag": part.tag}


cdef dict values_of_claim(const MeshRecord *record):
    cdef ClaimBody claim
    cdef ClaimedBody claimed
    if record.type == MESH_CLAIM and claim_body(record, &claim) == 0:
        return claim_in(&claim.claim) | {
            "partition": record.number, "claimant": claim.claim.partition, "rrn": claim.rrn[:sizeof(claim.rrn)],
            "merchant": claim.merchant[:sizeof(claim.merchant)], "pan": claim.pan[:claim.pan_digits]}
    if record.type == MESH_CLAIMED and claimed_body(record, &claimed) == 0:
        return claim_in(&claimed.claim) | {
            "partition": record.number, "claimant": claimed.claim.partition, "position": claimed.position,
            "keeper": claimed.keeper, "age_s": claimed.age_s, "link": claimed.link,
            "reason": claimed.reason, "flags": claimed.flags,
            "rrn": claimed.rrn[:sizeof(claimed.rrn)],
            "authorization_code": claimed.authorization_code[:sizeof(claimed.authorization_code)],
            "data": claimed.data[:claimed.data_size]}
    raise ValueError("it has changed since it was read")


cdef dict values_of_state(const MeshRecord *record):
    cdef ClaimStateBody said
    cdef ClaimNotedBody noted
    if record.type == MESH_CLAIM_STATE and claim_state_body(record, &said) == 0:
        return {"partition": record.number, "position": said.position, "approved_minor": said.approved_minor,
                "claimant": said.partition, "number": said.number, "state": said.state}
    if record.type == MESH_CLAIM_NOTED and claim_noted_body(record, &noted) == 0:
        return {"partition": record.number, "position": noted.position, "keeper": noted.keeper,
                "number": noted.number}
    raise ValueError("it has changed since it was read")


cdef dict values_of_counted(const MeshRecord *record):
    cdef Counted counted
    if counted_by(record, UINT64_MAX, &counted) != 0:
        raise ValueError("it has changed since it was read")
    return {"number": record.token, "link": counted.link, "amount_minor": counted.amount_minor,
            "age_ms": <uint64_t>UINT64_MAX - counted.moment_ms, "currency": counted.currency,
            "transaction_kind": counted.kind,
            "is_stand_in": bool(counted.is_stand_in), "is_taken_back": bool(counted.is_taken_back),
            "is_declined": bool(counted.is_declined), "entry_mode": counted.entry_mode,
            "pan": counted.pan[:counted.pan_digits], "terminal": counted.terminal[:TERMINAL_ID_MAX],
            "merchant": counted.merchant[:MERCHANT_ID_MAX]}


cdef tuple record_value(const MeshRecord *record):
    return NAMES[record.type], values_of(record), record.size


def decode_record(const uint8_t[::1] data not None, size_t size_max=MESH_RECORD_BYTES_MAX):
    """The record at the beginning of bytes: type, values and size; None when it is not all there."""
    cdef MeshRecord record
    cdef MeshFault fault
    cdef const uint8_t *at = &data[0] if data.shape[0] else NULL
    cdef int status = read_record(at, <size_t>data.shape[0], size_max, &record, &fault)
    if status < 0:
        raise mesh_fault_error(&fault)
    if status != MESH_COMPLETE:
        return None
    return record_value(&record)
