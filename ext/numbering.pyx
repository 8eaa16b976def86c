"""The switch's own numbers: STANs towards issuers, and the retrieval reference numbers made of them.

A retrieval reference number is YDDDhh and six characters: the STAN in digits, as issuers expect, for the first million
numbers of an hour. Past that the six begin with a letter, and count on in base 36.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy
from switch.calendar cimport write_digits

cdef enum:
    PREFIX_SIZE = 6
    BASE = 36
    FIRST_LETTER = 10                 # the digit A of base 36
    PLACE = 60_466_176                # 36 ** 5: what the first of six characters counts in
    LETTERS = 26


@cython.final
cdef class Numbering:
    """The sequence of numbers 1 to 999,999, again and again.

    Args:
        first: Where it begins; its owner continues it across restarts.
    """

    def __cinit__(self, uint32_t first=1):
        if not 1 <= first < NUMBER_COUNT:
            raise ValueError(f"the first number is {first}, must be 1 to 999,999")
        self.next = first

    cdef uint32_t take(self) noexcept nogil:
        """The next number."""
        cdef uint32_t number = self.next
        if number == 1:
            self.turns += 1
        self.next = number + 1 if number + 1 < NUMBER_COUNT else 1
        return number

    cdef void write_rrn(self, Calendar calendar, uint32_t number, uint8_t *rrn) noexcept nogil:
        """Write the reference number, RRN_SIZE characters, of a number that has just been taken."""
        if memcmp(self._hour, calendar.rrn_prefix, PREFIX_SIZE) != 0:
            memcpy(self._hour, calendar.rrn_prefix, PREFIX_SIZE)
            self.turns = 0
        self._write(number, rrn)

    cdef bint last_rrn(self, uint8_t *rrn) noexcept nogil:
        """Write the reference number of the last number that was taken; false when none was given yet."""
        if self._hour[0] == 0:
            return False
        self._write(self.next - 1 if self.next > 1 else NUMBER_COUNT - 1, rrn)
        return True

    cdef void _write(self, uint32_t number, uint8_t *rrn) noexcept nogil:
        cdef uint64_t value
        cdef int i, digit
        memcpy(rrn, self._hour, PREFIX_SIZE)
        if self.turns == 0:
            write_digits(rrn + PREFIX_SIZE, RRN_SIZE - PREFIX_SIZE, number)
            return
        value = (<uint64_t>(self.turns - 1) * NUMBER_COUNT + number) % (<uint64_t>LETTERS * PLACE)
        value += <uint64_t>FIRST_LETTER * PLACE
        for i in range(RRN_SIZE - 1, PREFIX_SIZE - 1, -1):
            digit = <int>(value % BASE)
            rrn[i] = <uint8_t>(0x30 + digit if digit < 10 else 0x41 + digit - 10)
            value //= BASE

    cdef void go_on_after(self, const uint8_t *rrn) noexcept nogil:
        """Number on where this reference number was the last one, as after a restart."""
        cdef int64_t number = number_of_rrn(rrn)
        cdef int64_t counted
        if number < 0:
            return
        memcpy(self._hour, rrn, PREFIX_SIZE)
        counted = counted_of_rrn(rrn)
        self.turns = 0 if counted < 0 else <uint32_t>(counted // NUMBER_COUNT + 1)
        self.next = <uint32_t>(number + 1) if number + 1 < NUMBER_COUNT else 1

    cdef void skip(self, uint32_t number) noexcept nogil:
        """Number on behind this number, which was taken last."""
        if number + NUMBER_COUNT // 2 < self.next:
            self.turns += 1
        self.next = number + 1 if number + 1 < NUMBER_COUNT else 1

    def rrn(self, Calendar calendar):
        """Take a number and give its reference number."""
        cdef uint8_t text[RRN_SIZE]
        self.write_rrn(calendar, self.take(), text)
        return text[:RRN_SIZE].decode("ascii")


cdef int64_t counted_of_rrn(const uint8_t *rrn) noexcept nogil:
    """What the last six characters count past the first million of the hour; -1 when they are digits."""
    cdef int64_t value = 0
    cdef int i
    if rrn[PREFIX_SIZE] <= 0x39:
        return -1
    for i in range(PREFIX_SIZE, RRN_SIZE):
        value = value * BASE + (rrn[i] - 0x30 if rrn[i] <= 0x39 else rrn[i] - 0x41 + 10)
    return value - <int64_t>FIRST_LETTER * PLACE


cdef int64_t number_of_rrn(const uint8_t *rrn) noexcept nogil:
    cdef int64_t value = 0
    cdef int64_t digit
    cdef int i
    cdef int base = 10 if rrn[PREFIX_SIZE] <= 0x39 else BASE
    for i in range(PREFIX_SIZE, RRN_SIZE):
        if 0x30 <= rrn[i] <= 0x39:
            digit = rrn[i] - 0x30
        elif base == BASE and 0x41 <= rrn[i] <= 0x5A:
            digit = rrn[i] - 0x41 + 10
        else:
            return -1
        value = value * base + digit
    if base == 10:
        return value
    return (value - <int64_t>FIRST_LETTER * PLACE) % NUMBER_COUNT


def number_of(str rrn):
    """The number that a retrieval reference number of ours, 12 characters, was made of; -1 when it is none of ours."""
    cdef bytes text = rrn.encode("ascii")
    if len(text) != RRN_SIZE:
        return -1
    return number_of_rrn(<const uint8_t *><const char *>text)
