"""Counts and sums over time windows, for very many keys in a table of fixed size.

A sliding window is cut into slices; the newest one is under way, and the ones before it cover at least the window, so
what happened within it is always counted, and what is older by more than one slice never. A fixed window is one slice.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t

cdef enum:
    WINDOW_SLICES = 8         # of a sliding window: 7 that cover it, and the one under way
    WINDOW_NONE = 0xFFFFFFFF

cdef struct Window:
    uint64_t key
    uint64_t newest           # number of the newest slice, counted from the clock's beginning
    int64_t amount[WINDOW_SLICES]         # slice n is kept at n modulo WINDOW_SLICES
    uint32_t count[WINDOW_SLICES]
    uint32_t next             # in the chain of its bucket
    uint32_t slice_ms
    uint8_t slices            # WINDOW_SLICES, or 1 for a fixed window
    uint8_t touched           # since the hand of the clock last came by


cdef class WindowTable:
    """Windows by key. When full, the clock's hand takes the room of an ended window, else of one long untouched."""
    cdef readonly uint32_t room
    cdef readonly uint32_t used
    cdef readonly uint64_t evicted_live       # windows that were still counting when their room was taken
    cdef public int64_t clock_offset_ms       # added to the clock where fixed windows begin and end
    cdef Window *_windows
    cdef uint32_t *_buckets
    cdef uint64_t _bucket_mask
    cdef uint32_t _hand

    cdef uint64_t slice_at(self, uint64_t now_ms, uint32_t slice_ms, int slices) noexcept nogil
    """Number of the slice that is under way."""

    cdef void total(self, uint64_t key, uint64_t slice_number, uint64_t *count, int64_t *amount) noexcept nogil
    """What the window that ends with this slice holds; zeros for an unknown key."""

    cdef void add(self, uint64_t key, uint64_t now_ms, uint32_t slice_ms, int slices, int64_t amount) noexcept nogil
    cdef void take_back(self, uint64_t key, uint64_t slice_number, int64_t amount) noexcept nogil
    """Undo what was added in that slice, unless it is over or its window was given up."""
