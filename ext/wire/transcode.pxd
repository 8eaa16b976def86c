"""Writing one field of a message in the encoding of its destination."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.wire.cursor cimport Writer
from switch.wire.scan cimport Fault
from switch.wire.spec cimport FieldSpec

cdef enum:
    MTI_DIGITS = 4

cdef enum StepSource:
    FROM_REQUEST
    FROM_ANSWER
    FROM_SLOT
    FROM_CONSTANT
    FROM_MAC                  # the place for the MAC: always there

cdef enum Operation:
    PUT_WIRE                  # bytes made ready when the step was compiled, length included
    COPY_WHOLE                # length and data as they are: both sides write the field alike
    COPY                      # the data as they are, under a new length
    PACK                      # ASCII digits to nibbles, as many as there are
    UNPACK                    # nibbles to ASCII digits, as many as there are
    COPY_TEXT                 # ASCII characters that have to be checked: copied, or converted where they do not fit
    PACK_TEXT                 # the same for digits that are packed
    CONVERT                   # anything to anything, by way of ASCII characters: checked, padded, transcoded

cdef enum Sign:               # how a field of class x+n begins
    SIGN_NONE
    SIGN_CHARACTER            # C or D, one character or nibble
    SIGN_BYTE                 # the ASCII byte of C or D before packed digits

cdef struct CompiledStep:
    const FieldSpec *target
    const FieldSpec *origin   # how the value stands in the request or answer; NULL when it is ASCII characters
    const uint8_t *wire       # of PUT_WIRE
    uint32_t wire_size
    uint32_t characters       # canonical characters of a fixed target
    uint32_t limit            # largest length of a variable target, in its own unit
    uint16_t next             # number of the first step of the next field
    uint8_t field
    uint8_t source            # StepSource
    uint8_t argument          # number of the source's field or slot
    uint8_t operation
    uint8_t check             # Content that the characters must be of; CONTENT_ANY: nothing to check
    uint8_t padding           # Content that says how a fixed target is filled up
    uint8_t sign_in           # Sign
    uint8_t sign_out
    uint8_t filler_in         # track 2 in whole bytes may end with the filler F


cdef inline int fail(Fault *fault, int code, int field, size_t position, size_t needed,
                     size_t available) noexcept nogil:
    """Fill a fault; -1, for a caller to hand on."""
    fault.code = code
    fault.field = field
    fault.position = <uint32_t>position
    fault.needed = <uint32_t>needed
    fault.available = <uint32_t>available
    return -1


# Write length and data of one field from a value of ``size`` bytes at ``data`` (``count`` in its own unit), by
# ``step.operation``, which is COPY or one that follows it; 0, or -1 with ``fault`` filled.
cdef int put_field(const CompiledStep *step, const uint8_t *data, uint32_t size, uint32_t count, Writer *writer,
                   Fault *fault) noexcept nogil

# Write an MTI of four ASCII digits into ``spec.fixed_bytes``; 0, or -1 when it is not digits.
cdef int put_type(const FieldSpec *spec, const uint8_t *mti, uint8_t *out) noexcept nogil

cdef inline uint32_t type_number(const uint8_t *mti) noexcept nogil:
    """An MTI of four ASCII digits as a number."""
    return ((<uint32_t>mti[0] - 0x30) * 1000 + (<uint32_t>mti[1] - 0x30) * 100 + (<uint32_t>mti[2] - 0x30) * 10
            + (<uint32_t>mti[3] - 0x30))

# Write 64 bits into ``spec.fixed_bytes``, the first field's as the highest: 8 bytes, or 16 hex digits.
cdef void put_bitmap(const FieldSpec *spec, uint64_t bits, uint8_t *out) noexcept nogil
