"""What the journal and the store-and-forward entries keep of a terminal's request, beside its bytes."""

from libc.string cimport memcpy, memset
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX
from switch.tables.registry cimport Terminal


cdef void pack_digits(const uint8_t *digits, int count, uint8_t *packed) noexcept nogil:
    cdef int i
    memset(packed, 0, PAN_PACKED_BYTES)
    for i in range(min(count, 2 * PAN_PACKED_BYTES)):
        packed[i // 2] |= (digits[i] & 15) << (0 if i & 1 else 4)


cdef void unpack_digits(const uint8_t *packed, int count, uint8_t *digits) noexcept nogil:
    cdef int i
    for i in range(min(count, 2 * PAN_PACKED_BYTES)):
        digits[i] = 0x30 + ((packed[i // 2] >> (0 if i & 1 else 4)) & 15)


cdef void fill_request(RequestPart *part, Registry registry, const Outcome *outcome) noexcept nogil:
    cdef const Terminal *terminal = registry.terminal(outcome.key.terminal)
    memset(part, 0, sizeof(RequestPart))
    part.occasion = outcome.key.occasion
    part.stan = outcome.key.stan
    part.message_class = <uint16_t>outcome.key.message_class
    part.listener = outcome.listener
    part.currency = outcome.currency
    part.kind = outcome.kind
    part.pan_digits = outcome.pan_digits
    part.amount_minor = outcome.amount_minor
    pack_digits(outcome.pan, outcome.pan_digits, part.pan)
    memcpy(part.terminal, terminal.id, TERMINAL_ID_MAX)
    memcpy(part.merchant, registry.merchant(outcome.merchant).id, MERCHANT_ID_MAX)
    part.named_size = sizeof(part.named_at) + sizeof(part.refers_to) + sizeof(part.entry_mode)
    part.named_at = outcome.named_at
    part.refers_to = outcome.refers_to
    part.entry_mode = outcome.entry_mode
