"""Counts and sums over time windows, for very many keys in a table of fixed size.

A sliding window is cut into slices; the newest one is under way, and the ones before it cover at least the window, so
what happened within it is always counted, and what is older by more than one slice never. A fixed window is one slice;
so is a calendar month.

A window may hold members instead: who was met within it, such as the merchants of one card, the latest few of them.

Windows belong to a *home*, such as the hash of a card: all windows of one home lie in one shard. A table may be shared
by processes; each shard then has a lock, and whoever looks at windows and counts in them holds the locks of their homes
from the look to the count. A table that is not shared is one shard, and nothing is locked.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.shared_memory cimport SharedMemory, pthread_mutex_t

cdef enum:
    WINDOW_SLICES = 8         # of a sliding window: 7 that cover it, and the one under way
    WINDOW_MEMBERS = WINDOW_SLICES        # that a window of members can hold
    HISTORIES_ROOM = 1024     # journals from which counts can be brought back
    HISTORY_NONE = 0          # nobody has said that there will be one
    HISTORY_OPEN = 1          # and the position up to which it was counted
    SLICES_OF_MEMBERS = 2     # what a window of members says, to be told from those that count
    WINDOW_SHARDS_MAX = 64    # a bit each in a set of shards
    WINDOW_NONE = 0xFFFFFFFF
    WINDOW_MONTH = 0xFFFFFFFF             # in the place of a slice's length: calendar months, whatever their lengths
    HOME_SHIFT = 40           # which bits of a home choose its shard; the lowest ones of a key choose its bucket

cdef struct Window:
    uint64_t key
    uint64_t newest           # number of the newest slice, counted from the clock's beginning
    int64_t amount[WINDOW_SLICES]         # slice n is kept at n modulo WINDOW_SLICES; or a member, and how often met
    uint32_t count[WINDOW_SLICES]         # or when the member was met last, in seconds
    uint32_t next             # in the chain of its bucket
    uint32_t slice_ms
    uint8_t slices            # WINDOW_SLICES, 1 for a fixed window, SLICES_OF_MEMBERS; 0 while it is being begun
    uint8_t touched           # since the hand of the clock last came by

cdef struct WindowPlace:      # where a window is looked for
    uint64_t home
    uint64_t key
    Window *window            # once it was fetched: NULL where there is none

cdef struct WindowShard:
    pthread_mutex_t lock      # of a shared table
    Window *windows
    uint32_t *buckets
    uint64_t bucket_mask
    uint64_t evicted_live     # windows that were still counting when their room was taken
    uint64_t taken_over       # times that its lock was left by somebody who died
    uint32_t room
    uint32_t used
    uint32_t hand


cdef class WindowTable:
    """Windows by key. When full, the clock's hand takes the room of an ended window, else of one long untouched."""
    cdef readonly uint32_t room
    cdef readonly bint is_shared
    cdef public int64_t clock_offset_ms       # added to the clock where fixed windows begin and end
    cdef WindowShard *_shards
    cdef uint64_t _shard_mask
    cdef SharedMemory _memory                 # None: not shared
    cdef uint64_t *_counted_to                # by journal: HISTORY_OPEN and up to which position it was counted

    cdef void note_counted(self, uint32_t journal, uint64_t position) noexcept nogil
    """What a journal knows was counted up to this position: whoever goes on begins behind it."""

    cdef uint64_t _all_shards(self) noexcept nogil
    cdef uint64_t shard_bit(self, uint64_t home) noexcept nogil
    """The shard of a home, in a set of shards."""

    cdef void hold(self, uint64_t shards) noexcept nogil
    """Let nobody else look at these shards of a shared table until ``release``. At most once at a time."""

    cdef void release(self, uint64_t shards) noexcept nogil

    cdef uint64_t slice_at(self, uint64_t now_ms, uint32_t slice_ms, int slices) noexcept nogil
    """Number of the slice that is under way."""

    cdef void fetch(self, WindowPlace *places, int count) noexcept nogil
    """Look for all these windows, whose memory is waited for at once. Holds until another lock is taken."""

    cdef void total(self, const WindowPlace *place, uint64_t slice_number, uint64_t *count,
                    int64_t *amount) noexcept nogil
    """What the window that ends with this slice holds; zeros where there is none. Here and below its place was
    fetched."""

    cdef void add(self, const WindowPlace *place, uint64_t now_ms, uint32_t slice_ms, int slices,
                  int64_t amount) noexcept nogil
    cdef void add_late(self, const WindowPlace *place, uint64_t moment_ms, uint64_t now_ms, uint32_t slice_ms,
                       int slices, int64_t amount) noexcept nogil
    """Add what happened at a moment that may be past: in the slice in which it was, unless its window is over."""

    cdef void take_back(self, const WindowPlace *place, uint64_t slice_number, int64_t amount,
                        int64_t amount_min) noexcept nogil
    """Undo what was added in that slice, unless it is over or its window was given up: its sum stays above
    ``amount_min``."""

    cdef int members_but(self, const WindowPlace *where, uint64_t member, uint64_t now_ms,
                         uint32_t window_ms) noexcept nogil
    """How many others than this one were met within the window."""

    cdef void meet(self, const WindowPlace *where, uint64_t member, uint64_t moment_ms, uint64_t now_ms,
                   uint32_t window_ms) noexcept nogil
    """A member was met, at a moment that may be past. Where there is no place, who was met longest ago gives way."""

    cdef void unmeet(self, const WindowPlace *where, uint64_t member) noexcept nogil
    """Undo one meeting: who was met no other time is not there any more."""
