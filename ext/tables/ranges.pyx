"""Flattening of nested ranges into disjoint intervals, and the search among them.

Loading sweeps over the sorted ranges once. Wherever the set of ranges that hold a number changes, an interval begins;
it names a chain of the ranges in that set, narrowest first. Equal chain ends are shared, so properly nested ranges
need no more chain nodes than there are ranges, and intervals with the same chain are joined.

A search among a million ranges costs what it misses in the caches, so the intervals are packed: neighbours share a
cache line, where a beginning takes 2, 4 or 8 bytes and a chain 1, 2 or 4, whichever holds most of them. Above the lines
stands a static tree of separators, 8 to a cache line (9 ways a level), small enough to stay in the second cache.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove, memset

cimport cython

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **out, size_t alignment, size_t size)

cdef extern from "sys/mman.h" nogil:
    int madvise(void *address, size_t size, int advice)
    int MADV_HUGEPAGE

cdef enum:
    CACHE_LINE = 64
    HUGE_PAGE = 2 * 1024 * 1024
    BLOCK_BYTES = 61          # of a block, for intervals
    NODE_WAYS = NODE_KEYS + 1
    FORMAT_COUNT = 9
    KEYS_BYTES = 48           # of a block, within which the keys of any format stand
    SHORT_KEYS = 24
    MIDDLE_KEYS = 12
    LONG_KEYS = 6

cdef struct BlockFormat:
    int key_bytes
    int head_bytes
    int room                  # intervals
    int heads_at              # offset of the first head
    uint64_t key_max          # the largest distance; one above it stands behind the last
    uint64_t head_max         # this value stands for CHAIN_END

cdef BlockFormat[FORMAT_COUNT] FORMATS

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


cdef void fill_constants() noexcept:
    cdef int exponent, number, room
    cdef BlockFormat *format
    POWERS_OF_TEN[0] = 1
    for exponent in range(1, PAN_DIGITS_MAX + 1):
        POWERS_OF_TEN[exponent] = POWERS_OF_TEN[exponent - 1] * 10
    for number in range(FORMAT_COUNT):
        format = &FORMATS[number]
        format.key_bytes = 2 << (number // 3)
        format.head_bytes = 1 << (number % 3)
        room = (<int>BLOCK_BYTES + format.key_bytes) // (format.key_bytes + format.head_bytes)
        format.room = room
        format.heads_at = (room - 1) * format.key_bytes
        format.key_max = (KEY_NONE >> (64 - 8 * format.key_bytes)) - 1
        format.head_max = KEY_NONE >> (64 - 8 * format.head_bytes)


fill_constants()


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
        if self._blocks != NULL:
            raise ValueError("a RangeMap is loaded once")
        interner.nodes = NULL
        interner.slots = NULL
        interner.count = interner.room = 0
        crowded[0] = 0
        with nogil:
            if starts != NULL and heads != NULL:
                if count:                 # qsort takes no NULL, even for nothing
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
    @cython.cdivision(True)
    cdef const ChainNode *find(self, uint64_t key) noexcept nogil:
        # Bounded by construction: a separator that has nothing below it is KEY_NONE, which no number reaches, and a
        # block holds as many intervals as it says. The first interval begins at 0, so one is always found.
        cdef size_t node = 0
        cdef int level = self._levels - 1, place, way
        cdef const uint64_t *keys
        cdef const Block *block
        cdef uint64_t begin = 0, left
        cdef uint32_t head
        if self._blocks == NULL or key >= KEY_NONE:
            return NULL
        while level >= 0:
            keys = self._level[level] + node * NODE_KEYS
            way = 0
            for place in range(NODE_KEYS):
                way += keys[place] <= key
            # The separator left of the way is where everything below it begins. There is always one to be read, so
            # that no branch has to be guessed: an unused cache line stands before the first node.
            left = keys[way - 1]
            begin = left if way else begin
            node = node * NODE_WAYS + way
            level -= 1
        block = self._blocks + node
        head = head_within(block, (key - begin) // POWERS_OF_TEN[block.exponent])
        return NULL if head == CHAIN_END else &self._nodes[head]

    cdef const ChainNode *following(self, const ChainNode *node) noexcept nogil:
        return NULL if node.next == CHAIN_END else &self._nodes[node.next]


@cython.boundscheck(False)
@cython.wraparound(False)
cdef inline uint32_t head_within(const Block *block, uint64_t distance) noexcept nogil:
    """The chain of the last interval of a block that does not begin beyond the distance."""
    # All places for keys are compared, and those that hold none are left out: a loop of fixed length has no branch to
    # be guessed wrong, and the compiler does 8 steps of it at once.
    cdef const BlockFormat *format = &FORMATS[block.format]
    cdef uint16_t short_keys[SHORT_KEYS]
    cdef uint32_t middle_keys[MIDDLE_KEYS]
    cdef uint64_t long_keys[LONG_KEYS]
    cdef uint16_t short_found = 0, short_last = block.count - 1, short_distance, place, short_head
    cdef uint32_t middle_found = 0, middle_last = block.count - 1, middle_distance, middle_place
    cdef uint32_t found, long_head
    if format.key_bytes == 2:
        memcpy(short_keys, block.data, KEYS_BYTES)
        short_distance = min(distance, format.key_max)
        for place in range(SHORT_KEYS):
            short_found += (short_keys[place] <= short_distance) & (place < short_last)
        found = short_found
    elif format.key_bytes == 4:
        memcpy(middle_keys, block.data, KEYS_BYTES)
        middle_distance = min(distance, format.key_max)
        for middle_place in range(<uint32_t>MIDDLE_KEYS):
            middle_found += (middle_keys[middle_place] <= middle_distance) & (middle_place < middle_last)
        found = middle_found
    else:
        memcpy(long_keys, block.data, KEYS_BYTES)
        found = 0
        for middle_place in range(<uint32_t>LONG_KEYS):
            found += (long_keys[middle_place] <= distance) & (middle_place < middle_last)
    if format.head_bytes == 1:
        long_head = block.data[format.heads_at + found]
    elif format.head_bytes == 2:
        memcpy(&short_head, block.data + format.heads_at + 2 * found, 2)
        long_head = short_head
    else:
        memcpy(&long_head, block.data + format.heads_at + 4 * found, 4)
    return CHAIN_END if long_head == format.head_max else long_head


cdef int fitting(const BlockFormat *format, const uint64_t *starts, const uint32_t *heads, size_t left,
                 int *exponent) noexcept nogil:
    """How many intervals from here on one block of this format holds, and the unit of their distances."""
    cdef int count = 0, unit = PAN_DIGITS_MAX, finer
    cdef uint64_t distance
    while count < format.room and <size_t>count < left:
        if heads[count] != <uint32_t>CHAIN_END and heads[count] >= format.head_max:
            break
        distance = starts[count] - starts[0]
        finer = unit
        while distance % POWERS_OF_TEN[finer]:
            finer -= 1
        if distance // POWERS_OF_TEN[finer] > format.key_max:
            break
        unit = finer
        count += 1
    exponent[0] = unit
    return count


cdef int pack(const uint64_t *starts, const uint32_t *heads, size_t left, Block *block) noexcept nogil:
    """Fill one block with as many intervals as any format allows; how many."""
    cdef int number, count, unit, place, offset
    cdef uint64_t distance
    cdef uint32_t head
    cdef const BlockFormat *format
    memset(block, 0, sizeof(Block))
    for number in range(FORMAT_COUNT):
        if FORMATS[number].room > block.count:
            count = fitting(&FORMATS[number], starts, heads, left, &unit)
            if count > block.count:
                block.format = number
                block.count = count
                block.exponent = unit
    format = &FORMATS[block.format]
    for place in range(block.count):
        # Little-endian: the first bytes of a number are its lowest.
        if place:
            distance = (starts[place] - starts[0]) // POWERS_OF_TEN[block.exponent]
            memcpy(block.data + (place - 1) * format.key_bytes, &distance, format.key_bytes)
        head = heads[place]
        offset = format.heads_at + place * format.head_bytes
        memcpy(block.data + offset, &head, format.head_bytes)
    return block.count


cdef void drop(RangeMap table) noexcept nogil:
    cdef int level
    for level in range(table._levels):
        free(table._level[level] - NODE_KEYS)
    free(table._blocks)
    free(table._nodes)
    table._blocks = NULL
    table._nodes = NULL
    table._levels = 0


cdef void *lines(size_t count) noexcept nogil:
    """Memory for so many cache lines, in huge pages when it is much; NULL without memory."""
    cdef void *memory
    cdef size_t size = count * CACHE_LINE
    cdef size_t alignment = HUGE_PAGE if size >= HUGE_PAGE else CACHE_LINE
    if posix_memalign(&memory, alignment, size) != 0:
        return NULL
    if alignment == HUGE_PAGE:
        madvise(memory, size, MADV_HUGEPAGE)
    return memory


cdef int keep(RangeMap table, const uint64_t *starts, const uint32_t *heads, size_t intervals,
              const Interner *interner) noexcept nogil:
    """Pack the intervals into blocks and lay the tree above them; -1 without memory."""
    cdef uint64_t *firsts = <uint64_t *>malloc(intervals * sizeof(uint64_t))
    cdef size_t at = 0, room = intervals // 4 + 1
    cdef Block *packed = <Block *>malloc(room * sizeof(Block))
    cdef int result = -1
    table.interval_count = intervals
    table._nodes = <ChainNode *>malloc((interner.count + 1) * sizeof(ChainNode))
    if firsts != NULL and packed != NULL and table._nodes != NULL:
        if interner.count:
            memcpy(table._nodes, interner.nodes, interner.count * sizeof(ChainNode))
        while at < intervals:
            firsts[table._block_count] = starts[at]
            at += pack(starts + at, heads + at, intervals - at, &packed[table._block_count])
            table._block_count += 1
        table._blocks = <Block *>lines(table._block_count)
        if table._blocks != NULL:
            memcpy(table._blocks, packed, table._block_count * sizeof(Block))
            table.size_bytes = table._block_count * sizeof(Block) + (interner.count + 1) * sizeof(ChainNode)
            result = raise_tree(table, firsts)
    free(firsts)
    free(packed)
    return result


cdef int raise_tree(RangeMap table, const uint64_t *firsts) noexcept nogil:
    """Lay levels of separators above the blocks until one node is left; -1 without memory."""
    cdef size_t below = table._block_count, nodes, node, child, span = 1
    cdef int way
    cdef uint64_t *keys
    while below > 1:
        nodes = (below + NODE_WAYS - 1) // NODE_WAYS
        keys = <uint64_t *>lines(nodes + 1)
        if keys == NULL:
            return -1
        memset(keys, 0, CACHE_LINE)
        keys += NODE_KEYS
        table._level[table._levels] = keys
        table._level_nodes[table._levels] = nodes
        table._levels += 1
        table.size_bytes += (nodes + 1) * CACHE_LINE
        for node in range(nodes):
            for way in range(1, NODE_WAYS):
                child = node * NODE_WAYS + way
                keys[node * NODE_KEYS + way - 1] = firsts[child * span] if child < below else KEY_NONE
        span *= NODE_WAYS
        below = nodes
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
