"""What is blocked one by one, found by its hash in a table with open addressing."""

cimport cython
from libc.stdlib cimport calloc, free
from switch.tables.csv_rows cimport let_others_in

cdef enum:
    SLOTS_MIN = 16            # a power of two


@cython.final
@cython.no_gc
cdef class BlockedKeys:

    def __init__(self, dict entries not None, dict reasons not None):
        """Lay them out; see the type stub."""
        cdef uint64_t slots = SLOTS_MIN, slot, hashed
        cdef uint32_t number = 0
        if self._slots != NULL:
            raise ValueError("BlockedKeys are filled once")
        while slots < 2 * <uint64_t>len(entries):
            slots *= 2
        self._slots = <BlockedKey *>calloc(slots, sizeof(BlockedKey))
        if self._slots == NULL:
            raise MemoryError("no memory for what is blocked")
        self._mask = slots - 1
        for hashed, reason in entries.items():
            number += 1
            let_others_in(number)
            slot = hashed & self._mask
            while self._slots[slot].reason and self._slots[slot].hash != hashed:
                slot = (slot + 1) & self._mask
            self._slots[slot].hash = hashed
            self._slots[slot].reason = reasons[reason]

    def __dealloc__(self):
        free(self._slots)

    cdef int reason_of(self, uint64_t hash) noexcept nogil:
        cdef uint64_t slot = hash & self._mask
        while self._slots[slot].reason:
            if self._slots[slot].hash == hash:
                return self._slots[slot].reason
            slot = (slot + 1) & self._mask
        return 0
