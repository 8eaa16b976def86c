"""Stand-in: which payments the switch may approve while their issuer cannot be asked, and how much of them."""

import os

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from switch.base.invariant cimport ensure
from switch.base.shared_memory cimport SharedMemory
from switch.base.siphash cimport siphash
from switch.base.stats cimport stats_add, stats_set
from switch.tables.count_log cimport COUNTED_PAN_MAX, CountLog, Counted
from switch.tables.ranges cimport OVERLAP_MAX, DigitRange, pan_key, read_range
from switch.tables.time_windows cimport WINDOW_SLICES, WindowPlace

VERDICTS = ("allowed", "kind", "bin", "pin", "currency", "amount", "card_amount", "card_count", "outstanding")
LIMITS_MAX = STAND_IN_LIMITS_MAX

cdef enum:
    NO_LIMIT = -1
    ALL_WINDOWS = 1           # the one shard of the table, whose lock is that of the whole rule


@cython.final
cdef class StandIn:
    """The rule of one link; see the type stub."""

    def __init__(self, Stats stats not None, str link, *, uint64_t kinds, bins, bint allows_pin,
                 uint32_t window_seconds, uint32_t cards_room, limits, uint32_t workers=1, uint32_t far=0):
        cdef bytes secret = os.urandom(sizeof(SipKey))
        cdef StandInLimit *limit
        memcpy(&self._secret, <const uint8_t *><const char *>secret, sizeof(SipKey))
        if len(limits) > STAND_IN_LIMITS_MAX:
            raise ValueError(f"{len(limits)} limits; there may be {STAND_IN_LIMITS_MAX}")
        if not 1 <= workers <= stats.workers:
            raise ValueError(f"{workers} workers; the statistics have room for {stats.workers}")
        self.kinds = kinds
        self.allows_pin = allows_pin
        self.windows = WindowTable(cards_room, 0, workers > 1, 1)
        self._workers = workers
        self._far = far
        self._is_replaying = workers > 1
        self._share(STAND_IN_LIMITS_MAX * (workers + far) * sizeof(int64_t) + workers)
        # The slice under way does not count towards covering the window.
        self._slice_ms = <uint32_t>((<uint64_t>window_seconds * 1000 + WINDOW_SLICES - 2) // (WINDOW_SLICES - 1))
        if bins:
            self._bins = RangeMap()
            take_bins(self._bins, list(bins))
        for currency, amount_max, card_amount_max, card_count_max, outstanding_max in limits:
            limit = &self._limits[self._limit_count]
            self._limit_count += 1
            limit.currency = currency
            limit.amount_max = amount_max
            limit.card_amount_max = -1 if card_amount_max is None else card_amount_max
            limit.card_count_max = -1 if card_count_max is None else card_count_max
            limit.outstanding_max = -1 if outstanding_max is None else outstanding_max
        self._register(stats, link)

    def __dealloc__(self):
        if self._workers == 1:            # the memory that several share may be gone by now
            free(self._outstanding)

    cdef int _share(self, size_t size) except -1:
        """Make room for what is outstanding, which the workers share where there are several."""
        if self._workers > 1:
            self._memory = SharedMemory(size)
            self._outstanding = <int64_t *>self._memory.start
        else:
            self._outstanding = <int64_t *>calloc(1, size)
            if self._outstanding == NULL:
                raise MemoryError("no memory for stand-in")
        self._was_replayed = <uint8_t *>(self._outstanding + STAND_IN_LIMITS_MAX * (self._workers + self._far))
        return 0

    cdef int _register(self, Stats stats, str link) except -1:
        """Count in these."""
        cdef StandInLimit *limit
        cdef int number
        self._stats = stats
        self._link = link
        for number in range(self._limit_count):
            limit = &self._limits[number]
            labels = {"link": link, "currency": f"{limit.currency:03d}"}
            limit.approvals_counter = stats.counter(
                "authswitch_stand_in_approvals_total", "Payments approved by stand-in.", labels)
            limit.amount_counter = stats.counter(
                "authswitch_stand_in_amount_total", "Sum of the payments approved by stand-in, in minor units.", labels)
            limit.outstanding_gauge = stats.gauge(
                "authswitch_stand_in_outstanding",
                "Sum of the approvals by stand-in that the issuer has not been told yet, in minor units.", labels)
        for number, name in enumerate(VERDICTS):
            if number:
                self._refused[number] = stats.counter(
                    "authswitch_stand_in_refused_total", "Payments that stand-in did not cover, by what forbade it.",
                    {"link": link, "limit": name})
        return 0

    def forked(self, Stats stats not None):
        cdef StandIn other = StandIn.__new__(StandIn)
        if self._workers == 1:
            raise ValueError("it was made for one process")
        other.kinds = self.kinds
        other.allows_pin = self.allows_pin
        other.windows = self.windows
        other._slice_ms = self._slice_ms
        other._bins = self._bins
        other._secret = self._secret
        memcpy(other._limits, self._limits, sizeof(self._limits))
        other._limit_count = self._limit_count
        other._workers = self._workers
        other._far = self._far
        other._memory = self._memory
        other._outstanding = self._outstanding
        other._was_replayed = self._was_replayed
        other._is_replaying = True
        other._register(stats, self._link)
        return other

    cdef int _limit_of(self, int currency) noexcept nogil:
        cdef int number
        for number in range(self._limit_count):
            if self._limits[number].currency == currency:
                return number
        return NO_LIMIT

    cdef void _add(self, int limit, int64_t amount_minor) noexcept nogil:
        """Change this worker's part of what is outstanding: one number, which nobody finds half written."""
        cdef int64_t *part = &self._outstanding[limit * (self._workers + self._far) + self._own()]
        if self._is_replaying:
            self._replayed[limit] += amount_minor
            return
        part[0] += amount_minor
        stats_set(self._stats, self._limits[limit].outstanding_gauge, <uint64_t>part[0])

    cdef int64_t _outstanding_of(self, int limit) noexcept nogil:
        cdef int64_t total = 0
        cdef uint32_t worker
        for worker in range(self._workers + self._far):
            total += self._outstanding[limit * (self._workers + self._far) + worker]
        return total

    cdef uint32_t _own(self) noexcept nogil:
        """The number of this worker among those of this node."""
        return self._stats.worker if self._workers > 1 else 0

    cdef WindowPlace _window(self, int currency, const uint8_t *pan, int pan_digits) noexcept nogil:
        """That of a card, as it is found while all windows are held."""
        cdef WindowPlace place
        place.home = 0
        place.key = siphash(&self._secret, pan, pan_digits) ^ (<uint64_t>currency * <uint64_t>0x9E3779B97F4A7C15)
        self.windows.fetch(&place, 1)
        return place

    cdef int claim(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                   bint has_pin, int64_t now_ns) noexcept nogil:
        cdef WindowPlace window
        cdef int verdict
        self.windows.hold(ALL_WINDOWS)
        verdict = self._judge(kind, currency, amount_minor, pan, pan_digits, has_pin, now_ns)
        if verdict == STAND_IN_ALLOWED:
            self._add(self._limit_of(currency), amount_minor)
            window = self._window(currency, pan, pan_digits)
            self.windows.add(&window, milliseconds(now_ns), self._slice_ms, WINDOW_SLICES, amount_minor)
        self.windows.release(ALL_WINDOWS)
        if verdict == STAND_IN_ALLOWED:
            self._note(currency, amount_minor, pan, pan_digits, now_ns, False)
        else:
            stats_add(self._stats, self._refused[verdict], 1)
        return verdict

    cdef int _judge(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                    bint has_pin, int64_t now_ns) noexcept nogil:
        cdef WindowPlace window
        cdef const StandInLimit *limit
        cdef uint64_t key, count
        cdef int64_t amount
        cdef int number
        if not (self.kinds >> kind) & 1:
            return STAND_IN_KIND
        if pan_key(pan, pan_digits, &key) != 0 or (self._bins is not None and self._bins.find(key) == NULL):
            return STAND_IN_BIN
        if has_pin and not self.allows_pin:
            return STAND_IN_PIN
        number = self._limit_of(currency)
        if number == NO_LIMIT:
            return STAND_IN_CURRENCY
        limit = &self._limits[number]
        if amount_minor <= 0 or amount_minor > limit.amount_max:
            return STAND_IN_AMOUNT
        window = self._window(currency, pan, pan_digits)
        self.windows.total(&window, self.windows.slice_at(milliseconds(now_ns), self._slice_ms, WINDOW_SLICES), &count,
                           &amount)
        if limit.card_amount_max >= 0 and amount_minor > limit.card_amount_max - amount:
            return STAND_IN_CARD_AMOUNT
        if limit.card_count_max >= 0 and <int64_t>count >= limit.card_count_max:
            return STAND_IN_CARD_COUNT
        if limit.outstanding_max >= 0 and amount_minor > limit.outstanding_max - self._outstanding_of(number):
            return STAND_IN_OUTSTANDING
        return STAND_IN_ALLOWED

    cdef void approve(self, int currency, int64_t amount_minor) noexcept nogil:
        cdef int limit = self._limit_of(currency)
        if limit != NO_LIMIT:
            stats_add(self._stats, self._limits[limit].approvals_counter, 1)
            stats_add(self._stats, self._limits[limit].amount_counter, <uint64_t>amount_minor)

    cdef void recount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil:
        cdef WindowPlace window
        cdef int limit = self._limit_of(currency)
        if limit == NO_LIMIT:
            return                        # of a restart with other limits
        self._add(limit, amount_minor)
        if self._is_replaying and self._was_replayed[self._stats.worker]:
            return                        # its card's window has outlived the worker that counted in it
        self.windows.hold(ALL_WINDOWS)
        window = self._window(currency, pan, pan_digits)
        self.windows.add(&window, milliseconds(counted_ns), self._slice_ms, WINDOW_SLICES, amount_minor)
        self.windows.release(ALL_WINDOWS)

    def replayed(self):
        """All journals of this worker were replayed: what is outstanding is what they told."""
        cdef int limit
        if not self._is_replaying:
            return
        self._is_replaying = False
        for limit in range(self._limit_count):
            self._outstanding[limit * (self._workers + self._far) + self._stats.worker] = 0
            self._add(limit, self._replayed[limit])
        self._was_replayed[self._stats.worker] = 1

    cdef void settle(self, int currency, int64_t amount_minor) noexcept nogil:
        cdef int limit = self._limit_of(currency)
        if limit != NO_LIMIT:
            self._add(limit, -amount_minor)

    cdef void uncount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil:
        if self._limit_of(currency) == NO_LIMIT:
            return
        self._take_back(currency, amount_minor, pan, pan_digits, milliseconds(counted_ns))
        self._note(currency, amount_minor, pan, pan_digits, counted_ns, True)

    cdef void _take_back(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                         uint64_t counted_ms) noexcept nogil:
        cdef WindowPlace window
        self.windows.hold(ALL_WINDOWS)
        window = self._window(currency, pan, pan_digits)
        self.windows.take_back(&window, self.windows.slice_at(counted_ms, self._slice_ms, WINDOW_SLICES),
                               amount_minor, 0)
        self.windows.release(ALL_WINDOWS)

    # --- other nodes ----------------------------------------------------------------------------------------------

    def use_log(self, CountLog log not None, uint16_t link):
        """Note for other nodes what is counted from now on, as of this link."""
        self._log = log
        self._link_number = link

    cdef void _note(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits, int64_t moment_ns,
                    bint is_taken_back) noexcept nogil:
        cdef Counted counted
        if self._log is None or not 0 < pan_digits <= <int>COUNTED_PAN_MAX:
            return
        memset(&counted, 0, sizeof(counted))
        counted.amount_minor = amount_minor
        counted.moment_ms = milliseconds(moment_ns)
        counted.currency = currency
        counted.link = self._link_number
        counted.is_stand_in = True
        counted.is_taken_back = is_taken_back
        counted.pan_digits = <uint8_t>pan_digits
        memcpy(counted.pan, pan, <size_t>pan_digits)
        self._log.append(&counted)

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil:
        cdef WindowPlace window
        if self._limit_of(counted.currency) == NO_LIMIT:
            return
        if counted.is_taken_back:
            self._take_back(counted.currency, counted.amount_minor, counted.pan, counted.pan_digits, counted.moment_ms)
            return
        self.windows.hold(ALL_WINDOWS)
        window = self._window(counted.currency, counted.pan, counted.pan_digits)
        self.windows.add_late(&window, counted.moment_ms, now_ms, self._slice_ms, WINDOW_SLICES, counted.amount_minor)
        self.windows.release(ALL_WINDOWS)

    cdef int own_outstanding(self, int limit, int32_t *currency, int64_t *amount_minor) noexcept nogil:
        if limit >= self._limit_count:
            return -1
        currency[0] = self._limits[limit].currency
        amount_minor[0] = self._outstanding[limit * (self._workers + self._far) + self._own()]
        return 0

    cdef void hear_outstanding(self, uint32_t far, int currency, int64_t amount_minor) noexcept nogil:
        cdef int limit = self._limit_of(currency)
        ensure(far < self._far, b"a worker of another node has a part of its own")
        if limit != NO_LIMIT:
            self._outstanding[limit * (self._workers + self._far) + self._workers + far] = amount_minor

    # --- callers in Python ----------------------------------------------------------------------------------------

    def claim_payment(self, int kind, str pan, int64_t amount_minor, int currency, bint has_pin=False,
                      int64_t now_ns=0):
        cdef bytes digits = pan.encode("ascii")
        return VERDICTS[self.claim(kind, currency, amount_minor, <const uint8_t *><const char *>digits, len(digits),
                                   has_pin, now_ns)]

    def give_back(self, str pan, int64_t amount_minor, int currency, int64_t now_ns=0):
        cdef bytes digits = pan.encode("ascii")
        self.settle(currency, amount_minor)
        self.uncount(currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), now_ns)

    def recount_payment(self, str pan, int64_t amount_minor, int currency, int64_t now_ns=0):
        cdef bytes digits = pan.encode("ascii")
        self.recount(currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), now_ns)

    def outstanding(self, int currency):
        cdef int limit = self._limit_of(currency)
        return 0 if limit == NO_LIMIT else self._outstanding_of(limit)


cdef inline uint64_t milliseconds(int64_t moment_ns) noexcept nogil:
    return <uint64_t>(max(moment_ns, 0) // 1_000_000)


cdef int take_bins(RangeMap bins, list pairs) except -1:
    cdef uint32_t crowded = 0
    cdef uint32_t number
    cdef bytes ends
    cdef DigitRange *ranges = <DigitRange *>calloc(len(pairs), sizeof(DigitRange))
    if ranges == NULL:
        raise MemoryError("no memory for the BINs")
    try:
        for number, (low, high) in enumerate(pairs):
            ends = (low + high).encode()
            wrong = read_range(<const uint8_t *><const char *>ends, 0, len(low), len(low), len(ends), &ranges[number])
            if wrong is not None:
                raise ValueError(f"BIN {low}: {wrong[1]}")
            ranges[number].order = number + 1
        bins.load(ranges, len(pairs), &crowded)
        if crowded:
            raise ValueError(f"more than {OVERLAP_MAX} BINs would hold the same card number")
    finally:
        free(ranges)
    return 0
