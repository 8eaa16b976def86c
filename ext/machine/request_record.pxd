"""What the journal and the store-and-forward entries keep of a terminal's request, beside its bytes."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.machine.duplicate cimport Outcome
from switch.tables.registry cimport Registry

cdef enum:
    PAN_PACKED_BYTES = 10
    TERMINAL_BYTES = 8
    MERCHANT_BYTES = 15


cdef packed struct RequestPart:
    uint64_t occasion
    uint32_t stan             # the terminal's
    uint16_t message_class
    uint16_t listener
    uint16_t currency         # ISO 4217, numeric; 0: none
    uint8_t kind
    uint8_t pan_digits
    int64_t amount_minor      # -1: none
    uint8_t pan[PAN_PACKED_BYTES]     # two digits a byte, the first one high
    uint8_t terminal[TERMINAL_BYTES]
    uint8_t merchant[MERCHANT_BYTES]
    uint8_t named_size        # of what follows: 17; 16 in format 4, without the entry mode; 8 in format 3; before, 0
    int64_t named_at          # date and time by which a reversal names it, their digits as a number; 0: not known
    int64_t refers_to         # position of the INTENT or ADVICE of its original; 0: none that is known
    uint8_t entry_mode        # how its card was read, by its place in ``ENTRY_MODES``; 0: not known


cdef void fill_request(RequestPart *part, Registry registry, const Outcome *outcome) noexcept nogil
"""What a record says of a terminal's request."""

cdef void pack_digits(const uint8_t *digits, int count, uint8_t *packed) noexcept nogil
"""Two digits a byte, the first one high; the rest of ``PAN_PACKED_BYTES`` is zeros."""

cdef void unpack_digits(const uint8_t *packed, int count, uint8_t *digits) noexcept nogil
