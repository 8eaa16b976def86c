"""Risk control: limits over time windows, and what is blocked."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.siphash cimport SipKey
from switch.tables.bin_rules cimport BinRules
from switch.tables.blocked_keys cimport BlockedKeys
from switch.tables.card_table cimport CardTable
from switch.tables.count_log cimport CountLog, Counted
from switch.tables.grades cimport GRADES_ROOM, Grades
from switch.tables.registry cimport Registry
from switch.tables.rules cimport COUNTRY_WORDS, RiskRequest, Rule, RuleWords, Subject
from switch.tables.time_windows cimport WindowTable

cdef enum:
    RULES_ROOM = 128
    NO_RULE = -1
    CASES_ROOM = 8            # of one request

cdef enum OwnRule:            # what is refused though no rule of the file limits it; rules follow, then exits and bands
    OWN_TERMINAL_KINDS
    OWN_MERCHANT_KINDS
    OWN_CARDS
    OWN_MERCHANTS
    OWN_BINS
    OWN_COUNTRIES
    OWN_COUNT


cdef class Risk:
    cdef SipKey _secret
    cdef CountLog _log                        # None: there is no other node
    cdef readonly WindowTable windows
    cdef readonly int64_t clock_offset_ms     # by whose midnight these rules count
    cdef Registry _registry
    cdef Rule _rules[RULES_ROOM]
    cdef readonly int rule_count
    cdef Grades _grades
    cdef RuleWords _words[OWN_COUNT + RULES_ROOM + GRADES_ROOM]
    cdef list _texts                          # that they point to
    cdef readonly tuple rule_ids              # of all that may refuse, in the order of their numbers
    cdef uint64_t _refused[OWN_COUNT + RULES_ROOM + GRADES_ROOM]     # requests, by this process
    cdef uint64_t _shadowed[OWN_COUNT + RULES_ROOM + GRADES_ROOM]    # that a rule or band in shadow would have refused
    cdef uint64_t _graded[GRADES_ROOM]        # requests by the exit or band that decided
    cdef int case_count                       # of what was checked last: 0 where it was refused
    cdef int _cases[CASES_ROOM]               # numbers of the bands that want somebody to look at it
    cdef uint32_t _checked_terminal           # of what was checked last
    cdef uint32_t _checked_merchant
    cdef readonly list raised                 # cases of these rules and those before, until somebody takes them
    cdef readonly int refused_by              # number of the rule that refused what was checked last; NO_RULE: none did
    cdef int _bin_digits                      # of a card number that make its BIN
    cdef uint32_t _window_scopes              # bit n: some rule has a window of scope n
    cdef bint _asks_country                   # some rule looks at countries
    cdef uint32_t _typed_classes              # facets of merchants at which some rule looks at types of cards
    cdef BinRules _bins
    cdef CardTable _countries
    cdef CardTable _card_types
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

    cdef void raise_case(self, int place, int64_t position, uint32_t partition) noexcept
    """Leave word of a case about what was checked last, and written down there."""

    cdef const RuleWords *words_of_case(self, int place) noexcept nogil
    """How a band explains itself that raises a case about what was checked last."""

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
