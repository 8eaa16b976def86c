"""Keys of terminals that others have replaced: taken until their terminal has the new ones, and a while longer."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from switch.tables.identifiers cimport TERMINAL_NONE, index_make, index_put, spread

cdef extern from "string.h" nogil:
    void explicit_bzero(void *data, size_t size)

cdef enum:
    ROOM_FIRST = 64


@cython.final
cdef class FormerKeyTable:

    def __cinit__(self):
        self._index.slots = NULL

    def __dealloc__(self):
        if self._entries != NULL:
            explicit_bzero(self._entries, self._room * sizeof(FormerKeys))
        free(self._entries)
        free(self._index.slots)

    cdef FormerKeys *find(self, uint32_t terminal) noexcept nogil:
        cdef uint32_t place = self._place_of(terminal)
        if place == <uint32_t>TERMINAL_NONE or self._entries[place].until_ns == FORMER_DROPPED:
            return NULL
        return &self._entries[place]

    cdef FormerKeys *put(self, uint32_t terminal) except NULL:
        cdef uint32_t place = self._place_of(terminal)
        if place == <uint32_t>TERMINAL_NONE:
            if self._count == self._room:
                self._grow()
            place = self._count
            self._count += 1
            self._entries[place].until_ns = FORMER_DROPPED
            index_put(&self._index, _key_of(terminal), place)
        if self._entries[place].until_ns == FORMER_DROPPED:
            self._entries[place].until_ns = FORMER_UNTIL_SIGN_IN
            self.in_use += 1
        return &self._entries[place]

    cdef void drop(self, uint32_t terminal) noexcept nogil:
        cdef FormerKeys *former = self.find(terminal)
        if former != NULL:
            explicit_bzero(former, sizeof(FormerKeys))
            former.until_ns = FORMER_DROPPED
            self.in_use -= 1

    @cython.boundscheck(False)
    cdef uint32_t _place_of(self, uint32_t terminal) noexcept nogil:
        # Bounded: the index is at most half full, so every search meets an empty slot.
        cdef uint64_t key = _key_of(terminal)
        cdef uint64_t slot
        if self._index.slots == NULL:
            return TERMINAL_NONE
        slot = spread(key) & self._index.mask
        while self._index.slots[slot].index != <uint32_t>TERMINAL_NONE:
            if self._index.slots[slot].key == key:
                return self._index.slots[slot].index
            slot = (slot + 1) & self._index.mask
        return TERMINAL_NONE

    cdef int _grow(self) except -1:
        cdef uint32_t room = max(ROOM_FIRST, self._room * 2)
        cdef FormerKeys *entries = <FormerKeys *>calloc(room, sizeof(FormerKeys))
        cdef Index index
        cdef uint64_t slot
        if entries == NULL:
            raise MemoryError("no memory for former keys")
        try:
            index_make(&index, room)
        except MemoryError:
            free(entries)
            raise
        if self._room:
            memcpy(entries, self._entries, self._room * sizeof(FormerKeys))
            for slot in range(self._index.mask + 1):
                if self._index.slots[slot].index != <uint32_t>TERMINAL_NONE:
                    index_put(&index, self._index.slots[slot].key, self._index.slots[slot].index)
            explicit_bzero(self._entries, self._room * sizeof(FormerKeys))
        free(self._entries)
        free(self._index.slots)
        self._entries = entries
        self._index = index
        self._room = room
        return 0


cdef inline uint64_t _key_of(uint32_t terminal) noexcept nogil:
    return <uint64_t>terminal + 1
