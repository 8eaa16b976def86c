"""Time windows in a table of fixed size: buckets with chains for the search, a clock for the eviction."""

from libc.stdint cimport uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cimport cython
from switch.base.invariant cimport ensure

cdef enum:
    HAND_STEPS = 32           # windows that the hand looks at for one eviction


cdef inline void roll(Window *window, uint64_t slice_number) noexcept nogil:
    """Begin the slices up to this one; a clock that went back changes nothing."""
    if slice_number <= window.newest:
        return
    if slice_number - window.newest >= <uint64_t>WINDOW_SLICES:
        memset(window.count, 0, sizeof(window.count))
        memset(window.amount, 0, sizeof(window.amount))
    else:
        while window.newest < slice_number:
            window.newest += 1
            window.count[window.newest % WINDOW_SLICES] = 0
            window.amount[window.newest % WINDOW_SLICES] = 0
    window.newest = slice_number


@cython.final
@cython.no_gc
cdef class WindowTable:

    def __cinit__(self, uint32_t room, int64_t clock_offset_ms=0):
        cdef uint64_t buckets = 16
        if not 1 <= room < WINDOW_NONE:
            raise ValueError(f"a table of windows needs room for at least one, not {room}")
        while buckets < room:
            buckets *= 2
        self.room = room
        self.clock_offset_ms = clock_offset_ms
        self._bucket_mask = buckets - 1
        self._windows = <Window *>calloc(room, sizeof(Window))
        self._buckets = <uint32_t *>calloc(buckets, sizeof(uint32_t))
        if self._windows == NULL or self._buckets == NULL:
            raise MemoryError("no memory for the table of windows")
        memset(self._buckets, 0xFF, buckets * sizeof(uint32_t))

    def __dealloc__(self):
        free(self._windows)
        free(self._buckets)

    @property
    def size_bytes(self):
        return self.room * sizeof(Window) + (self._bucket_mask + 1) * sizeof(uint32_t)

    cdef uint64_t slice_at(self, uint64_t now_ms, uint32_t slice_ms, int slices) noexcept nogil:
        cdef int64_t now = <int64_t>now_ms + (self.clock_offset_ms if slices == 1 else 0)
        return <uint64_t>max(now, 0) // slice_ms

    cdef void total(self, uint64_t key, uint64_t slice_number, uint64_t *count, int64_t *amount) noexcept nogil:
        cdef Window *window = find(self, key)
        cdef int slice_index
        count[0] = 0
        amount[0] = 0
        if window == NULL:
            return
        roll(window, slice_number)
        window.touched = 1
        if window.slices == 1:
            count[0] = window.count[window.newest % WINDOW_SLICES]
            amount[0] = window.amount[window.newest % WINDOW_SLICES]
            return
        for slice_index in range(WINDOW_SLICES):
            count[0] += window.count[slice_index]
            amount[0] += window.amount[slice_index]

    cdef void add(self, uint64_t key, uint64_t now_ms, uint32_t slice_ms, int slices, int64_t amount) noexcept nogil:
        cdef Window *window = find(self, key)
        cdef uint64_t slice_number = self.slice_at(now_ms, slice_ms, slices)
        cdef uint32_t number
        cdef uint32_t *bucket
        if window == NULL:
            ensure(self.used <= self.room, b"no more windows are in use than there is room for")
            if self.used < self.room:
                number = self.used
                self.used += 1
            else:
                number = evict(self, now_ms)
            window = &self._windows[number]
            memset(window, 0, sizeof(Window))
            bucket = &self._buckets[key & self._bucket_mask]
            window.key = key
            window.newest = slice_number
            window.slice_ms = slice_ms
            window.slices = slices
            window.next = bucket[0]
            bucket[0] = number
        ensure(window.slices == 1 or window.slices == WINDOW_SLICES, b"a window has one slice or all")
        roll(window, slice_number)
        window.touched = 1
        window.count[window.newest % WINDOW_SLICES] += 1
        window.amount[window.newest % WINDOW_SLICES] += amount

    cdef void take_back(self, uint64_t key, uint64_t slice_number, int64_t amount) noexcept nogil:
        cdef Window *window = find(self, key)
        cdef int place = slice_number % WINDOW_SLICES
        if window == NULL or slice_number > window.newest or (
                window.newest - slice_number >= <uint64_t>WINDOW_SLICES) or window.count[place] == 0:
            return
        window.count[place] -= 1
        window.amount[place] -= min(amount, window.amount[place])


cdef inline Window *find(WindowTable table, uint64_t key) noexcept nogil:
    cdef uint32_t number = table._buckets[key & table._bucket_mask]
    while number != <uint32_t>WINDOW_NONE:
        ensure(number < table.used, b"a chain of windows leads to windows in use")
        if table._windows[number].key == key:
            return &table._windows[number]
        number = table._windows[number].next
    return NULL


cdef inline uint32_t after(WindowTable table, uint32_t number) noexcept nogil:
    return number + 1 if number + 1 < table.room else 0


cdef bint has_ended(WindowTable table, const Window *window, uint64_t now_ms) noexcept nogil:
    return table.slice_at(now_ms, window.slice_ms, window.slices) >= window.newest + window.slices


cdef uint32_t choose(WindowTable table, uint64_t now_ms) noexcept nogil:
    """The window to give up: one that has ended if the next few hold one, else the hand's first one not touched."""
    cdef uint32_t at = table._hand, first = table._hand
    cdef int _step
    ensure(at < table.room and table.used == table.room, b"only a full table gives windows up")
    for _step in range(HAND_STEPS):
        if has_ended(table, &table._windows[at], now_ms):
            if at == table._hand:
                table._hand = after(table, at)
            return at
        at = after(table, at)
    for _step in range(HAND_STEPS):
        at = table._hand
        table._hand = after(table, at)
        if not table._windows[at].touched:
            table.evicted_live += 1
            return at
        table._windows[at].touched = 0
    table.evicted_live += 1
    return first


cdef uint32_t evict(WindowTable table, uint64_t now_ms) noexcept nogil:
    """Take one window out of a full table; its number."""
    cdef uint32_t chosen = choose(table, now_ms)
    cdef const Window *window = &table._windows[chosen]
    cdef uint32_t *link = &table._buckets[window.key & table._bucket_mask]
    ensure(chosen < table.room, b"a window that is given up lies within its table")
    while link[0] != chosen:
        ensure(link[0] < table.room, b"a window that is given up is in its bucket's chain")
        link = &table._windows[link[0]].next
    link[0] = window.next
    return chosen
