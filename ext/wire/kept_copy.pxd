"""Copies of messages that are kept: composed without the fields that nobody may keep, so that each of them is a whole
message, of its own dialect, whatever it has lost."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.wire.cursor cimport lowest_bit
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

# Sets of fields are three words, in which a field is the bit that it is in ``MessageIndex.present``.

cdef int fill_fields(uint64_t *fields, object numbers) except -1
"""Make a set of field numbers, 2 to 192.

Raises:
    ValueError: a number is none of a field.
"""


cdef inline bint has_any_of(const MessageIndex *message, const uint64_t *fields) noexcept nogil:
    """Whether a message has a field of the set."""
    return (message.present[0] & fields[0] | message.present[1] & fields[1] | message.present[2] & fields[2]) != 0


cdef uint32_t keep_copy(Spec spec, const MessageIndex *message, const uint64_t *unkept, uint8_t *out) noexcept nogil
"""Copy a message without the fields of a set: its bitmaps say that they are not there. Its size, which is at most that
of the message. The number of bitmaps stays."""

cdef inline uint32_t kept_offset(Spec spec, const MessageIndex *message, const uint64_t *unkept,
                                 int field) noexcept nogil:
    """Where the data of a field that is kept stand in such a copy."""
    cdef uint32_t offset = message.offset[field]
    cdef int last = (field - 1) >> 6
    cdef uint64_t left = message.present[last] & unkept[last] & ((<uint64_t>1 << ((field - 1) & 63)) - 1)
    cdef int word = last
    cdef int gone
    while True:
        while left:
            gone = word * 64 + lowest_bit(left) + 1
            left &= left - 1
            offset -= spec.fields[gone].length_width + message.length[gone]
        if word == 0:
            return offset
        word -= 1
        left = message.present[word] & unkept[word]


cdef Spec lenient_form(Spec spec)
"""The same layout, in which every character and every pad is taken: for copies whose fields were overwritten."""

cdef int mend_copy(Spec spec, Spec lenient, const uint64_t *unkept, const uint8_t *data, uint32_t size, uint8_t *out,
                   uint8_t *spare) noexcept nogil
"""Make a kept copy of one that an earlier version wrote, whose sensitive fields it overwrote instead of leaving them
out: without the fields of the set, and without what cannot be read. Its size in ``out``, or -1 when that is no way to
read it; ``out`` and ``spare`` have room for ``size`` bytes each."""
