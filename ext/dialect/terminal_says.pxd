"""Where a terminal's message says which machine it is, and where it is."""

from libc.stdint cimport int32_t, uint8_t, uint64_t
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

cdef enum:
    SAID_TAGS_MAX = 4
    SAID_TAG_MAX = 8          # characters
    SAID_MAX = 999            # characters of a field that something is looked for in
    DEGREE = 1_000_000        # a position counts in millionths of a degree

cdef struct SaidPlace:
    uint8_t field             # 0: nowhere
    uint8_t start             # of the field's characters
    uint8_t size              # 0: up to the field's end
    uint8_t tag_count         # values in each other: the first tag's holds the second
    uint8_t tag_size          # characters
    uint8_t length_digits     # decimal, behind each tag
    uint8_t tags[SAID_TAGS_MAX][SAID_TAG_MAX]


cdef class TerminalSays:
    cdef readonly uint64_t kinds          # bit n: messages of kind n must say it where it is demanded
    cdef SaidPlace serial_number
    cdef SaidPlace position

    cdef int read(self, const SaidPlace *place, Spec spec, const MessageIndex *message, uint8_t *out,
                  int room) noexcept nogil
    """What stands at a place, ASCII, without blanks around it; how many characters, 0 where it is not said, cannot be
    read or is longer than ``room``."""


cdef bint read_position(const uint8_t *text, int size, int32_t *latitude, int32_t *longitude) noexcept nogil
"""Latitude and longitude in millionths of a degree: two decimal numbers with or without a sign, the first up to 90, the
second up to 180, as ISO 6709 writes them or with a comma or blank between. False where it is nothing such."""
