"""The lives of a partition's journal: a counter that each start raises durably, a random number, and where it began.

In a file of two slots, written in turn and in place, so that a full disk keeps no daemon from starting: at any time the
life before, or this one, is there.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    LIVES_KEPT = 40           # the latest, in a slot

cdef packed struct Life:
    uint32_t number           # at random
    uint64_t began            # behind this position

cdef packed struct LivesSlot:         # the newest life first; what is not used is zeros
    uint8_t magic[8]
    uint32_t checksum         # CRC32C of all behind it
    uint32_t count
    uint64_t epoch            # of the newest; the one before has one less
    Life lives[LIVES_KEPT]
