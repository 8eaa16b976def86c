"""Stand-in: which payments the switch may approve while their issuer cannot be asked, and how much of them."""

import os

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from switch.base.siphash cimport siphash
from switch.base.stats cimport stats_add, stats_set
from switch.tables.ranges cimport OVERLAP_MAX, DigitRange, pan_key, read_range
from switch.tables.time_windows cimport WINDOW_SLICES

VERDICTS = ("allowed", "kind", "bin", "pin", "currency", "amount", "card_amount", "card_count", "outstanding")
LIMITS_MAX = STAND_IN_LIMITS_MAX


@cython.final
cdef class StandIn:
    """The rule of one link; see the type stub."""

    def __init__(self, Stats stats not None, str link, *, uint64_t kinds, bins, bint allows_pin,
                 uint32_t window_seconds, uint32_t cards_room, limits):
        cdef bytes secret = os.urandom(sizeof(SipKey))
        cdef StandInLimit *limit
        memcpy(&self._secret, <const uint8_t *><const char *>secret, sizeof(SipKey))
        if len(limits) > STAND_IN_LIMITS_MAX:
            raise ValueError(f"{len(limits)} limits; there may be {STAND_IN_LIMITS_MAX}")
        self.kinds = kinds
        self.allows_pin = allows_pin
        self.windows = WindowTable(cards_room)
        # The slice under way does not count towards covering the window.
        self._slice_ms = <uint32_t>((<uint64_t>window_seconds * 1000 + WINDOW_SLICES - 2) // (WINDOW_SLICES - 1))
        self._stats = stats
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
            labels = {"link": link, "currency": f"{currency:03d}"}
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

    cdef StandInLimit *_limit_of(self, int currency) noexcept nogil:
        cdef int number
        for number in range(self._limit_count):
            if self._limits[number].currency == currency:
                return &self._limits[number]
        return NULL

    cdef uint64_t _key(self, int currency, const uint8_t *pan, int pan_digits) noexcept nogil:
        return siphash(&self._secret, pan, pan_digits) ^ (<uint64_t>currency * <uint64_t>0x9E3779B97F4A7C15)

    cdef int check(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                   bint has_pin, int64_t now_ns) noexcept nogil:
        cdef int verdict = self._judge(kind, currency, amount_minor, pan, pan_digits, has_pin, now_ns)
        if verdict != STAND_IN_ALLOWED:
            stats_add(self._stats, self._refused[verdict], 1)
        return verdict

    cdef int _judge(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                    bint has_pin, int64_t now_ns) noexcept nogil:
        cdef const StandInLimit *limit
        cdef uint64_t key, count
        cdef int64_t amount
        if not (self.kinds >> kind) & 1:
            return STAND_IN_KIND
        if pan_key(pan, pan_digits, &key) != 0 or (self._bins is not None and self._bins.find(key) == NULL):
            return STAND_IN_BIN
        if has_pin and not self.allows_pin:
            return STAND_IN_PIN
        limit = self._limit_of(currency)
        if limit == NULL:
            return STAND_IN_CURRENCY
        if amount_minor <= 0 or amount_minor > limit.amount_max:
            return STAND_IN_AMOUNT
        self.windows.total(self._key(currency, pan, pan_digits),
                           self.windows.slice_at(<uint64_t>(now_ns // 1_000_000), self._slice_ms, WINDOW_SLICES),
                           &count, &amount)
        if limit.card_amount_max >= 0 and amount_minor > limit.card_amount_max - amount:
            return STAND_IN_CARD_AMOUNT
        if limit.card_count_max >= 0 and <int64_t>count >= limit.card_count_max:
            return STAND_IN_CARD_COUNT
        if limit.outstanding_max >= 0 and amount_minor > limit.outstanding_max - limit.outstanding:
            return STAND_IN_OUTSTANDING
        return STAND_IN_ALLOWED

    cdef void count(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits, bint is_new,
                    int64_t now_ns) noexcept nogil:
        cdef StandInLimit *limit = self._limit_of(currency)
        if limit == NULL:
            return                        # of a restart with other limits
        limit.outstanding += amount_minor
        stats_set(self._stats, limit.outstanding_gauge, <uint64_t>limit.outstanding)
        self.windows.add(self._key(currency, pan, pan_digits), <uint64_t>(max(now_ns, 0) // 1_000_000), self._slice_ms,
                         WINDOW_SLICES, amount_minor)
        if is_new:
            stats_add(self._stats, limit.approvals_counter, 1)
            stats_add(self._stats, limit.amount_counter, <uint64_t>amount_minor)

    cdef void settle(self, int currency, int64_t amount_minor) noexcept nogil:
        cdef StandInLimit *limit = self._limit_of(currency)
        if limit == NULL:
            return
        limit.outstanding -= amount_minor
        stats_set(self._stats, limit.outstanding_gauge, <uint64_t>limit.outstanding)

    cdef void uncount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil:
        if self._limit_of(currency) != NULL:
            self.windows.take_back(
                self._key(currency, pan, pan_digits),
                self.windows.slice_at(<uint64_t>(max(counted_ns, 0) // 1_000_000), self._slice_ms, WINDOW_SLICES),
                amount_minor)


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
