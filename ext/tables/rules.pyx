"""One rule of risk control, laid out in C from what a risk file says of it."""

from libc.string cimport memset
from switch.dialect.reasons cimport (
    REASON_AMOUNT_LIMIT, REASON_COUNT_LIMIT, REASON_KIND_NOT_PERMITTED_TO_CARD, REASON_KIND_NOT_PERMITTED_TO_TERMINAL,
    REASON_RESTRICTED_CARD, REASON_SECURITY_VIOLATION, REASON_SUSPECTED_FRAUD, REASON_UNKNOWN_MERCHANT,
)
from switch.tables.time_windows cimport WINDOW_MEMBERS, WINDOW_MONTH, WINDOW_SLICES

SCOPES = ("card", "terminal", "merchant", "bin", "category", "identity")
MEASURES = ("requests", "declines", "merchants", "share")
MEMBERS_MAX = WINDOW_MEMBERS - 1
WORDS_BYTES_MAX = 255
REFUSALS = {
    "amount-limit": REASON_AMOUNT_LIMIT,
    "count-limit": REASON_COUNT_LIMIT,
    "kind-not-permitted-to-card": REASON_KIND_NOT_PERMITTED_TO_CARD,
    "kind-not-permitted-to-terminal": REASON_KIND_NOT_PERMITTED_TO_TERMINAL,
    "restricted-card": REASON_RESTRICTED_CARD,
    "security-violation": REASON_SECURITY_VIOLATION,
    "suspected-fraud": REASON_SUSPECTED_FRAUD,
    "unknown-merchant": REASON_UNKNOWN_MERCHANT,
}


cdef inline uint32_t bits(int begin, int end) noexcept:
    """All of them from one place to before another."""
    return (<uint32_t>1 << end) - (<uint32_t>1 << begin)


cdef int fill_rule(Rule *rule, terms, uint64_t salt) except -1:
    memset(rule, 0, sizeof(Rule))
    rule.salt = salt
    rule.kinds = terms.kinds
    rule.against = terms.against
    rule.counted = terms.kinds | terms.along | terms.against
    rule.amount_max = -1 if terms.amount_max is None else terms.amount_max
    rule.single_max = -1 if terms.single_max is None else terms.single_max
    rule.count_max = -1 if terms.count_max is None else terms.count_max
    rule.amount_from = terms.amount_from
    rule.amount_to = terms.amount_to
    rule.window_ms = terms.window_ms
    rule.slices = WINDOW_SLICES if terms.sliding else 1
    # The slice under way does not count towards covering the window.
    rule.slice_ms = -(-terms.window_ms // (WINDOW_SLICES - 1)) if terms.sliding else terms.window_ms
    if terms.monthly:
        rule.slice_ms = WINDOW_MONTH
    rule.currency = terms.currency
    rule.reason = REFUSALS[terms.refuse_as] if terms.refuse_as else 0
    rule.minute_from, rule.minute_to = terms.minutes
    rule.scope = SCOPES.index(terms.scope)
    rule.measure = MEASURES.index(terms.measure)
    rule.strange = bits(0, FACET_CARD_TYPE) & ~<uint32_t>terms.entries
    if terms.card_types:
        rule.strange |= bits(FACET_CARD_TYPE, FACET_CLASS) & ~(<uint32_t>terms.card_types << (FACET_CARD_TYPE + 1))
    if terms.merchant_classes:
        rule.strange |= bits(FACET_CLASS, FACET_END) & ~(<uint32_t>terms.merchant_classes << (FACET_CLASS + 1))
    rule.occasions = 3 if rule.measure == MEASURE_SHARE else 2 if rule.measure == MEASURE_DECLINES else 1
    rule.has_sums = rule.amount_max >= 0 or terms.value in ("sum", "refund_excess")
    rule.is_graded = bool(terms.exits or terms.bands)
    rule.is_shadow = terms.is_shadow
    for country in terms.countries:
        rule.countries[country // 64] |= <uint64_t>1 << (country % 64)
        rule.has_countries = True
    return 0


cdef bytes words_of(str id, str reason, str source, RuleWords *words):
    cdef list texts = [text.encode() for text in (id, reason, source)]
    for text in texts:
        if len(text) > WORDS_BYTES_MAX:
            raise ValueError(f"{id}: a text of more than {WORDS_BYTES_MAX} bytes")
    words.id_size, words.reason_size, words.source_size = [len(text) for text in texts]
    return b"".join(texts)
