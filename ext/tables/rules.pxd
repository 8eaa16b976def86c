"""One rule of risk control: whose requests it looks at, which of them, what it measures, and how it explains itself."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t
from switch.tables.grades cimport Graded

cdef enum:
    COUNTRY_WORDS = 16        # of 64 bits: one bit for each numeric code 0 to 999
    MINUTES_A_DAY = 1440

cdef extern from *:
    """
    #define RISK_PAST_MS 4320000000LL
    """
    const int64_t RISK_PAST_MS        # 50 days: a month before the machine's start is no negative time

cdef enum Facet:              # where the bits of each begin, in a set of what a request may be
    FACET_CARD_TYPE = 16      # type n of ``CARD_TYPES``, counted from 1; entry mode n is bit n
    FACET_CLASS = 20          # class n of ``MERCHANT_CLASSES``, counted from 1; 0: not known
    FACET_END = 24

cdef enum RiskScope:
    SCOPE_CARD
    SCOPE_TERMINAL
    SCOPE_MERCHANT
    SCOPE_BIN
    SCOPE_CATEGORY            # of the merchant
    SCOPE_IDENTITY            # of whoever holds the merchant, and others
    SCOPE_COUNT

cdef enum Measure:
    MEASURE_REQUESTS          # how many, and what they sum up to
    MEASURE_DECLINES          # how many requests issuers have declined
    MEASURE_MERCHANTS         # at how many merchants
    MEASURE_SHARE             # how many requests, and as their sum how many of them issuers have declined

cdef struct RiskRequest:
    int kind
    int currency              # numeric ISO 4217; 0 when absent
    int64_t amount_minor      # -1 when absent
    const uint8_t *pan        # ASCII digits
    int pan_digits            # 0 when there is no PAN
    int country               # numeric ISO 3166 of the issuer where known, else 0
    uint32_t terminal         # registry indices, TERMINAL_NONE when unknown
    uint32_t merchant
    uint64_t now_ms           # monotonic, RISK_PAST_MS above the calendar's
    int entry_mode            # how the card was read, by its place in ``ENTRY_MODES``; 0: not known


cdef inline RiskRequest risk_request(int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                                     uint32_t terminal, uint32_t merchant, int entry_mode,
                                     int64_t now_ns) noexcept nogil:
    """What a terminal asks for; no message says in which country its card was issued."""
    cdef RiskRequest request
    request.kind = kind
    request.currency = currency
    request.amount_minor = amount_minor
    request.pan = pan
    request.pan_digits = pan_digits
    request.country = 0
    request.terminal = terminal
    request.merchant = merchant
    request.now_ms = <uint64_t>(now_ns // 1_000_000 + RISK_PAST_MS)
    request.entry_mode = entry_mode
    return request


cdef struct Subject:          # of a request: what its windows are found by, and what rules look at
    uint64_t key[SCOPE_COUNT]
    bint known[SCOPE_COUNT]
    uint64_t kind             # bit n for kind n
    int country               # of the issuer; 0: not known, or asked by no rule
    int minute                # of the day, local
    uint32_t facets           # one bit of each that is looked at


cdef struct Rule:
    uint64_t kinds            # bit n: kind n is counted and limited
    uint64_t against          # bit n: kind n is counted, and its amount subtracted
    uint64_t counted          # bit n: kind n is counted, whether or not it is limited
    uint64_t salt             # sets the windows of this rule apart from those of others
    int64_t amount_max        # within the window; -1: no such limit
    int64_t single_max        # of one request; -1: no such limit
    int64_t count_max         # within the window, as ``measure`` says; -1: no such limit
    int64_t amount_from       # the rule looks at these amounts only
    int64_t amount_to
    uint32_t window_ms        # 0: no window
    uint32_t slice_ms         # 0: no window; WINDOW_MONTH: calendar months
    int32_t currency          # the rule looks at this currency only; 0: at any
    int32_t reason            # of its refusals; 0: as its limit is one on amounts or on counts
    int16_t minute_from       # of the day: the rule looks at requests from here
    int16_t minute_to         # to before here, beyond midnight when it is below; both equal: at any time
    uint8_t scope
    uint8_t slices
    uint8_t measure
    uint8_t occasions         # bit 0: a request has a place in its window; bit 1: that one was declined
    bint has_sums             # of amounts: its window has their sum
    bint is_graded            # it has exits or bands
    Graded graded
    uint32_t strange          # facets of requests that the rule does not look at
    bint is_shadow            # it counts what it would refuse, and refuses nothing
    bint has_countries        # it looks at requests with cards of ``countries`` only
    uint64_t countries[COUNTRY_WORDS]


cdef struct RuleWords:        # how a rule explains itself, one text behind the other, in UTF-8
    const uint8_t *text
    uint8_t id_size           # identifier, @ and version
    uint8_t reason_size       # for people
    uint8_t source_size       # of a legal limit: where it is laid down


cdef inline bint has_country(const uint64_t *countries, int country) noexcept nogil:
    return 0 < country < 1000 and (countries[country >> 6] >> (country & 63)) & 1


cdef inline bint applies(const Rule *rule, const RiskRequest *request, const Subject *subject,
                         uint64_t kinds) noexcept nogil:
    """Whether a rule looks at the request as one of these kinds."""
    if not kinds & subject.kind or not subject.known[rule.scope]:
        return False
    if rule.currency and rule.currency != request.currency:
        return False
    if rule.strange & subject.facets:
        return False
    if not rule.amount_from <= max(request.amount_minor, 0) <= rule.amount_to:
        return False
    if rule.minute_from != rule.minute_to and (
            (subject.minute - rule.minute_from + MINUTES_A_DAY) % MINUTES_A_DAY
            >= (rule.minute_to - rule.minute_from + MINUTES_A_DAY) % MINUTES_A_DAY):
        return False
    return not rule.has_countries or has_country(rule.countries, subject.country)


cdef int fill_rule(Rule *rule, terms, uint64_t salt) except -1
"""Lay one rule out, as a ``RuleTerms`` has it."""

cdef bytes words_of(str id, str reason, str source, RuleWords *words)
"""Fill everything of ``words`` but where its text is, which is what this gives.

Raises:
    ValueError: An identifier, reason or source is above 255 bytes.
"""
