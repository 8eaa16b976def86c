"""The mesh's records, version 3: what workers tell each other. ``docs/mesh.md`` has them byte by byte.

A record is a head of 8 bytes, a fixed body, parts of any size, and zeros up to the next multiple of 8. All integers are
little-endian. Each record can be written in one way only, so what is read and written again is the same bytes.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.tables.count_log cimport COUNTED_PAN_MAX
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX
from switch.wire.framing cimport FRAME_HEADERS_MAX

cdef enum:
    MESH_VERSION = 3
    MESH_HEAD_BYTES = 8
    MESH_ALIGNMENT_BYTES = 8
    MESH_DIGEST_BYTES = 32
    MESH_NODE_BYTES_MAX = 64          # of a node's name, ASCII
    MESH_WORKERS_MAX = 1024           # of a node
    MESH_PARTITIONS_MAX = 1024        # of all nodes together
    MESH_PEER_BYTES_MAX = 45          # of an IP address as text
    MESH_NAME_BYTES_MAX = 256         # of a common name: 64 characters (RFC 5280, ub-common-name), UTF-8
    MESH_MESSAGE_BYTES_MAX = 65535    # the most that a framing may be told to take
    MESH_FRAME_BYTES_MAX = 4 + FRAME_HEADERS_MAX + MESH_MESSAGE_BYTES_MAX + 1    # with length, headers and trailer
    MESH_REASON_BYTES_MAX = 256       # UTF-8
    MESH_LINK_STATE_MAX = 2           # LINK_SUSPENDED of switch.machine.link_connections
    MESH_KINDS = 64                   # of transactions
    MESH_CURRENCY_MAX = 999
    MESH_STAN_MAX = 999_999
    MESH_RECORD_BYTES_MAX = 65632     # the longest, an ANSWER: head, body, frame, padding

cdef enum MeshType:
    MESH_HELLO = 1
    MESH_TERMINAL_OPEN
    MESH_TERMINAL_FRAME
    MESH_TERMINAL_CLOSED
    MESH_ANSWER
    MESH_TOLD
    MESH_HANDLED
    MESH_HANG_UP
    MESH_LINK_SEND
    MESH_LINK_FRAME
    MESH_LINK_STATE
    MESH_PING
    MESH_PONG
    MESH_COUNTED
    MESH_COUNTS_TAKEN
    MESH_OUTSTANDING
    MESH_CLAIM
    MESH_CLAIMED
    MESH_CLAIM_STATE
    MESH_CLAIM_NOTED
    MESH_JOURNAL = 21

cdef enum MeshStatus:
    MESH_INCOMPLETE = 0
    MESH_COMPLETE = 1
    MESH_FAULTY = -1

cdef enum MeshFaultCode:
    MESH_FAULT_NONE = 0
    MESH_FAULT_TOO_SHORT      # fewer bytes than there must be
    MESH_FAULT_TOO_LONG       # more bytes than there may be
    MESH_FAULT_ALIGNMENT      # a size that is no multiple of 8
    MESH_FAULT_TYPE           # a type that this version does not have
    MESH_FAULT_VERSION
    MESH_FAULT_TOO_SMALL      # a number below its limit
    MESH_FAULT_TOO_LARGE      # a number above its limit
    MESH_FAULT_NOT_ZERO       # a reserved byte, or one of the padding
    MESH_FAULT_SUM            # the parts do not make the record's size
    MESH_FAULT_TEXT           # a byte that the text must not have
    MESH_FAULT_ORDER          # partitions that do not ascend


cdef packed struct MeshHead:
    uint32_t size             # of the whole record, padding included: a multiple of 8
    uint8_t type              # MeshType
    uint8_t reserved
    uint16_t number           # of a listener, partition or link; 0 where the type has none

cdef packed struct MeshTerminal:      # a connection, as its front end numbers it
    uint32_t slot
    uint32_t generation       # tells a reused slot from the connection that had it before

cdef packed struct MeshJournal:       # of a partition: one of a HELLO, or what a JOURNAL says
    uint32_t partition
    uint32_t life
    uint64_t epoch            # 0: there is none, or nobody has heard of it
    int64_t position          # HELLO: where this life began; JOURNAL: how far it is, or was, durable

# Bodies, behind the head; those of claims are in ``switch.machine.claims``.

cdef packed struct HelloBody:
    uint32_t version
    uint32_t worker
    uint32_t partitions       # of all nodes together
    uint32_t owned_count      # MeshJournal as many times follow, then the node's name
    uint8_t digest[MESH_DIGEST_BYTES]
    uint8_t node_size
    uint8_t asks              # 1: it wants to hear of its journals, and nothing more
    uint8_t reserved[6]

cdef packed struct OpenBody:          # the peer's address follows, then the name
    MeshTerminal terminal
    uint16_t name_size
    uint8_t peer_size
    uint8_t reserved[5]

cdef packed struct FrameBody:         # headers follow, then the message
    MeshTerminal terminal
    uint32_t headers_size
    uint32_t message_size

cdef packed struct CountBody:
    MeshTerminal terminal
    uint64_t count

cdef packed struct BytesBody:         # the bytes follow
    MeshTerminal terminal
    uint32_t size
    uint32_t reserved

cdef packed struct HandledBody:
    MeshTerminal terminal
    uint64_t count
    uint32_t in_flight
    uint32_t reserved

cdef packed struct LinkSendBody:      # the frame follows
    uint32_t size
    uint32_t reserved

cdef packed struct LinkFrameBody:     # headers follow, then the message
    uint32_t headers_size
    uint32_t message_size

cdef packed struct LinkStateBody:
    uint8_t state
    uint8_t reserved[3]
    uint32_t connections

cdef packed struct PingBody:
    uint64_t token

cdef enum MeshCounted:                # bits
    MESH_COUNTED_STAND_IN = 1
    MESH_COUNTED_TAKEN_BACK = 2
    MESH_COUNTED_DECLINED = 4

cdef packed struct CountedBody:
    uint64_t number           # of this count, among those of its sender
    int64_t amount_minor
    uint64_t age_ms           # since it was counted
    uint32_t currency
    uint8_t kind
    uint8_t how               # MeshCounted
    uint8_t pan_size
    uint8_t entry_mode
    uint8_t pan[COUNTED_PAN_MAX]
    uint8_t terminal[TERMINAL_ID_MAX]
    uint8_t merchant[MERCHANT_ID_MAX]
    uint8_t padding[6]

cdef packed struct OutstandingBody:
    int64_t amount_minor
    uint32_t currency
    uint32_t reserved


cdef struct Span:             # bytes that lie somewhere, borrowed
    const uint8_t *at
    size_t size


cdef struct MeshHello:        # to be written; of one that was read the owned partitions are asked for one by one
    uint32_t worker
    uint32_t partitions
    uint32_t owned_count
    const MeshJournal *owned  # ascending
    bint asks
    const uint8_t *digest     # MESH_DIGEST_BYTES
    Span node


cdef struct MeshRecord:       # one that was read: what its type does not have is zero
    uint8_t type              # MeshType
    uint32_t size             # bytes that it takes from the stream; when incomplete and known already, those it needs
    uint16_t number           # TERMINAL_OPEN: listener; TERMINAL_FRAME, CLAIM*: partition; LINK_*: link
    MeshTerminal terminal     # TERMINAL_*, ANSWER, TOLD, HANDLED, HANG_UP
    uint64_t count            # TERMINAL_CLOSED, TOLD: frames that left; HANDLED: looked at; all since the opening
    uint32_t in_flight        # HANDLED: frames of these not answered yet
    uint8_t state             # LINK_STATE: switch.machine.link_connections.LinkState; HELLO: 1 where it only asks
    uint32_t connections      # LINK_STATE
    uint64_t token            # PING, PONG; COUNTS_TAKEN: number of the next one; COUNTED: its own
    int64_t amount_minor      # OUTSTANDING
    uint32_t currency         # OUTSTANDING
    const uint8_t *counted    # COUNTED: ``counted_by`` (switch.mesh.record_decoder) gives it
    const uint8_t *claim      # CLAIM*: ``claim_body`` and its like (switch.mesh.record_decoder) give it
    Span peer                 # TERMINAL_OPEN: IP address as text, may be empty
    Span name                 # TERMINAL_OPEN: the certificate's common name, empty: none
    Span headers              # TERMINAL_FRAME, LINK_FRAME
    Span message              # TERMINAL_FRAME, LINK_FRAME
    Span frame                # ANSWER, LINK_SEND
    Span reason               # HANG_UP
    Span node                 # HELLO
    Span digest               # HELLO
    uint32_t worker           # HELLO
    uint32_t partitions       # HELLO
    uint32_t owned_count      # HELLO: entries that ``owned_partition`` (switch.mesh.record_decoder) gives
    const uint8_t *owned      # HELLO
    MeshJournal journal       # JOURNAL


cdef struct MeshFault:
    uint8_t code              # MeshFaultCode
    uint8_t type              # of the record, as it says
    uint32_t position         # byte, from the start of the record
    uint64_t needed
    uint64_t available


cdef inline size_t padded(size_t size) noexcept nogil:
    """A size with the zeros behind it."""
    return (size + (MESH_ALIGNMENT_BYTES - 1)) & ~<size_t>(MESH_ALIGNMENT_BYTES - 1)


# Sizes of whole records, for who reserves room before he writes.

cdef inline size_t terminal_frame_bytes(size_t headers_size, size_t message_size) noexcept nogil:
    return padded(MESH_HEAD_BYTES + sizeof(FrameBody) + headers_size + message_size)


cdef inline size_t answer_bytes(size_t frame_size) noexcept nogil:
    return padded(MESH_HEAD_BYTES + sizeof(BytesBody) + frame_size)


cdef inline size_t link_send_bytes(size_t frame_size) noexcept nogil:
    return padded(MESH_HEAD_BYTES + sizeof(LinkSendBody) + frame_size)


cdef inline size_t link_frame_bytes(size_t headers_size, size_t message_size) noexcept nogil:
    return padded(MESH_HEAD_BYTES + sizeof(LinkFrameBody) + headers_size + message_size)


cdef extern from *:
    """
    #define MESH_TAKEN() __asm__ __volatile__("" ::: "memory")
    """
    # What was copied before is not read again: where the bytes lie another process may write at any time.
    void MESH_TAKEN() noexcept nogil
