"""Single steps of the hot path, many times in a loop without Python: what one costs by itself.

``bench.building`` compiles this when a suite asks for it; the switch has nothing of it.
"""

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset

from switch.crypto.mac cimport MAC_SIZE_MAX, Mac, MacEngine, MacKey, MacPart
from switch.dialect.kinds cimport KIND_UNKNOWN
from switch.dialect.tables cimport DialectTables
from switch.io.sockets cimport MSG_NOSIGNAL, epoll_event, epoll_wait, recv, send
from switch.mesh.record_decoder cimport mesh_fault_error, read_record
from switch.mesh.record_encoder cimport write_answer, write_terminal_frame
from switch.mesh.records cimport (
    MESH_COMPLETE,
    MESH_RECORD_BYTES_MAX,
    MESH_TERMINAL_FRAME,
    MeshFault,
    MeshRecord,
    MeshTerminal,
    Span,
    answer_bytes,
    terminal_frame_bytes,
)
from switch.mesh.ring cimport RingPair
from switch.tables.identifiers cimport TERMINAL_ID_MAX, TERMINAL_NONE
from switch.tables.registry cimport Registry
from switch.tables.routes cimport ROUTE_NONE, RouteTable
from switch.wire.framing cimport Frame, FrameStream, Framing
from switch.wire.scan cimport Fault, MessageIndex, fault_error, scan_message
from switch.wire.spec cimport Spec
from switch.wire.translate cimport Composer, Slots, Sources, fill_slot, sources_of

from switch.wire.slots import SLOTS

cdef enum:
    COMPOSED_ROOM = 8192      # bytes
    SOCKET_ROOM = 1 << 17     # bytes
    WAIT_MS = 10_000


def walk_frames(Framing framing not None, bytes chunk not None, int rounds):
    """Walk the frames of one chunk; how many were met in all rounds."""
    cdef FrameStream stream = FrameStream(framing)
    cdef const uint8_t *data = chunk
    cdef size_t size = len(chunk)
    cdef Frame frame
    cdef uint64_t count = 0
    with nogil:
        for _ in range(rounds):
            stream.begin(data, size)
            while stream.next(&frame) > 0:
                count += 1
            stream.end()
    return count


def scan(bytes message not None, Spec spec not None, int rounds):
    """Scan one message."""
    cdef MessageIndex index
    cdef Fault fault
    cdef const uint8_t *data = message
    cdef size_t size = len(message)
    cdef int status = 0
    with nogil:
        for _ in range(rounds):
            status = scan_message(spec, data, size, &index, &fault)
    if status < 0:
        raise fault_error(&fault)


def classify(DialectTables tables not None, bytes message not None, int rounds):
    """Tell the kind of one message."""
    cdef MessageIndex index
    cdef Fault fault
    cdef int kind = KIND_UNKNOWN
    if scan_message(tables.spec, message, len(message), &index, &fault) < 0:
        raise fault_error(&fault)
    with nogil:
        for _ in range(rounds):
            kind = tables.classify(&index)
    return kind


def compute_macs(list macs not None, bytes message not None, int rounds):
    """Make the MAC of one message, with each key in turn."""
    cdef MacEngine engine = MacEngine()
    cdef MacKey *keys = <MacKey *>calloc(len(macs), sizeof(MacKey))
    cdef uint8_t mac[MAC_SIZE_MAX]
    cdef MacPart part = MacPart(<const uint8_t *>message, <size_t>len(message))
    cdef int count = <int>len(macs)
    cdef int i
    if keys == NULL:
        raise MemoryError
    for i in range(count):
        keys[i] = (<Mac?>macs[i]).key
    with nogil:
        for i in range(rounds):
            engine.compute(&keys[i % count], &part, 1, mac)
    free(keys)


def find_terminals(Registry registry not None, const uint8_t[::1] ids not None):
    """Look up every 8-byte field 41 of a buffer; how many were found."""
    cdef Py_ssize_t count = ids.shape[0] // TERMINAL_ID_MAX
    cdef Py_ssize_t number
    cdef size_t found = 0
    cdef const uint8_t *start = &ids[0]
    with nogil:
        for number in range(count):
            found += registry.find_terminal(start + number * TERMINAL_ID_MAX, TERMINAL_ID_MAX) != (
                <unsigned int>TERMINAL_NONE)
    return found


def find_routes(RouteTable table not None, const uint8_t[::1] pans not None, int digits, int kind):
    """Search for every PAN of a buffer, ``digits`` bytes each; how many were found."""
    cdef Py_ssize_t count = pans.shape[0] // digits
    cdef Py_ssize_t card
    cdef size_t found = 0
    cdef const uint8_t *start = &pans[0]
    with nogil:
        for card in range(count):
            found += table.find(start + card * digits, digits, kind, 0, -1) != ROUTE_NONE
    return found


def compose(Composer composer not None, bytes request not None, dict slots not None, int rounds):
    """Compose one message from a request; its size in bytes."""
    cdef MessageIndex index
    cdef Slots values
    cdef Sources sources
    cdef Fault fault
    cdef uint8_t out[COMPOSED_ROOM]
    cdef list kept = []       # the slots' texts, which are borrowed
    cdef bytes text
    cdef int size = 0
    if scan_message(composer.request, request, len(request), &index, &fault) < 0:
        raise fault_error(&fault)
    memset(&values, 0, sizeof(Slots))
    for name, value in slots.items():
        text = value.encode("ascii")
        kept.append(text)
        fill_slot(&values, SLOTS.index(name), text, <int>len(text))
    sources = sources_of(&index, NULL, &values)
    with nogil:
        for _ in range(rounds):
            size = composer.compose(&sources, out, sizeof(out), NULL, &fault)
    if size < 0:
        raise fault_error(&fault)
    return size


# --- the mesh ---------------------------------------------------------------------------------------------------------

cdef MeshTerminal TERMINAL = MeshTerminal(1, 1)


cdef int put_frames(RingPair pair, Span message, int count) noexcept nogil:
    """Write requests to a ring, and wake the peer once; -1 without room."""
    cdef uint8_t *at
    cdef int size
    for _ in range(count):
        at = pair.outgoing.reserve(terminal_frame_bytes(0, message.size))
        if at == NULL:
            return -1
        size = write_terminal_frame(at, pair.outgoing.size, &TERMINAL, 0, Span(NULL, 0), message)
        pair.outgoing.commit(<size_t>size)
    pair.wake_peer()
    return 0


cdef int take_records(RingPair pair, bint answers) noexcept nogil:
    """Read all records of a ring, and answer each where asked to; how many there were, -1 for a fault."""
    cdef MeshRecord record
    cdef MeshFault fault
    cdef size_t size
    cdef const uint8_t *data = pair.incoming.peek(&size)
    cdef size_t used = 0
    cdef uint8_t *at
    cdef int count = 0
    while read_record(data + used, size - used, MESH_RECORD_BYTES_MAX, &record, &fault) == MESH_COMPLETE:
        used += record.size
        count += 1
        if answers:
            at = pair.outgoing.reserve(answer_bytes(record.message.size))
            if at == NULL:
                return -1
            pair.outgoing.commit(<size_t>write_answer(at, pair.outgoing.size, &record.terminal, record.message))
    pair.incoming.consume(used)
    return count if used == size else -1


cdef int wait_for(int epoll) noexcept nogil:
    """Sleep until the peer wakes us, by an edge; -1 when nobody does."""
    cdef epoll_event event
    return 0 if epoll_wait(epoll, &event, 1, WAIT_MS) > 0 else -1


cdef int wait_for_ring(RingPair pair, int epoll) noexcept nogil:
    """The same, if there is nothing in the ring."""
    if pair.may_sleep() and wait_for(epoll) < 0:
        return -1
    pair.awake()
    return 0


def pass_records(RingPair ours not None, RingPair theirs not None, bytes message not None, int batch, int rounds):
    """Requests through a ring within one process, where the reader sleeps before each batch."""
    cdef Span part = Span(<const uint8_t *>message, <size_t>len(message))
    cdef int count = 0
    with nogil:
        for _ in range(rounds):
            theirs.may_sleep()
            if put_frames(ours, part, batch) < 0:
                break
            theirs.awake()
            count += take_records(theirs, False)
            theirs.wake_peer()
    if count != batch * rounds:
        raise ValueError(f"{count} records of {batch * rounds} came through")


def ask_by_ring(RingPair pair not None, int epoll, bytes message not None, int batch, int rounds):
    """Send requests to another process in batches, sleep, and wait for the answers to all of them."""
    cdef Span part = Span(<const uint8_t *>message, <size_t>len(message))
    cdef int answered = 0
    cdef int count
    with nogil:
        for _ in range(rounds):
            if put_frames(pair, part, batch) < 0:
                break
            answered = 0
            while answered < batch:
                if wait_for_ring(pair, epoll) < 0:
                    break
                count = take_records(pair, False)
                if count < 0:
                    break
                answered += count
            if answered < batch:
                break
    if answered != batch:
        raise ValueError("not every request was answered")


def serve_ring(RingPair pair not None, int epoll, int64_t requests):
    """Answer requests as they come, one wake-up for all that have come; until so many were answered."""
    cdef int count = 0
    with nogil:
        while requests > 0 and count >= 0:
            if wait_for_ring(pair, epoll) < 0:
                break
            count = take_records(pair, True)
            pair.wake_peer()
            requests -= count
    if requests:
        raise ValueError(f"{requests} requests are missing")


cdef int64_t take_from_socket(int fd, uint8_t *kept, size_t *kept_size, uint8_t *out, size_t *out_size) noexcept nogil:
    """Read what is there, and compose an answer to each request; how many records there were, -1 at the end."""
    cdef MeshRecord record
    cdef MeshFault fault
    cdef size_t used = 0
    cdef int64_t count = 0
    cdef ssize_t came = recv(fd, kept + kept_size[0], SOCKET_ROOM - kept_size[0], 0)
    if came <= 0:
        return 0 if came < 0 and errno == EAGAIN else -1
    kept_size[0] += <size_t>came
    out_size[0] = 0
    while read_record(kept + used, kept_size[0] - used, MESH_RECORD_BYTES_MAX, &record, &fault) == MESH_COMPLETE:
        used += record.size
        count += 1
        if record.type == MESH_TERMINAL_FRAME:
            out_size[0] += <size_t>write_answer(out + out_size[0], SOCKET_ROOM - out_size[0], &record.terminal,
                                                record.message)
    kept_size[0] -= used
    memmove(kept, kept + used, kept_size[0])
    return count


cdef int send_all(int fd, const uint8_t *data, size_t size) noexcept nogil:
    cdef ssize_t sent
    while size:
        sent = send(fd, data, size, MSG_NOSIGNAL)
        if sent < 0:
            return -1
        data += sent
        size -= <size_t>sent
    return 0


def ask_by_socket(int fd, int epoll, bytes message not None, int batch, int rounds):
    """The same as ``ask_by_ring`` through a stream socket."""
    cdef Span part = Span(<const uint8_t *>message, <size_t>len(message))
    cdef uint8_t *kept = <uint8_t *>calloc(2, SOCKET_ROOM)
    cdef uint8_t *out = kept + SOCKET_ROOM
    cdef size_t kept_size = 0, size, ignored
    cdef int64_t answered = 0, count
    if kept == NULL:
        raise MemoryError
    with nogil:
        for _ in range(rounds):
            size = 0
            for _ in range(batch):
                size += <size_t>write_terminal_frame(out + size, SOCKET_ROOM - size, &TERMINAL, 0, Span(NULL, 0), part)
            if send_all(fd, out, size) < 0:
                break
            answered = 0
            while answered < batch:
                if wait_for(epoll) < 0:
                    break
                count = take_from_socket(fd, kept, &kept_size, out, &ignored)
                if count < 0:
                    break
                answered += count
            if answered < batch:
                break
    free(kept)
    if answered != batch:
        raise ValueError("not every request was answered")


def serve_socket(int fd, int epoll, int64_t requests):
    """The same as ``serve_ring`` through a stream socket."""
    cdef uint8_t *kept = <uint8_t *>calloc(2, SOCKET_ROOM)
    cdef uint8_t *out = kept + SOCKET_ROOM
    cdef size_t kept_size = 0, size = 0
    cdef int64_t count = 0
    if kept == NULL:
        raise MemoryError
    with nogil:
        while requests > 0 and count >= 0:
            if wait_for(epoll) < 0:
                break
            count = take_from_socket(fd, kept, &kept_size, out, &size)
            requests -= count
            if count > 0 and send_all(fd, out, size) < 0:
                break
    free(kept)
    if requests:
        raise ValueError(f"{requests} requests are missing")


def read_records(bytes stream not None, int rounds):
    """Read the records of a stream; how many there were in all rounds."""
    cdef MeshRecord record
    cdef MeshFault fault
    cdef const uint8_t *data = stream
    cdef size_t size = <size_t>len(stream)
    cdef size_t used = 0
    cdef int status = MESH_COMPLETE
    cdef uint64_t count = 0
    with nogil:
        for _ in range(rounds):
            used = 0
            while used < size:
                status = read_record(data + used, size - used, MESH_RECORD_BYTES_MAX, &record, &fault)
                if status != MESH_COMPLETE:
                    break
                used += record.size
                count += 1
    if status < 0:
        raise mesh_fault_error(&fault)
    return count
