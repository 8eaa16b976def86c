"""Flattening of nested ranges into disjoint intervals, and the search among them.

Loading sweeps over the sorted ranges once. Wherever the set of ranges that hold a number changes, an interval begins; it
names a chain of the ranges in that set, narrowest first. Equal chain ends are shared, so properly nested ranges need no
more chain nodes than there are ranges, and intervals with the same chain are joined.

The beginnings of the intervals stand in a static tree of cache lines with 8 keys each (9 ways a level): a million
ranges are seven levels, of which all but the last two stay in the first caches, whatever way the ranges are spread.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove

cimport cython

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **out, size_t alignment, size_t size)

cdef extern from * nogil:
    """
    #define AUTHSWITCH_PREFETCH(address) __builtin_prefetch(address)
    """
    void prefetch "AUTHSWITCH_PREFETCH"(const void *address)

cdef enum:
    CACHE_LINE = 64
    NODE_WAYS = NODE_KEYS + 1

cdef uint64_t KEY_NONE = <uint64_t>0xFFFFFFFFFFFFFFFF    # above every number of 19 digits
cdef uint64_t[PAN_DIGITS_MAX + 1] POWERS_OF_TEN

cdef struct Active:           # a range that holds the place where the sweep stands
    uint64_t high
    uint64_t width
    uint32_t order
    uint32_t value
    uint32_t chain            # the node for this range and all wider ones

cdef struct Interner:         # chain nodes by content, while loading
    ChainNode *nodes
    uint32_t count
    uint32_t room
    uint32_t *slots           # node + 1, or 0
    uint64_t slot_mask


cdef void fill_powers() noexcept:
    cdef int exponent
    POWERS_OF_TEN[0] = 1
    for exponent in range(1, PAN_DIGITS_MAX + 1):
        POWERS_OF_TEN[exponent] = POWERS_OF_TEN[exponent - 1] * 10


fill_powers()


cdef int by_low(const void *left, const void *right) noexcept nogil:
    cdef const DigitRange *a = <const DigitRange *>left
    cdef const DigitRange *b = <const DigitRange *>right
    if a.low != b.low:
        return -1 if a.low < b.low else 1
    if a.high != b.high:
        return -1 if a.high < b.high else 1
    return (a.order > b.order) - (a.order < b.order)


cdef inline uint64_t chain_hash(uint32_t value, uint32_t following) noexcept nogil:
    cdef uint64_t mixed = ((<uint64_t>value << 32) | following) * <uint64_t>0x9E3779B97F4A7C15
    return mixed ^ (mixed >> 29)


cdef int interner_grow(Interner *interner) noexcept nogil:
    """Double the room; -1 without memory."""
    cdef uint32_t room = interner.room * 2 if interner.room else 1024
    cdef uint64_t slot_count = <uint64_t>room * 2
    cdef uint32_t index
    cdef uint64_t slot
    cdef ChainNode *nodes = <ChainNode *>realloc(interner.nodes, room * sizeof(ChainNode))
    if nodes == NULL:
        return -1
    interner.nodes = nodes
    free(interner.slots)
    interner.slots = <uint32_t *>calloc(slot_count, sizeof(uint32_t))
    if interner.slots == NULL:
        return -1
    interner.room = room
    interner.slot_mask = slot_count - 1
    for index in range(interner.count):
        slot = chain_hash(nodes[index].value, nodes[index].next) & interner.slot_mask
        while interner.slots[slot]:
            slot = (slot + 1) & interner.slot_mask
        interner.slots[slot] = index + 1
    return 0


cdef int intern_node(Interner *interner, uint32_t value, uint32_t following, uint32_t *node) noexcept nogil:
    """The one node with this content; -1 without memory."""
    cdef uint64_t slot
    cdef uint32_t index
    if interner.count == interner.room and interner_grow(interner) < 0:
        return -1
    slot = chain_hash(value, following) & interner.slot_mask
    while interner.slots[slot]:
        index = interner.slots[slot] - 1
        if interner.nodes[index].value == value and interner.nodes[index].next == following:
            node[0] = index
            return 0
        slot = (slot + 1) & interner.slot_mask
    interner.nodes[interner.count].value = value
    interner.nodes[interner.count].next = following
    node[0] = interner.count
    interner.count += 1
    interner.slots[slot] = interner.count
    return 0


cdef int sweep(const DigitRange *ranges, uint32_t count, Interner *interner, uint64_t *starts, uint32_t *heads,
               size_t *interval_count, uint32_t *crowded) noexcept nogil:
    """Fill ``starts`` and ``heads`` (room for twice the ranges, and one) from sorted ranges; -1 without memory."""
    cdef Active active[OVERLAP_MAX]
    cdef int active_count = 0, place, touched
    cdef uint32_t taken = 0, head, last = CHAIN_END
    cdef uint64_t at, width
    cdef size_t filled = 1
    starts[0] = 0
    heads[0] = CHAIN_END
    while taken < count or active_count:
        at = ranges[taken].low if taken < count else KEY_NONE
        for place in range(active_count):
            if active[place].high + 1 < at:
                at = active[place].high + 1
        # From here on, chains up to ``touched`` are no longer true.
        touched = 0
        place = 0
        while place < active_count:
            if active[place].high + 1 == at:
                active_count -= 1
                memmove(&active[place], &active[place + 1], (active_count - place) * sizeof(Active))
                touched = place
            else:
                place += 1
        while taken < count and ranges[taken].low == at:
            if active_count == OVERLAP_MAX:
                crowded[0] = ranges[taken].order
                return 0
            width = ranges[taken].high - ranges[taken].low
            place = 0
            while place < active_count and (active[place].width < width or (
                    active[place].width == width and active[place].order < ranges[taken].order)):
                place += 1
            memmove(&active[place + 1], &active[place], (active_count - place) * sizeof(Active))
            active[place].high = ranges[taken].high
            active[place].width = width
            active[place].order = ranges[taken].order
            active[place].value = ranges[taken].value
            active_count += 1
            touched = max(touched + (place <= touched), place + 1)
            taken += 1
        while touched > 0:
            touched -= 1
            head = active[touched + 1].chain if touched + 1 < active_count else CHAIN_END
            if intern_node(interner, active[touched].value, head, &active[touched].chain) < 0:
                return -1
        head = active[0].chain if active_count else CHAIN_END
        if head != last:
            if at == 0:
                filled = 0
            starts[filled] = at
            heads[filled] = head
            filled += 1
            last = head
    interval_count[0] = filled
    return 0


@cython.final
@cython.no_gc
cdef class RangeMap:

    def __dealloc__(self):
        drop(self)

    cdef int load(self, DigitRange *ranges, uint32_t count, uint32_t *crowded) except -1:
        cdef Interner interner
        cdef uint64_t *starts = <uint64_t *>malloc((2 * <size_t>count + 1) * sizeof(uint64_t))
        cdef uint32_t *heads = <uint32_t *>malloc((2 * <size_t>count + 1) * sizeof(uint32_t))
        cdef size_t intervals = 0
        cdef int result = -1
        if self._levels:
            raise ValueError("a RangeMap is loaded once")
        interner.nodes = NULL
        interner.slots = NULL
        interner.count = interner.room = 0
        crowded[0] = 0
        with nogil:
            if starts != NULL and heads != NULL:
                qsort(ranges, count, sizeof(DigitRange), by_low)
                result = sweep(ranges, count, &interner, starts, heads, &intervals, crowded)
                if result == 0 and crowded[0] == 0:
                    result = keep(self, starts, heads, intervals, &interner)
                    if result < 0:
                        drop(self)
            free(interner.nodes)
            free(interner.slots)
            free(starts)
            free(heads)
        if result < 0:
            raise MemoryError("no memory for the table of ranges")
        self.range_count = count
        return 0

    @cython.boundscheck(False)
    @cython.wraparound(False)
    cdef const ChainNode *find(self, uint64_t key) noexcept nogil:
        # Bounded by construction: a separator that has no node below it is KEY_NONE, which no number reaches, and the
        # first interval begins at 0, so at least one key of the leaf is not above the number.
        cdef size_t node = 0
        cdef int level = self._levels - 1, place, way
        cdef const uint64_t *keys
        cdef uint32_t head
        if level < 0 or key >= KEY_NONE:
            return NULL
        while level > 0:
            keys = self._level[level] + node * NODE_KEYS
            way = 0
            for place in range(NODE_KEYS):
                way += keys[place] <= key
            node = node * NODE_WAYS + way
            level -= 1
        keys = self._level[0] + node * NODE_KEYS
        prefetch(self._heads + node * NODE_KEYS)
        way = -1
        for place in range(NODE_KEYS):
            way += keys[place] <= key
        head = self._heads[node * NODE_KEYS + way]
        return NULL if head == CHAIN_END else &self._nodes[head]

    cdef const ChainNode *following(self, const ChainNode *node) noexcept nogil:
        return NULL if node.next == CHAIN_END else &self._nodes[node.next]


cdef void drop(RangeMap table) noexcept nogil:
    cdef int level
    for level in range(table._levels):
        free(table._level[level])
        table._level[level] = NULL
    free(table._heads)
    free(table._nodes)
    table._heads = NULL
    table._nodes = NULL
    table._levels = 0


cdef uint64_t first_key(RangeMap table, int level, size_t node) noexcept nogil:
    while level > 0:
        node *= NODE_WAYS
        level -= 1
    return table._level[0][node * NODE_KEYS]


cdef int keep(RangeMap table, const uint64_t *starts, const uint32_t *heads, size_t intervals,
               const Interner *interner) noexcept nogil:
    """Lay the intervals out as a tree; -1 without memory."""
    cdef size_t nodes = (intervals + NODE_KEYS - 1) // NODE_KEYS, below, node, index
    cdef int level, way
    cdef void *memory
    # Each way of a separator node stands for the first key below it; the first way needs no separator.
    table.interval_count = intervals
    while True:
        if posix_memalign(&memory, CACHE_LINE, nodes * CACHE_LINE) != 0:
            return -1
        table._level[table._levels] = <uint64_t *>memory
        table._level_nodes[table._levels] = nodes
        table._levels += 1
        table.size_bytes += nodes * CACHE_LINE
        if nodes == 1:
            break
        nodes = (nodes + NODE_WAYS - 1) // NODE_WAYS
    for index in range(table._level_nodes[0] * NODE_KEYS):
        table._level[0][index] = starts[index] if index < intervals else KEY_NONE
    for level in range(1, table._levels):
        for node in range(table._level_nodes[level]):
            for way in range(1, NODE_WAYS):
                below = node * NODE_WAYS + way
                table._level[level][node * NODE_KEYS + way - 1] = (
                    first_key(table, level - 1, below) if below < table._level_nodes[level - 1] else KEY_NONE)
    if posix_memalign(&memory, CACHE_LINE, table._level_nodes[0] * NODE_KEYS * sizeof(uint32_t)) != 0:
        return -1
    table._heads = <uint32_t *>memory
    memcpy(table._heads, heads, intervals * sizeof(uint32_t))
    table.size_bytes += table._level_nodes[0] * NODE_KEYS * sizeof(uint32_t)
    table._nodes = <ChainNode *>malloc((interner.count + 1) * sizeof(ChainNode))
    if table._nodes == NULL:
        return -1
    if interner.count:
        memcpy(table._nodes, interner.nodes, interner.count * sizeof(ChainNode))
    table._node_count = interner.count
    table.size_bytes += (interner.count + 1) * sizeof(ChainNode)
    return 0


cdef object read_range(const uint8_t *data, Py_ssize_t low_begin, Py_ssize_t low_end, Py_ssize_t high_begin,
                       Py_ssize_t high_end, DigitRange *out):
    cdef Py_ssize_t low_size = low_end - low_begin, high_size = high_end - high_begin
    cdef uint64_t spread
    if pan_key(data + low_begin, <int>min(low_size, PAN_DIGITS_MAX + 1), &out.low) < 0:
        return low_begin, "the low end must be 1 to 19 digits"
    spread = POWERS_OF_TEN[PAN_DIGITS_MAX - low_size] - 1
    if high_size == 0:
        out.high = out.low + spread
        return None
    if pan_key(data + high_begin, <int>min(high_size, PAN_DIGITS_MAX + 1), &out.high) < 0:
        return high_begin, "the high end must be 1 to 19 digits, or empty when the low end is a prefix"
    if high_size != low_size:
        return high_begin, f"the high end has {high_size} digits, the low end {low_size}: they must have equally many"
    if out.high < out.low:
        return high_begin, "the high end is below the low end"
    out.high += spread
    return None
