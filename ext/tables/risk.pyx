"""Risk control of one request: what is blocked first, then limits, and only then counting.

Cards, terminals and merchants are known here by a keyed hash only; no PAN is kept. The key is made anew for each
process unless the rules name one, which they must when they list blocked cards.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cimport cython

from switch.base.siphash cimport SipKey, siphash
from switch.dialect.reasons cimport (
    REASON_AMOUNT_LIMIT, REASON_APPROVED, REASON_COUNT_LIMIT, REASON_KIND_NOT_PERMITTED_TO_CARD,
    REASON_KIND_NOT_PERMITTED_TO_TERMINAL, REASON_RESTRICTED_CARD, REASON_SUSPECTED_FRAUD,
)
from switch.tables.count_log cimport COUNTED_PAN_MAX, CountLog, Counted
from switch.tables.csv_rows cimport Row, RowReader, next_row, rows_over
from switch.tables.ranges cimport ChainNode, DigitRange, OVERLAP_MAX, RangeMap, pan_key, read_range
from switch.tables.registry cimport MERCHANT_ID_MAX, Registry, TERMINAL_ID_MAX, TERMINAL_NONE
from switch.tables.time_windows cimport WINDOW_SLICES, WindowTable

import os

from switch.files.problems import ProblemList, raise_if_any

SECRET_SIZE = 16
COUNTRY_COLUMNS = ("low", "high", "country")
SCOPES = ("card", "terminal", "merchant")
BLOCK_REASONS = {"restricted-card": REASON_RESTRICTED_CARD, "suspected-fraud": REASON_SUSPECTED_FRAUD}


cdef SipKey sip_key(const uint8_t[::1] secret) except *:
    cdef SipKey key
    if secret.shape[0] != SECRET_SIZE:
        raise ValueError(f"the key of the card hash must have {SECRET_SIZE} bytes, not {secret.shape[0]}")
    memcpy(&key, &secret[0], SECRET_SIZE)
    return key


def keyed_hash(const uint8_t[::1] secret not None, bytes data not None):
    """SipHash-2-4 of the data."""
    cdef SipKey key = sip_key(secret)
    return siphash(&key, <const uint8_t *><const char *>data, len(data))


def card_hash(secret, str pan not None):
    """How a list of blocked cards writes a PAN: 16 hex digits."""
    return f"{keyed_hash(secret, pan.encode('ascii')):016x}"


@cython.final
cdef class Risk:

    def __init__(self):
        raise TypeError("a Risk is made by Risk.build")

    def __dealloc__(self):
        free(self._bin_rules)
        free(self._cards)

    @staticmethod
    def build(secret, WindowTable windows not None, *, limits=(), blocked_cards=(), bins=(), countries=b"",
              blocked_countries=(), Registry registry=None, Risk previous=None, str countries_file="countries.csv"):
        """Lay rules out as C tables; see the type stub."""
        cdef Risk risk = Risk.__new__(Risk)
        if secret is not None:
            risk._secret = sip_key(secret)
        elif previous is not None:
            risk._secret = previous._secret
        else:
            risk._secret = sip_key(os.urandom(SECRET_SIZE))
        risk.windows = windows
        risk._registry = registry
        risk._bins = RangeMap()
        risk._countries = RangeMap()
        take_limits(risk, limits)
        take_cards(risk, list(blocked_cards))
        take_bins(risk, list(bins))
        problems = ProblemList(countries_file)
        if countries:
            take_countries(risk, countries, problems)
        raise_if_any(problems)
        for country in blocked_countries:
            risk._countries_blocked[country // 64] |= <uint64_t>1 << (country % 64)
            risk._any_country_blocked = True
        return risk

    def use_log(self, CountLog log not None):
        """Note for other nodes what is counted from now on."""
        self._log = log

    def use_registry(self, Registry registry not None):
        """Look terminals and merchants up in another registry from now on."""
        self._registry = registry

    cdef int check(self, const RiskRequest *request) noexcept nogil:
        cdef uint64_t kind = <uint64_t>1 << request.kind if 0 <= request.kind < 64 else 0
        cdef uint64_t keys[<int>SCOPE_COUNT]
        cdef bint known[<int>SCOPE_COUNT]
        cdef uint64_t held
        cdef int reason
        identify(self, request, keys, known)
        reason = blocked(self, request, kind, keys[<int>SCOPE_CARD])
        if reason != REASON_APPROVED:
            return reason
        held = hold_windows(self, keys, known)
        reason = over_limit(self, request, kind, keys, known)
        if reason == REASON_APPROVED:
            add_to_windows(self, request, kind, keys, known, request.now_ms)
        self.windows.release(held)
        if reason == REASON_APPROVED:
            self._note(request, False)
        return reason

    cdef void count(self, const RiskRequest *request) noexcept nogil:
        cdef uint64_t keys[<int>SCOPE_COUNT]
        cdef bint known[<int>SCOPE_COUNT]
        identify(self, request, keys, known)
        change_windows(self, request, keys, known, False, request.now_ms)
        self._note(request, False)

    cdef void uncount(self, const RiskRequest *request) noexcept nogil:
        cdef uint64_t keys[<int>SCOPE_COUNT]
        cdef bint known[<int>SCOPE_COUNT]
        identify(self, request, keys, known)
        change_windows(self, request, keys, known, True, request.now_ms)
        self._note(request, True)

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil:
        cdef uint64_t keys[<int>SCOPE_COUNT]
        cdef bint known[<int>SCOPE_COUNT]
        cdef RiskRequest request
        memset(&request, 0, sizeof(request))
        request.kind = counted.kind
        request.currency = counted.currency
        request.amount_minor = counted.amount_minor
        request.now_ms = counted.moment_ms
        known[<int>SCOPE_CARD] = counted.pan_digits > 0
        known[<int>SCOPE_TERMINAL] = counted.terminal[0] != 0
        known[<int>SCOPE_MERCHANT] = counted.merchant[0] != 0
        keys[<int>SCOPE_CARD] = siphash(&self._secret, counted.pan, counted.pan_digits)
        keys[<int>SCOPE_TERMINAL] = siphash(&self._secret, counted.terminal, TERMINAL_ID_MAX)
        keys[<int>SCOPE_MERCHANT] = siphash(&self._secret, counted.merchant, MERCHANT_ID_MAX)
        change_windows(self, &request, keys, known, counted.is_taken_back, now_ms)

    cdef void _note(self, const RiskRequest *request, bint is_taken_back) noexcept nogil:
        cdef Counted counted
        if self._log is None or self._window_scopes == 0 or request.pan_digits > <int>COUNTED_PAN_MAX:
            return
        memset(&counted, 0, sizeof(counted))
        counted.amount_minor = request.amount_minor
        counted.moment_ms = request.now_ms
        counted.currency = request.currency
        counted.kind = <uint8_t>request.kind
        counted.is_taken_back = is_taken_back
        if request.pan_digits > 0:
            counted.pan_digits = <uint8_t>request.pan_digits
            memcpy(counted.pan, request.pan, <size_t>request.pan_digits)
        if self._registry is not None and request.terminal < self._registry.terminal_count:
            memcpy(counted.terminal, self._registry.terminal(request.terminal).id, TERMINAL_ID_MAX)
        if self._registry is not None and request.merchant < self._registry.merchant_count:
            memcpy(counted.merchant, self._registry.merchant(request.merchant).id, MERCHANT_ID_MAX)
        self._log.append(&counted)

    def check_request(self, int kind, str pan="", int64_t amount_minor=-1, int currency=0, int country=0,
                      uint32_t terminal=TERMINAL_NONE, uint32_t merchant=TERMINAL_NONE, uint64_t now_ms=0):
        cdef bytes digits = pan.encode("ascii")
        cdef RiskRequest request = RiskRequest(
            kind, currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), country, terminal,
            merchant, now_ms)
        return self.check(&request)

    def uncount_request(self, int kind, str pan="", int64_t amount_minor=-1, int currency=0, int country=0,
                        uint32_t terminal=TERMINAL_NONE, uint32_t merchant=TERMINAL_NONE, uint64_t now_ms=0):
        cdef bytes digits = pan.encode("ascii")
        cdef RiskRequest request = RiskRequest(
            kind, currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), country, terminal,
            merchant, now_ms)
        self.uncount(&request)


cdef inline bint applies(const Limit *limit, const RiskRequest *request, uint64_t kind,
                         const bint *known) noexcept nogil:
    return (limit.kinds & kind) != 0 and known[limit.scope] and (
        limit.currency == 0 or limit.currency == request.currency)


cdef inline uint64_t hold_windows(Risk risk, const uint64_t *keys, const bint *known) noexcept nogil:
    """Let no other process count for this card, terminal and merchant: from the look to the count is one step."""
    cdef uint64_t shards = 0
    cdef int scope
    if not risk.windows.is_shared:
        return 0
    for scope in range(SCOPE_COUNT):
        if known[scope] and risk._window_scopes >> scope & 1:
            shards |= risk.windows.shard_bit(keys[scope])
    risk.windows.hold(shards)
    return shards


cdef inline int over_limit(Risk risk, const RiskRequest *request, uint64_t kind, const uint64_t *keys,
                           const bint *known) noexcept nogil:
    """Why a limit forbids it; REASON_APPROVED when none does."""
    cdef int64_t amount = max(request.amount_minor, 0), total_amount
    cdef uint64_t total_count
    cdef const Limit *limit
    cdef int number
    for number in range(risk.limit_count):
        limit = &risk._limits[number]
        if not applies(limit, request, kind, known):
            continue
        if 0 <= limit.single_max < amount:
            return REASON_AMOUNT_LIMIT
        if limit.slice_ms:
            risk.windows.total(keys[limit.scope], keys[limit.scope] ^ limit.salt,
                               risk.windows.slice_at(request.now_ms, limit.slice_ms, limit.slices),
                               &total_count, &total_amount)
            if limit.amount_max >= 0 and amount > limit.amount_max - total_amount:
                return REASON_AMOUNT_LIMIT
            if limit.count_max >= 0 and <int64_t>total_count >= limit.count_max:
                return REASON_COUNT_LIMIT
    return REASON_APPROVED


cdef inline void add_to_windows(Risk risk, const RiskRequest *request, uint64_t kind, const uint64_t *keys,
                                const bint *known, uint64_t now_ms) noexcept nogil:
    cdef int64_t amount
    cdef const Limit *limit
    cdef int number
    for number in range(risk.limit_count):
        limit = &risk._limits[number]
        if not limit.slice_ms or not applies(limit, request, kind, known):
            continue
        amount = max(request.amount_minor, 0) if limit.amount_max >= 0 else 0
        if request.now_ms == now_ms:
            risk.windows.add(keys[limit.scope], keys[limit.scope] ^ limit.salt, now_ms, limit.slice_ms, limit.slices,
                             amount)
        else:
            risk.windows.add_late(keys[limit.scope], keys[limit.scope] ^ limit.salt, request.now_ms, now_ms,
                                  limit.slice_ms, limit.slices, amount)


cdef void change_windows(Risk risk, const RiskRequest *request, const uint64_t *keys, const bint *known,
                         bint is_taken_back, uint64_t now_ms) noexcept nogil:
    """Count a request in its windows, or take it back; when it was, which may be past."""
    cdef uint64_t kind = <uint64_t>1 << request.kind if 0 <= request.kind < 64 else 0
    cdef uint64_t held = hold_windows(risk, keys, known)
    if is_taken_back:
        take_from_windows(risk, request, kind, keys, known)
    else:
        add_to_windows(risk, request, kind, keys, known, now_ms)
    risk.windows.release(held)


cdef inline void take_from_windows(Risk risk, const RiskRequest *request, uint64_t kind, const uint64_t *keys,
                                   const bint *known) noexcept nogil:
    cdef const Limit *limit
    cdef int number
    for number in range(risk.limit_count):
        limit = &risk._limits[number]
        if limit.slice_ms and applies(limit, request, kind, known):
            risk.windows.take_back(keys[limit.scope], keys[limit.scope] ^ limit.salt,
                                   risk.windows.slice_at(request.now_ms, limit.slice_ms, limit.slices),
                                   max(request.amount_minor, 0) if limit.amount_max >= 0 else 0)


cdef inline void identify(Risk risk, const RiskRequest *request, uint64_t *keys, bint *known) noexcept nogil:
    """What the windows of this card, terminal and merchant are found by."""
    known[<int>SCOPE_CARD] = request.pan_digits > 0
    keys[<int>SCOPE_CARD] = siphash(&risk._secret, request.pan, request.pan_digits) if request.pan_digits > 0 else 0
    known[<int>SCOPE_TERMINAL] = risk._registry is not None and request.terminal < risk._registry.terminal_count
    known[<int>SCOPE_MERCHANT] = risk._registry is not None and request.merchant < risk._registry.merchant_count
    keys[<int>SCOPE_TERMINAL] = keys[<int>SCOPE_MERCHANT] = 0
    if known[<int>SCOPE_TERMINAL]:
        keys[<int>SCOPE_TERMINAL] = siphash(&risk._secret, risk._registry.terminal(request.terminal).id,
                                            TERMINAL_ID_MAX)
    if known[<int>SCOPE_MERCHANT]:
        keys[<int>SCOPE_MERCHANT] = siphash(&risk._secret, risk._registry.merchant(request.merchant).id,
                                            MERCHANT_ID_MAX)


cdef int blocked(Risk risk, const RiskRequest *request, uint64_t kind, uint64_t card) noexcept nogil:
    """Why this card, terminal and kind do not go together, whatever was counted; REASON_APPROVED when they do."""
    cdef uint64_t key, slot
    cdef const ChainNode *node
    cdef int country = request.country
    if risk._registry is not None:
        if request.terminal < risk._registry.terminal_count and (
                not risk._registry.terminal(request.terminal).kinds_allowed & kind):
            return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
        if request.merchant < risk._registry.merchant_count and (
                not risk._registry.merchant(request.merchant).kinds_allowed & kind):
            return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    if request.pan_digits <= 0 or pan_key(request.pan, request.pan_digits, &key) < 0:
        return REASON_APPROVED
    if risk._cards != NULL:
        slot = card & risk._card_mask
        while risk._cards[slot].reason:
            if risk._cards[slot].hash == card:
                return risk._cards[slot].reason
            slot = (slot + 1) & risk._card_mask
    node = risk._bins.find(key)
    if node != NULL:
        if risk._bin_rules[node.value].reason != REASON_APPROVED:
            return risk._bin_rules[node.value].reason
        if not risk._bin_rules[node.value].kinds & kind:
            return REASON_KIND_NOT_PERMITTED_TO_CARD
    if risk._any_country_blocked:
        if country == 0:
            node = risk._countries.find(key)
            country = node.value if node != NULL else 0
        if 0 < country < 1000 and (risk._countries_blocked[country >> 6] >> (country & 63)) & 1:
            return REASON_RESTRICTED_CARD
    return REASON_APPROVED


cdef int take_limits(Risk risk, limits) except -1:
    cdef Limit *limit
    if len(limits) > LIMITS_MAX:
        raise ValueError(f"{len(limits)} limits; there may be {LIMITS_MAX}")
    for rule in limits:
        limit = &risk._limits[risk.limit_count]
        limit.kinds = rule.kinds
        limit.salt = keyed_hash(bytes(SECRET_SIZE), repr((rule.name, rule.scope, rule.window_ms, rule.sliding,
                                                          rule.currency)).encode())
        limit.amount_max = -1 if rule.amount_max is None else rule.amount_max
        limit.single_max = -1 if rule.single_max is None else rule.single_max
        limit.count_max = -1 if rule.count_max is None else rule.count_max
        limit.slices = WINDOW_SLICES if rule.sliding else 1
        # The slice under way does not count towards covering the window.
        limit.slice_ms = -(-rule.window_ms // (WINDOW_SLICES - 1)) if rule.sliding else rule.window_ms
        limit.currency = rule.currency
        limit.scope = SCOPES.index(rule.scope)
        if limit.slice_ms:
            risk._window_scopes |= 1 << limit.scope
        risk.limit_count += 1
    return 0


cdef int take_cards(Risk risk, list cards) except -1:
    """Blocked cards by hash, at most half full."""
    cdef uint64_t slots = 16, slot, hashed
    if not cards:
        return 0
    while slots < 2 * <uint64_t>len(cards):
        slots *= 2
    risk._cards = <BlockedCard *>calloc(slots, sizeof(BlockedCard))
    if risk._cards == NULL:
        raise MemoryError("no memory for the blocked cards")
    risk._card_mask = slots - 1
    for hashed, reason in cards:
        slot = hashed & risk._card_mask
        while risk._cards[slot].reason and risk._cards[slot].hash != hashed:
            slot = (slot + 1) & risk._card_mask
        risk._cards[slot].hash = hashed
        risk._cards[slot].reason = BLOCK_REASONS[reason]
    return 0


cdef int take_bins(Risk risk, list bins) except -1:
    cdef uint32_t number = 0
    cdef uint32_t crowded = 0
    cdef bytes ends
    cdef DigitRange *ranges = <DigitRange *>calloc(len(bins) + 1, sizeof(DigitRange))
    risk._bin_rules = <BinRule *>calloc(len(bins) + 1, sizeof(BinRule))
    try:
        if ranges == NULL or risk._bin_rules == NULL:
            raise MemoryError("no memory for the BINs")
        for number, rule in enumerate(bins):
            ends = (rule.low + rule.high).encode()
            wrong = read_range(<const uint8_t *><const char *>ends, 0, len(rule.low), len(rule.low), len(ends),
                               &ranges[number])
            if wrong is not None:
                raise ValueError(f"BIN {rule.low}: {wrong[1]}")
            ranges[number].value = number
            ranges[number].order = number + 1
            risk._bin_rules[number].kinds = rule.kinds
            risk._bin_rules[number].reason = BLOCK_REASONS[rule.block] if rule.block else REASON_APPROVED
        risk._bins.load(ranges, len(bins), &crowded)
        if crowded:
            raise ValueError(f"more than {OVERLAP_MAX} BINs would hold the same card number")
    finally:
        free(ranges)
    return 0


cdef int take_countries(Risk risk, const uint8_t[::1] data, problems) except -1:
    """Read the table of which BIN is issued in which country."""
    cdef RowReader reader
    cdef Row row
    cdef const uint8_t *start = &data[0]
    cdef uint32_t count = 0, room = 0, crowded = 0
    cdef DigitRange *ranges = NULL
    cdef DigitRange *grown
    needed = ",".join(COUNTRY_COLUMNS)
    rows_over(&reader, start, data.shape[0])
    if not next_row(&reader, &row) or start[row.begin:row.end].strip() != needed.encode():
        problems.at(reader.line or 1, 1, f"the first row must be {needed}")
        return 0
    try:
        while next_row(&reader, &row):
            if row.count != len(COUNTRY_COLUMNS):
                problems.at(row.line, 1, f"{row.count} cells; needed are {len(COUNTRY_COLUMNS)}")
                continue
            if count == room:
                room = room * 2 if room else 1024
                grown = <DigitRange *>realloc(ranges, room * sizeof(DigitRange))
                if grown == NULL:
                    raise MemoryError("no memory for the countries")
                ranges = grown
            wrong = read_range(start, row.cells[0].begin, row.cells[0].end, row.cells[1].begin, row.cells[1].end,
                               &ranges[count])
            if wrong is not None:
                problems.at(row.line, wrong[0] - row.begin + 1, wrong[1])
            code = start[row.cells[2].begin:row.cells[2].end]
            if len(code) != 3 or not code.isdigit():
                problems.at(row.line, row.cells[2].begin - row.begin + 1,
                            "a country is a numeric ISO 3166-1 code of 3 digits")
                continue
            if wrong is not None:
                continue
            ranges[count].value = int(code)
            ranges[count].order = row.line
            count += 1
        if not problems.problems:
            risk._countries.load(ranges, count, &crowded)
            if crowded:
                problems.at(crowded, 1, f"more than {OVERLAP_MAX} ranges would hold the same card number")
    finally:
        free(ranges)
    return 0
