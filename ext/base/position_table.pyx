"""A table from journal positions to numbers or pointers: open addressing, growing."""

cimport cython
from libc.stdlib cimport calloc, free
from switch.base.invariant cimport ensure

cdef enum:
    SLOTS_FIRST = 1024


@cython.final
@cython.no_gc
cdef class PositionTable:
    """Empty when it is made."""

    def __cinit__(self):
        self._slots = <PositionSlot *>calloc(SLOTS_FIRST, sizeof(PositionSlot))
        if self._slots == NULL:
            raise MemoryError
        self._mask = SLOTS_FIRST - 1

    def __dealloc__(self):
        free(self._slots)

    cdef int put(self, int64_t position, uint64_t value) except -1:
        if 2 * (self.count + 1) > self._mask:
            self._grow()
        cdef uint64_t at = home(position, self._mask)
        ensure(2 * self.count <= self._mask, b"a table of positions has room, so that a search ends")
        while self._slots[at].position != 0 and self._slots[at].position != position:
            at = (at + 1) & self._mask
        if self._slots[at].position == 0:
            self.count += 1
        self._slots[at].position = position
        self._slots[at].value = value
        return 0

    cdef uint64_t get(self, int64_t position) noexcept nogil:
        cdef uint64_t at = home(position, self._mask)
        while self._slots[at].position != 0:
            if self._slots[at].position == position:
                return self._slots[at].value
            at = (at + 1) & self._mask
        return 0

    cdef uint64_t pop(self, int64_t position) noexcept nogil:
        """Take out; the value, 0 when the position was not there."""
        cdef uint64_t at = home(position, self._mask)
        cdef uint64_t value, next_at
        if position == 0:
            return 0
        while self._slots[at].position != position:
            if self._slots[at].position == 0:
                return 0
            at = (at + 1) & self._mask
        ensure(self.count > 0, b"a position that is taken out is counted")
        value = self._slots[at].value
        # What follows in the chain moves up, so that no gap hides it.
        next_at = (at + 1) & self._mask
        while self._slots[next_at].position != 0:
            if ((next_at - home(self._slots[next_at].position, self._mask)) & self._mask) \
                    >= ((next_at - at) & self._mask):
                self._slots[at] = self._slots[next_at]
                at = next_at
            next_at = (next_at + 1) & self._mask
        self._slots[at].position = 0
        self.count -= 1
        return value

    cdef list positions(self):
        """All positions, ascending."""
        cdef uint64_t at
        found = [self._slots[at].position for at in range(self._mask + 1) if self._slots[at].position]
        found.sort()
        return found

    cdef int _grow(self) except -1:
        cdef PositionSlot *old = self._slots
        cdef uint64_t room = self._mask + 1
        cdef uint64_t at, place
        cdef PositionSlot *slots = <PositionSlot *>calloc(2 * room, sizeof(PositionSlot))
        if slots == NULL:
            raise MemoryError
        self._slots = slots
        self._mask = 2 * room - 1
        for at in range(room):
            if old[at].position != 0:
                place = home(old[at].position, self._mask)
                while slots[place].position != 0:
                    place = (place + 1) & self._mask
                slots[place] = old[at]
        free(old)
        return 0
