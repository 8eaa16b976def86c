"""A table of two sets of places for each device, cut into shards that are locked one at a time."""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from switch.base.shared_memory cimport (
    LOCK_OF_THE_DEAD, SharedMemory, lock_init, lock_release, lock_take, stored_before_here,
)
from switch.wire.cursor cimport store_be64
from switch.wire.hexadecimal cimport write_hex

cdef enum:
    FIRST_SHIFT = 8           # which bits of it choose the one set, and the other
    SECOND_SHIFT = 36
    COPIED_PLACES = 1024      # at once, under the lock
    LINE_MAX = 2 * SERIAL_SIZE_AES + 36


cdef inline uint64_t hash_of(uint64_t device, bint is_aes) noexcept nogil:
    """The finish of splitmix64: every bit of the device is in every bit of it."""
    cdef uint64_t mixed = device + (<uint64_t>0x9E3779B97F4A7C15 if is_aes else 0)
    mixed = (mixed ^ mixed >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * <uint64_t>0x94D049BB133111EB
    return mixed ^ mixed >> 31


cdef inline uint8_t *write_number(uint64_t number, int bytes_used, uint8_t *text) noexcept nogil:
    """Its last bytes in hex digits, and a blank; what stands behind them."""
    cdef uint8_t whole[8]
    store_be64(whole, number)
    write_hex(whole + sizeof(whole) - bytes_used, bytes_used, text)
    text[2 * bytes_used] = c' '
    return text + 2 * bytes_used + 1


cdef uint8_t *write_serial_number(const DeviceCounter *place, uint8_t *text) noexcept nogil:
    cdef int bits = AES_COUNTER_BITS if place.is_aes else DES_COUNTER_BITS
    # The blank behind the first half is written over.
    text = write_number(place.device >> (64 - bits), (SERIAL_SIZE_AES if place.is_aes else SERIAL_SIZE_DES) - 8, text)
    return write_number(place.device << bits | place.counter, 8, text - 1)


cdef size_t write_serial_numbers(const DeviceCounter *places, uint64_t count, uint8_t *text) noexcept nogil:
    """A line for each place that is not empty; how many bytes all have."""
    cdef uint8_t *at = text
    cdef uint64_t number
    cdef int byte
    for number in range(count):
        if places[number].counter == 0:
            continue
        at = write_serial_number(&places[number], at)
        at = write_number(places[number].request, sizeof(places[number].request), at)
        at = write_number(places[number].counted_s, sizeof(places[number].counted_s), at)
        for byte in range(sizeof(places[number].terminal)):
            at[byte] = (<const uint8_t *>&places[number].terminal)[byte] or c' '
        at[sizeof(places[number].terminal)] = c'\n'
        at += sizeof(places[number].terminal) + 1
    return at - text


cdef inline Standing standing_of(const DeviceCounter *place, uint32_t counter, const Bringer *by) noexcept nogil:
    if counter == 0:
        return COUNTER_PASSED
    if place == NULL:
        return COUNTER_AHEAD
    if (counter == place.counter and by.terminal == place.terminal and by.request == place.request
            and by.wall_s - place.counted_s <= by.repeats_s):
        return COUNTER_AGAIN
    if counter <= place.counter:
        return COUNTER_PASSED
    if place.terminal != by.terminal and place.terminal != by.former and place.terminal != 0:
        return COUNTER_ELSEWHERE
    return COUNTER_AHEAD


@cython.final
@cython.no_gc
cdef class DeviceCounters:

    def __cinit__(self, uint32_t room, bint is_shared=False):
        cdef uint64_t sets = 2
        cdef size_t size
        cdef char *start
        cdef int number
        if room < 1:
            raise ValueError("a table of devices needs room for at least one")
        # A fourth of the places is spare, so that two full sets are rare before the table is.
        while sets * DEVICE_PLACES * DEVICE_SHARDS < <uint64_t>room + room // 3:
            sets *= 2
        size = DEVICE_SHARDS * sizeof(DeviceShard) + sets * DEVICE_PLACES * DEVICE_SHARDS * sizeof(DeviceCounter)
        if is_shared:
            self._memory = SharedMemory(size)
            start = self._memory.start
        else:
            start = <char *>calloc(1, size)
        if start == NULL:
            raise MemoryError("no memory for the counters of devices")
        self.room = room
        self.is_shared = is_shared
        self._set_mask = sets - 1
        self._shards = <DeviceShard *>start
        self._places = <DeviceCounter *>(start + DEVICE_SHARDS * sizeof(DeviceShard))
        if is_shared:
            for number in range(DEVICE_SHARDS):
                lock_init(&self._shards[number].lock)

    def __dealloc__(self):
        if self._memory is None:
            free(self._shards)

    @property
    def size_bytes(self):
        return DEVICE_SHARDS * (sizeof(DeviceShard) + (self._set_mask + 1) * DEVICE_PLACES * sizeof(DeviceCounter))

    @property
    def used(self):
        return sum([self._shards[number].used for number in range(DEVICE_SHARDS)])

    @property
    def evicted(self):
        return sum([self._shards[number].evicted for number in range(DEVICE_SHARDS)])

    @property
    def heard(self):
        """How often a device was heard of: changes whenever anything does."""
        return sum([self._shards[number].heard for number in range(DEVICE_SHARDS)])

    def learn(self, uint64_t device, bint is_aes, uint32_t counter, str terminal="", uint64_t request=0,
              uint32_t counted_s=0):
        cdef bytes name = terminal.encode("ascii").ljust(sizeof(uint64_t))
        cdef Bringer by
        if len(name) > <Py_ssize_t>sizeof(by.terminal):
            raise ValueError(f"{terminal!r} is no number of a terminal")
        memset(&by, 0, sizeof(by))
        if terminal:
            memcpy(&by.terminal, <const char *>name, sizeof(by.terminal))
        by.request, by.wall_s = request, counted_s
        self.judge(device, is_aes, counter, &by)
        self.advance(device, is_aes, counter, &by)

    def serial_numbers(self):
        cdef uint64_t per_shard = (self._set_mask + 1) * DEVICE_PLACES
        cdef uint64_t shard, begin, count
        cdef DeviceCounter copied[COPIED_PLACES]
        cdef uint8_t text[COPIED_PLACES * LINE_MAX]
        cdef size_t size
        cdef list pieces = []
        for shard in range(DEVICE_SHARDS):
            for begin in range(0, per_shard, COPIED_PLACES):
                count = min(per_shard - begin, <uint64_t>COPIED_PLACES)
                # With the interpreter's lock: it keeps others from a table that is not shared.
                self._hold(shard)
                memcpy(copied, &self._places[shard * per_shard + begin], count * sizeof(DeviceCounter))
                self._release(&self._shards[shard])
                with nogil:
                    size = write_serial_numbers(copied, count, text)
                pieces.append(text[:size])
        return b"".join(pieces)

    # --- held ---------------------------------------------------------------------------------------------------------

    cdef DeviceShard *_hold(self, uint64_t hashed) noexcept nogil:
        cdef uint64_t number = hashed & (DEVICE_SHARDS - 1)
        cdef DeviceShard *shard = &self._shards[number]
        cdef uint64_t per_shard = (self._set_mask + 1) * DEVICE_PLACES
        cdef uint64_t place
        if self.is_shared and lock_take(&shard.lock) == LOCK_OF_THE_DEAD:
            shard.used = 0                    # who died may have left it behind the places
            for place in range(number * per_shard, (number + 1) * per_shard):
                shard.used += self._places[place].counter != 0
        return shard

    cdef void _release(self, DeviceShard *shard) noexcept nogil:
        if self.is_shared:
            lock_release(&shard.lock)

    cdef DeviceCounter *_set(self, uint64_t hashed, int which) noexcept nogil:
        cdef uint64_t number = (hashed & (DEVICE_SHARDS - 1)) * (self._set_mask + 1)
        number += hashed >> (SECOND_SHIFT if which else FIRST_SHIFT) & self._set_mask
        return &self._places[number * DEVICE_PLACES]

    cdef DeviceCounter *_find(self, uint64_t hashed, uint64_t device, bint is_aes) noexcept nogil:
        cdef DeviceCounter *places
        cdef int which, number
        for which in range(2):
            places = self._set(hashed, which)
            for number in range(DEVICE_PLACES):
                if places[number].counter and places[number].device == device and places[number].is_aes == is_aes:
                    return &places[number]
        return NULL

    cdef DeviceCounter *_place(self, DeviceShard *shard, uint64_t hashed) noexcept nogil:
        """An empty place: of the emptier set, or of who was heard least lately."""
        cdef DeviceCounter *oldest = NULL
        cdef DeviceCounter *free_place[2]
        cdef DeviceCounter *places
        cdef int empty[2]
        cdef int which, number
        for which in range(2):
            places = self._set(hashed, which)
            free_place[which] = NULL
            empty[which] = 0
            for number in range(DEVICE_PLACES):
                if places[number].counter == 0:
                    free_place[which] = &places[number]
                    empty[which] += 1
                elif oldest == NULL or places[number].heard < oldest.heard:
                    oldest = &places[number]
        if empty[0] or empty[1]:
            shard.used += 1
            return free_place[0] if empty[0] >= empty[1] else free_place[1]
        shard.evicted += 1
        oldest.counter = 0
        return oldest

    cdef Standing judge(self, uint64_t device, bint is_aes, uint32_t counter, Bringer *by) noexcept nogil:
        cdef uint64_t hashed = hash_of(device, is_aes)
        cdef DeviceShard *shard = self._hold(hashed)
        cdef const DeviceCounter *place = self._find(hashed, device, is_aes)
        cdef Standing standing
        by.former = 0
        standing = standing_of(place, counter, by)
        if standing == COUNTER_ELSEWHERE:
            by.former = place.terminal
        self._release(shard)
        return standing

    cdef Standing advance(self, uint64_t device, bint is_aes, uint32_t counter, const Bringer *by) noexcept nogil:
        cdef uint64_t hashed = hash_of(device, is_aes)
        cdef DeviceShard *shard = self._hold(hashed)
        cdef DeviceCounter *place = self._find(hashed, device, is_aes)
        cdef Standing standing = standing_of(place, counter, by)
        if standing == COUNTER_AHEAD:
            if place == NULL:
                place = self._place(shard, hashed)
                stored_before_here()
                place.device = device
                place.is_aes = is_aes
            place.terminal = by.terminal
            place.request = by.request
            place.counted_s = <uint32_t>by.wall_s
            stored_before_here()
            place.counter = counter
            shard.heard += 1
            place.heard = shard.heard
        self._release(shard)
        return standing
