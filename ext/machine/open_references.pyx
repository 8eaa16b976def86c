"""What is open and refers to an original: counted by the journal position of that, in a table of fixed size."""

cimport cython
from libc.stdlib cimport calloc, free
from switch.base.invariant cimport ensure
from switch.base.position_table cimport home


@cython.final
cdef class OpenReferences:
    """Empty when it is made.

    Args:
        room: So many may be open at one time.
    """

    def __cinit__(self, uint32_t room):
        self._mask = 1
        while self._mask < 2 * <uint64_t>room:
            self._mask = 2 * self._mask + 1
        self._slots = <Referring *>calloc(self._mask + 1, sizeof(Referring))
        if self._slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._slots)

    cdef uint64_t _find(self, int64_t original) noexcept nogil:
        """The place of an original, or the empty one where it belongs: at least half of them are."""
        cdef uint64_t at = home(original, self._mask)
        while self._slots[at].original not in (0, original):
            at = (at + 1) & self._mask
        return at

    cdef void begin(self, int64_t original) noexcept nogil:
        cdef Referring *slot
        if original:
            slot = &self._slots[self._find(original)]
            ensure(slot.original != 0 or self._used <= self._mask // 2, b"there is room for what is referred to")
            ensure(<uint32_t>(slot.count + 1) != 0, b"a count of references does not run over")
            self._used += slot.original == 0
            slot.original = original
            slot.count += 1

    cdef void end(self, int64_t original) noexcept nogil:
        cdef uint64_t at, next_at
        if original == 0:
            return
        at = self._find(original)
        ensure(self._slots[at].original == original, b"a reference that ends has begun")
        ensure(self._slots[at].count > 0, b"what is referred to has a reference")
        self._slots[at].count -= 1
        if self._slots[at].count:
            return
        # What follows in the chain moves up, so that no gap hides it.
        next_at = (at + 1) & self._mask
        while self._slots[next_at].original != 0:
            if ((next_at - home(self._slots[next_at].original, self._mask)) & self._mask) >= (
                    (next_at - at) & self._mask):
                self._slots[at] = self._slots[next_at]
                at = next_at
            next_at = (next_at + 1) & self._mask
        ensure(self._used > 0, b"what is referred to is counted")
        self._slots[at].original = 0
        self._slots[at].count = 0
        self._used -= 1

    cdef bint has(self, int64_t original) noexcept nogil:
        return original != 0 and self._slots[self._find(original)].original == original
