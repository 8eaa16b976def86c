"""Single steps of the hot path, many times in a loop without Python: what one costs by itself.

``bench.building`` compiles this when a suite asks for it; the switch has nothing of it.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from switch.crypto.mac cimport MAC_SIZE_MAX, Mac, MacEngine, MacKey, MacPart
from switch.dialect.kinds cimport KIND_UNKNOWN
from switch.dialect.tables cimport DialectTables
from switch.tables.registry cimport TERMINAL_ID_MAX, TERMINAL_NONE, Registry
from switch.tables.routes cimport ROUTE_NONE, RouteTable
from switch.wire.framing cimport Frame, FrameStream, Framing
from switch.wire.scan cimport Fault, MessageIndex, fault_error, scan_message
from switch.wire.spec cimport Spec
from switch.wire.translate cimport Composer, Slots, Sources, fill_slot, sources_of

from switch.wire.slots import SLOTS

cdef enum:
    COMPOSED_ROOM = 8192      # bytes


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
