"""Time windows in a table of fixed size: buckets with chains for the search, a clock for the eviction.

What stands in a shared table when a process dies in it is repaired by whoever holds the lock next. Each number is
stored in one go, so a window is never wrong by more than the one request that its process did not live to count.
"""

from libc.stdint cimport uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cimport cython
from switch.base.calendar cimport month_of
from switch.base.invariant cimport ensure
from switch.base.shared_memory cimport (
    LOCK_OF_THE_DEAD, SharedMemory, lock_init, lock_release, lock_take, stored_before_here,
)

SHARDS_MAX = WINDOW_SHARDS_MAX
HISTORIES_MAX = HISTORIES_ROOM

cdef uint64_t HISTORY_WHOLE = <uint64_t>-1

cdef enum:
    HAND_STEPS = 32           # windows that the hand looks at for one eviction
    SHARD_ROOM_MIN = 256      # a table is cut into no smaller ones
    CACHE_LINE = 64
    MS_A_SECOND = 1000
    MEETINGS_MAX = 0xFFFF     # with one member that are counted, in the lowest bits of what stands for it
    MEMBER_MARK = 0x10000     # set of every member, so that none is 0

cdef extern from *:
    int trailing_zeros "__builtin_ctzll"(unsigned long long value) noexcept nogil
    void prefetch "__builtin_prefetch"(const void *place) noexcept nogil


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

    def __cinit__(self, uint32_t room, int64_t clock_offset_ms=0, bint is_shared=False,
                  uint32_t shards_max=WINDOW_SHARDS_MAX):
        cdef uint64_t buckets = 16, shards = 1
        cdef size_t shard_bytes, bucket_bytes
        cdef uint32_t number, shard_room
        cdef char *place
        if not 1 <= room < WINDOW_NONE:
            raise ValueError(f"a table of windows needs room for at least one, not {room}")
        if not 1 <= shards_max <= WINDOW_SHARDS_MAX:
            raise ValueError(f"a table of windows has 1 to {WINDOW_SHARDS_MAX} shards, not {shards_max}")
        while is_shared and shards * 2 <= shards_max and room // (shards * 2) >= <uint64_t>SHARD_ROOM_MIN:
            shards *= 2
        shard_room = (room + <uint32_t>shards - 1) // <uint32_t>shards
        while buckets < shard_room:
            buckets *= 2
        self.room = room
        self.is_shared = is_shared
        self.clock_offset_ms = clock_offset_ms
        self._shard_mask = shards - 1
        bucket_bytes = buckets * sizeof(uint32_t)
        shard_bytes = shard_room * sizeof(Window) + bucket_bytes
        shard_bytes = (shard_bytes + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
        if is_shared:
            self._memory = SharedMemory(shards * (sizeof(WindowShard) + shard_bytes)
                                        + HISTORIES_ROOM * sizeof(uint64_t))
            place = self._memory.start
        else:
            place = <char *>calloc(1, sizeof(WindowShard) + shard_bytes + HISTORIES_ROOM * sizeof(uint64_t))
        if place == NULL:
            raise MemoryError("no memory for the table of windows")
        self._shards = <WindowShard *>place
        place += shards * sizeof(WindowShard)
        for number in range(<uint32_t>shards):
            self._shards[number].windows = <Window *>place
            self._shards[number].buckets = <uint32_t *>(place + shard_room * sizeof(Window))
            self._shards[number].bucket_mask = buckets - 1
            self._shards[number].room = shard_room
            memset(self._shards[number].buckets, 0xFF, bucket_bytes)
            place += shard_bytes
            if is_shared:
                lock_init(&self._shards[number].lock)
        self._counted_to = <uint64_t *>place

    def __dealloc__(self):
        if not self.is_shared:
            free(self._shards)

    @property
    def size_bytes(self):
        cdef WindowShard *shard = self._shards
        return self.shard_count * (shard.room * sizeof(Window) + (shard.bucket_mask + 1) * sizeof(uint32_t))

    @property
    def shard_count(self):
        return self._shard_mask + 1

    @property
    def used(self):
        """Windows in use, of all shards."""
        return sum([self._shards[number].used for number in range(self._shard_mask + 1)])

    @property
    def evicted_live(self):
        """Windows that were still counting when their room was taken."""
        return sum([self._shards[number].evicted_live for number in range(self._shard_mask + 1)])

    @property
    def taken_over(self):
        """Times that a lock was left by a process that died."""
        return sum([self._shards[number].taken_over for number in range(self._shard_mask + 1)])

    @property
    def uncounted(self):
        """Journals of which not all was counted yet that is to be."""
        return sum([self._counted_to[journal] not in (HISTORY_NONE, HISTORY_WHOLE) for journal in range(HISTORIES_MAX)])

    def begin_history(self, uint32_t journal):
        """Up to which position what a journal knows is counted; None: all of it. It is to be counted from now on."""
        if journal >= <uint32_t>HISTORIES_ROOM:
            raise ValueError(f"journals have numbers below {HISTORIES_ROOM}, not {journal}")
        if self._counted_to[journal] == HISTORY_WHOLE:
            return None
        self._counted_to[journal] = max(self._counted_to[journal], <uint64_t>HISTORY_OPEN)
        return self._counted_to[journal] - HISTORY_OPEN

    def end_history(self, uint32_t journal):
        """All that a journal knows is counted, as long as the table lives."""
        self._counted_to[journal] = HISTORY_WHOLE

    cdef void note_counted(self, uint32_t journal, uint64_t position) noexcept nogil:
        self._counted_to[journal] = HISTORY_OPEN + position

    def hold_all(self):
        """Let no other process look at a shared table until ``release_all``."""
        self.hold(self._all_shards())

    def release_all(self):
        """Let others look again."""
        self.release(self._all_shards())

    cdef uint64_t _all_shards(self) noexcept nogil:
        return <uint64_t>-1 >> (63 - self._shard_mask)

    cdef uint64_t shard_bit(self, uint64_t home) noexcept nogil:
        return <uint64_t>1 << (home >> HOME_SHIFT & self._shard_mask)

    cdef void hold(self, uint64_t shards) noexcept nogil:
        """From the lowest to the highest, as everybody does: so nobody waits for one who waits for him."""
        cdef int number
        if not self.is_shared:
            return
        while shards:
            number = trailing_zeros(shards)
            shards &= shards - 1
            if lock_take(&self._shards[number].lock) == LOCK_OF_THE_DEAD:
                repair(&self._shards[number])

    cdef void release(self, uint64_t shards) noexcept nogil:
        cdef int number
        if not self.is_shared:
            return
        while shards:
            number = trailing_zeros(shards)
            shards &= shards - 1
            lock_release(&self._shards[number].lock)

    cdef uint64_t slice_at(self, uint64_t now_ms, uint32_t slice_ms, int slices) noexcept nogil:
        cdef int64_t now = <int64_t>now_ms + (self.clock_offset_ms if slices == 1 else 0)
        if slice_ms == <uint32_t>WINDOW_MONTH:
            return month_of(max(now, 0) // MS_A_SECOND)
        return <uint64_t>max(now, 0) // slice_ms

    cdef void fetch(self, WindowPlace *places, int count) noexcept nogil:
        cdef const WindowShard *shard
        cdef uint32_t number
        cdef int place
        for place in range(count):
            shard = shard_of(self, places[place].home)
            prefetch(&shard.buckets[places[place].key & shard.bucket_mask])
        for place in range(count):
            shard = shard_of(self, places[place].home)
            number = shard.buckets[places[place].key & shard.bucket_mask]
            if number != <uint32_t>WINDOW_NONE:
                prefetch(&shard.windows[number])
                prefetch(<const char *>&shard.windows[number] + CACHE_LINE)
        for place in range(count):
            places[place].window = find(shard_of(self, places[place].home), places[place].key)

    cdef void total(self, const WindowPlace *place, uint64_t slice_number, uint64_t *count,
                    int64_t *amount) noexcept nogil:
        cdef Window *window = place.window
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

    cdef void add(self, const WindowPlace *place, uint64_t now_ms, uint32_t slice_ms, int slices,
                  int64_t amount) noexcept nogil:
        cdef Window *window = known(self, place)
        cdef uint64_t slice_number = self.slice_at(now_ms, slice_ms, slices)
        if window == NULL:
            window = begin(self, shard_of(self, place.home), place.key, now_ms, slice_number, slice_ms, slices)
        ensure(window.slices == 1 or window.slices == WINDOW_SLICES, b"a window has one slice or all")
        roll(window, slice_number)
        window.touched = 1
        window.count[window.newest % WINDOW_SLICES] += 1
        window.amount[window.newest % WINDOW_SLICES] += amount

    cdef void add_late(self, const WindowPlace *place, uint64_t moment_ms, uint64_t now_ms, uint32_t slice_ms,
                       int slices, int64_t amount) noexcept nogil:
        cdef uint64_t slice_number = self.slice_at(moment_ms, slice_ms, slices)
        cdef uint64_t present = self.slice_at(now_ms, slice_ms, slices)
        cdef Window *window = known(self, place)
        cdef int slice_index = slice_number % WINDOW_SLICES
        if present >= slice_number + <uint64_t>slices:
            return
        if window == NULL or slice_number >= window.newest:
            self.add(place, moment_ms, slice_ms, slices, amount)
        elif window.newest - slice_number < <uint64_t>slices:
            window.count[slice_index] += 1
            window.amount[slice_index] += amount

    cdef void take_back(self, const WindowPlace *place, uint64_t slice_number, int64_t amount,
                        int64_t amount_min) noexcept nogil:
        cdef Window *window = place.window
        cdef int slice_index = slice_number % WINDOW_SLICES
        if window == NULL or slice_number > window.newest or (
                window.newest - slice_number >= <uint64_t>WINDOW_SLICES) or window.count[slice_index] == 0:
            return
        window.count[slice_index] -= 1
        window.amount[slice_index] = max(window.amount[slice_index] - amount, amount_min)

    cdef int members_but(self, const WindowPlace *where, uint64_t member, uint64_t now_ms,
                         uint32_t window_ms) noexcept nogil:
        cdef Window *window = where.window
        cdef uint64_t since_s = (max(now_ms, <uint64_t>window_ms) - window_ms) // MS_A_SECOND
        cdef int place, found = 0
        if window == NULL:
            return 0
        window.touched = 1
        for place in range(WINDOW_MEMBERS):
            found += window.amount[place] != 0 and window.count[place] >= since_s and (
                not is_member(window, place, member))
        return found

    cdef void meet(self, const WindowPlace *where, uint64_t member, uint64_t moment_ms, uint64_t now_ms,
                   uint32_t window_ms) noexcept nogil:
        cdef Window *window = known(self, where)
        cdef int place, chosen = 0
        cdef uint32_t moment_s = <uint32_t>(moment_ms // MS_A_SECOND)
        cdef uint64_t slice_number = self.slice_at(moment_ms, window_ms, SLICES_OF_MEMBERS)
        if moment_ms + window_ms < now_ms:
            return
        if window == NULL:
            window = begin(self, shard_of(self, where.home), where.key, now_ms, slice_number, window_ms,
                           SLICES_OF_MEMBERS)
        window.newest = max(window.newest, slice_number)
        window.touched = 1
        for place in range(WINDOW_MEMBERS):
            if is_member(window, place, member):
                chosen = place
                break
            if window.count[place] < window.count[chosen]:
                chosen = place
        if not is_member(window, chosen, member):
            window.count[chosen] = 0
            window.amount[chosen] = <int64_t>(member | MEMBER_MARK) & ~<int64_t>MEETINGS_MAX
        if window.amount[chosen] & MEETINGS_MAX != MEETINGS_MAX:
            window.amount[chosen] += 1
        window.count[chosen] = max(window.count[chosen], moment_s)

    cdef void unmeet(self, const WindowPlace *where, uint64_t member) noexcept nogil:
        cdef Window *window = where.window
        cdef int place
        if window == NULL:
            return
        for place in range(WINDOW_MEMBERS):
            if is_member(window, place, member):
                window.amount[place] -= 1
                if window.amount[place] & MEETINGS_MAX == 0:
                    window.amount[place] = 0
                    window.count[place] = 0
                return


cdef inline bint is_member(const Window *window, int place, uint64_t member) noexcept nogil:
    """Whether this one is kept here: the bits of its number above those in which meetings are counted."""
    return window.amount[place] != 0 and (
        (<uint64_t>window.amount[place] ^ (member | MEMBER_MARK)) & ~<uint64_t>MEETINGS_MAX) == 0


cdef inline WindowShard *shard_of(WindowTable table, uint64_t home) noexcept nogil:
    return &table._shards[home >> HOME_SHIFT & table._shard_mask]


cdef inline Window *find(WindowShard *shard, uint64_t key) noexcept nogil:
    cdef uint32_t number = shard.buckets[key & shard.bucket_mask]
    while number != <uint32_t>WINDOW_NONE:
        ensure(number < shard.used, b"a chain of windows leads to windows in use")
        if shard.windows[number].key == key:
            return &shard.windows[number]
        number = shard.windows[number].next
    return NULL


cdef inline Window *known(WindowTable table, const WindowPlace *place) noexcept nogil:
    """The window that was fetched; another one may have been begun in its room, or in that of none."""
    if place.window != NULL and place.window.key == place.key:
        return place.window
    return find(shard_of(table, place.home), place.key)


cdef Window *begin(WindowTable table, WindowShard *shard, uint64_t key, uint64_t now_ms, uint64_t newest,
                   uint32_t slice_ms, int slices) noexcept nogil:
    """A window for a new key, empty, in its chain; whoever dies before it has slices leaves none."""
    cdef uint32_t number
    cdef uint32_t *bucket = &shard.buckets[key & shard.bucket_mask]
    cdef Window *window
    ensure(shard.used <= shard.room, b"no more windows are in use than there is room for")
    if shard.used < shard.room:
        number = shard.used
        shard.used += 1
    else:
        number = evict(table, shard, now_ms)
    window = &shard.windows[number]
    window.slices = 0
    stored_before_here()
    memset(window, 0, sizeof(Window))
    window.key = key
    window.next = bucket[0]
    bucket[0] = number
    window.newest = newest
    window.slice_ms = slice_ms
    stored_before_here()
    window.slices = slices
    return window


cdef inline uint32_t after(const WindowShard *shard, uint32_t number) noexcept nogil:
    return number + 1 if number + 1 < shard.room else 0


cdef bint has_ended(WindowTable table, const Window *window, uint64_t now_ms) noexcept nogil:
    return table.slice_at(now_ms, window.slice_ms, window.slices) >= window.newest + window.slices


cdef uint32_t choose(WindowTable table, WindowShard *shard, uint64_t now_ms) noexcept nogil:
    """The window to give up: one that has ended if the next few hold one, else the hand's first one not touched."""
    cdef uint32_t at = shard.hand, first = shard.hand
    cdef int _step
    ensure(at < shard.room and shard.used == shard.room, b"only a full table gives windows up")
    for _step in range(HAND_STEPS):
        if has_ended(table, &shard.windows[at], now_ms):
            if at == shard.hand:
                shard.hand = after(shard, at)
            return at
        at = after(shard, at)
    for _step in range(HAND_STEPS):
        at = shard.hand
        shard.hand = after(shard, at)
        if not shard.windows[at].touched:
            shard.evicted_live += 1
            return at
        shard.windows[at].touched = 0
    shard.evicted_live += 1
    return first


cdef uint32_t evict(WindowTable table, WindowShard *shard, uint64_t now_ms) noexcept nogil:
    """Take one window out of a full table; its number."""
    cdef uint32_t chosen = choose(table, shard, now_ms)
    cdef const Window *window = &shard.windows[chosen]
    cdef uint32_t *link = &shard.buckets[window.key & shard.bucket_mask]
    ensure(chosen < shard.room, b"a window that is given up lies within its table")
    while link[0] != chosen:
        ensure(link[0] < shard.room, b"a window that is given up is in its bucket's chain")
        link = &shard.windows[link[0]].next
    link[0] = window.next
    return chosen


cdef void repair(WindowShard *shard) noexcept nogil:
    """Put every window into its chain again, after a process has died while it changed something.

    A window that was being begun holds nothing, and is given up when room is needed.
    """
    cdef uint32_t number
    cdef uint32_t *bucket
    cdef Window *window
    shard.taken_over += 1
    memset(shard.buckets, 0xFF, (shard.bucket_mask + 1) * sizeof(uint32_t))
    for number in range(shard.used):
        window = &shard.windows[number]
        if window.slices == 0:
            memset(window, 0, sizeof(Window))
            window.slices = 1
        window.slice_ms = max(window.slice_ms, <uint32_t>1)
        bucket = &shard.buckets[window.key & shard.bucket_mask]
        window.next = bucket[0]
        bucket[0] = number
