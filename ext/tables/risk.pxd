"""Risk control: limits over time windows, and what is blocked."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.siphash cimport SipKey
from switch.tables.blocked_keys cimport BlockedKeys
from switch.tables.card_table cimport CardTable
from switch.tables.count_log cimport CountLog, Counted
from switch.tables.ranges cimport RangeMap
from switch.tables.registry cimport Registry
from switch.tables.rules cimport COUNTRY_WORDS, RiskRequest, Rule, RuleWords, Subject
from switch.tables.time_windows cimport WindowTable

cdef enum:
    RULES_ROOM = 128
    NO_RULE = -1

cdef enum OwnRule:            # what is refused though no rule of the file limits it; rules follow
    OWN_TERMINAL_KINDS
    OWN_MERCHANT_KINDS
    OWN_CARDS
    OWN_MERCHANTS
    OWN_BINS
    OWN_COUNTRIES
    OWN_COUNT

cdef struct BinRule:
    uint64_t kinds            # allowed
    uint32_t reason           # of a block, or REASON_APPROVED


cdef class Risk:
    cdef SipKey _secret
    cdef CountLog _log                        # None: there is no other node
    cdef readonly WindowTable windows
    cdef readonly int64_t clock_offset_ms     # by whose midnight these rules count
    cdef Registry _registry
    cdef Rule _rules[RULES_ROOM]
    cdef readonly int rule_count
    cdef RuleWords _words[OWN_COUNT + RULES_ROOM]
    cdef list _texts                          # that they point to
    cdef readonly tuple rule_ids              # of all that may refuse, in the order of their numbers
    cdef uint64_t _refused[OWN_COUNT + RULES_ROOM]     # requests, by this process
    cdef uint64_t _shadowed[OWN_COUNT + RULES_ROOM]    # requests that a rule in shadow would have refused
    cdef readonly int refused_by              # number of the rule that refused what was checked last; NO_RULE: none did
    cdef int _bin_digits                      # of a card number that make its BIN
    cdef uint32_t _window_scopes              # bit n: some rule has a window of scope n
    cdef bint _asks_country                   # some rule looks at countries
    cdef uint32_t _typed_classes              # facets of merchants at which some rule looks at types of cards
    cdef RangeMap _bins
    cdef BinRule *_bin_rules
    cdef CardTable _countries
    cdef CardTable _card_types
    cdef int _unlisted_type                   # what a card is that ``_card_types`` does not have
    cdef uint64_t _countries_blocked[COUNTRY_WORDS]
    cdef bint _any_country_blocked
    cdef BlockedKeys _cards                   # None: none is blocked
    cdef BlockedKeys _merchants

    cdef int check(self, const RiskRequest *request) noexcept nogil
    """REASON_APPROVED and the request counted in its windows, or the reason of the refusal (and not counted)."""

    cdef void refuse_kind(self, uint64_t merchant_kinds, int kind) noexcept nogil
    """Note that its terminal, or else its merchant, may not do what was asked for: the path has looked at that."""

    cdef const RuleWords *words_of_refusal(self) noexcept nogil
    """How the rule explains itself that refused what was checked last."""

    cdef void count(self, const RiskRequest *request) noexcept nogil
    """Count a request in its windows, whatever their limits: it has happened."""

    cdef void count_decline(self, const RiskRequest *request) noexcept nogil
    """Count that its issuer has declined a request."""

    cdef void recount(self, const RiskRequest *request, bint is_declined, uint64_t now_ms) noexcept nogil
    """Count what has happened in a life before, or that it was declined. Other nodes are not told: they heard it."""

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil
    """Count what another node has counted, when it was, or take it back."""

    cdef void _note(self, const RiskRequest *request, bint is_taken_back, bint is_declined) noexcept nogil
    cdef void uncount(self, const RiskRequest *request) noexcept nogil
    """Take a counted request back, because it was refused later or reversed. The request must be as it was checked,
    with the time of that check."""
