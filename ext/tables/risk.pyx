"""Risk control of one request: what is blocked first, then limits, and only then counting.

Cards, terminals and merchants are known here by a keyed hash only; no PAN is kept. The key is made anew for each
process unless the rules name one, which they must when they list blocked cards.
"""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy, memset
from switch.base.siphash cimport siphash
from switch.dialect.reasons cimport (
    REASON_AMOUNT_LIMIT, REASON_APPROVED, REASON_COUNT_LIMIT, REASON_KIND_NOT_PERMITTED_TO_TERMINAL,
    REASON_RESTRICTED_CARD,
)
from switch.tables.bin_rules cimport BinRules
from switch.tables.blocked_keys cimport BlockedKeys
from switch.tables.card_hashes cimport SECRET_BYTES, sip_key
from switch.tables.card_table cimport CardTable
from switch.tables.count_log cimport COUNTED_PAN_MAX, CountLog, Counted
from switch.tables.grades cimport Grade, Grades, Looked, NO_GRADE, THEN_CASE, THEN_REFUSE, THEN_SHADOW, value_of
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX, TERMINAL_NONE
from switch.tables.registry cimport Merchant, Registry
from switch.tables.rules cimport (
    FACET_CARD_TYPE, FACET_CLASS, MEASURE_MERCHANTS, MEASURE_SHARE, MINUTES_A_DAY, RISK_PAST_MS, RiskRequest, Rule,
    RuleWords, SCOPE_BIN, SCOPE_CARD, SCOPE_CATEGORY, SCOPE_COUNT, SCOPE_IDENTITY, SCOPE_MERCHANT, SCOPE_TERMINAL,
    Subject, applies, fill_rule, has_country, words_of,
)
from switch.tables.time_windows cimport WindowPlace, WindowTable

import os
from switch.files.problems import ProblemList, raise_if_any
from switch.tables.card_hashes import keyed_hash
from switch.tables.card_table import CARD_TYPES, card_type_in, country_in
from switch.tables.grades import THENS
from switch.tables.rule_terms import RuleTerms
from switch.tables.rules import REFUSALS

BIN_DIGITS = 6
RULES_MAX = RULES_ROOM
PAST_MS = RISK_PAST_MS
OWN_RULES = ("terminal-kinds", "merchant-kinds", "cards", "merchants", "bins", "countries")

cdef enum:
    MS_A_MINUTE = 60_000
    NOT_GRADED = -1
    RAISED_ROOM = 256         # cases that nobody has taken yet

cdef extern from "stdint.h":
    const int64_t INT64_MIN

cdef struct Found:            # the rules that look at a request or count it, and a place for the window of each
    int count, window_count
    uint8_t rules[RULES_ROOM]
    uint8_t window_of[RULES_ROOM]         # place of each one's window; of no meaning where a rule has none
    WindowPlace windows[RULES_ROOM]


@cython.final
cdef class Risk:

    def __init__(self):
        raise TypeError("a Risk is made by Risk.build")

    @staticmethod
    def build(secret, WindowTable windows not None, *, rules=(), own_rules=(), dict blocked_cards=None,
              dict blocked_merchants=None, bins=(), countries=b"", blocked_countries=(), Registry registry=None,
              Risk previous=None, str countries_file="countries.csv", int bin_digits=BIN_DIGITS, clock_offset_ms=None,
              card_types=b"", str card_types_file="card-types.csv", str unlisted_card_type=CARD_TYPES[0]):
        """Lay rules out as C tables; see the type stub."""
        cdef Risk risk = Risk.__new__(Risk)
        if secret is not None:
            risk._secret = sip_key(secret)
        elif previous is not None:
            risk._secret = previous._secret
        else:
            risk._secret = sip_key(os.urandom(SECRET_BYTES))
        risk.windows = windows
        risk.raised = [] if previous is None else previous.raised
        risk.clock_offset_ms = windows.clock_offset_ms if clock_offset_ms is None else clock_offset_ms
        risk.refused_by = NO_RULE
        risk._bin_digits = bin_digits
        risk._registry = registry
        risk._grades = Grades()
        take_rules(risk, list(rules))
        take_words(risk, list(own_rules), list(rules))
        if blocked_cards:
            risk._cards = BlockedKeys(blocked_cards, REFUSALS)
        if blocked_merchants:
            hashes = {merchant_hash(risk, merchant): reason for merchant, reason in blocked_merchants.items()}
            risk._merchants = BlockedKeys(hashes, REFUSALS)
        risk._bins = BinRules(list(bins))
        countries_problems, types_problems = ProblemList(countries_file), ProblemList(card_types_file)
        risk._countries = CardTable(countries, "country", country_in, countries_problems)
        risk._card_types = CardTable(card_types, "type", card_type_in, types_problems,
                                     card_type_in(unlisted_card_type.encode()))
        raise_if_any(countries_problems, types_problems)
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

    @property
    def window_max_ms(self):
        """The longest window of any rule; 0: none has one."""
        return max([self._rules[number].window_ms for number in range(self.rule_count)], default=0)

    @property
    def refused(self):
        """Requests that each rule has refused in this process, in the order of ``rule_ids``."""
        return [self._refused[number] for number in range(len(self.rule_ids))]

    @property
    def shadowed(self):
        """Requests that each rule or band in shadow would have refused, likewise."""
        return [self._shadowed[number] for number in range(len(self.rule_ids))]

    @property
    def grades(self):
        """What follows from each exit and band, by its identifier."""
        return dict(zip(self.rule_ids[len(self.rule_ids) - self._grades.count:],
                        [THENS[self._grades.at(number).then] for number in range(self._grades.count)], strict=True))

    @property
    def graded(self):
        """Requests that each exit and band has decided about in this process, in the order of ``grades``."""
        return [self._graded[number] for number in range(self._grades.count)]

    @property
    def cases(self):
        """Identifiers of the bands that raise a case about what was checked last."""
        return [self.rule_ids[self._cases[place]] for place in range(self.case_count)]

    cdef int check(self, const RiskRequest *request) noexcept nogil:
        cdef Subject subject
        cdef Found found
        cdef uint64_t held
        cdef int reason
        self.refused_by = NO_RULE
        self.case_count = 0
        self._checked_terminal, self._checked_merchant = request.terminal, request.merchant
        identify(self, request, &subject)
        reason = blocked(self, request, &subject)
        if reason == REASON_APPROVED:
            held = hold_windows(self, &subject)
            find_rules(self, request, &subject, &found)
            reason = over_limit(self, request, &subject, &found)
            if reason == REASON_APPROVED:
                add_to_windows(self, request, &subject, &found, False, request.now_ms)
            self.windows.release(held)
        if reason == REASON_APPROVED:
            self._note(request, False, False)
        else:
            self.case_count = 0
            self._refused[self.refused_by] += 1
        return reason

    cdef void refuse_kind(self, uint64_t merchant_kinds, int kind) noexcept nogil:
        self.refused_by = OWN_TERMINAL_KINDS if merchant_kinds >> kind & 1 else OWN_MERCHANT_KINDS
        self._refused[self.refused_by] += 1

    cdef const RuleWords *words_of_refusal(self) noexcept nogil:
        return &self._words[max(self.refused_by, 0)]

    cdef const RuleWords *words_of_case(self, int place) noexcept nogil:
        return &self._words[self._cases[place]]

    cdef void raise_case(self, int place, int64_t position, uint32_t partition) noexcept:
        cdef const RuleWords *words = self.words_of_case(place)
        # Who is left out since nobody takes them is raised by what it asks next.
        if self._registry is not None and len(self.raised) < RAISED_ROOM and (
                self._checked_merchant < self._registry.merchant_count
                and self._checked_terminal < self._registry.terminal_count):
            self.raised.append((
                self.rule_ids[self._cases[place]], words.text[words.id_size:words.id_size + words.reason_size].decode(),
                self._registry.merchant(self._checked_merchant).id[:MERCHANT_ID_MAX].decode("ascii").rstrip(),
                self._registry.terminal(self._checked_terminal).id[:TERMINAL_ID_MAX].decode("ascii").rstrip(),
                partition, position))

    cdef void count(self, const RiskRequest *request) noexcept nogil:
        cdef Subject subject
        identify(self, request, &subject)
        change_windows(self, request, &subject, False, False, request.now_ms)
        self._note(request, False, False)

    cdef void count_decline(self, const RiskRequest *request) noexcept nogil:
        cdef Subject subject
        identify(self, request, &subject)
        change_windows(self, request, &subject, False, True, request.now_ms)
        self._note(request, False, True)

    cdef void recount(self, const RiskRequest *request, bint is_declined, uint64_t now_ms) noexcept nogil:
        cdef Subject subject
        identify(self, request, &subject)
        change_windows(self, request, &subject, False, is_declined, now_ms)

    cdef void uncount(self, const RiskRequest *request) noexcept nogil:
        cdef Subject subject
        identify(self, request, &subject)
        change_windows(self, request, &subject, True, False, request.now_ms)
        self._note(request, True, False)

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil:
        cdef Subject subject
        cdef RiskRequest request
        memset(&request, 0, sizeof(request))
        request.kind = counted.kind
        request.currency = counted.currency
        request.amount_minor = counted.amount_minor
        request.now_ms = counted.moment_ms + RISK_PAST_MS
        request.entry_mode = counted.entry_mode
        request.pan = counted.pan
        request.pan_digits = counted.pan_digits
        request.terminal = request.merchant = TERMINAL_NONE
        if self._registry is not None and counted.merchant[0] != 0:
            request.merchant = self._registry.find_merchant(counted.merchant, MERCHANT_ID_MAX)
        identify(self, &request, &subject)
        # They count under the names that the other node says, whether or not this one knows them.
        take_party(self, &subject, SCOPE_TERMINAL, counted.terminal, TERMINAL_ID_MAX)
        take_party(self, &subject, SCOPE_MERCHANT, counted.merchant, MERCHANT_ID_MAX)
        change_windows(self, &request, &subject, counted.is_taken_back, counted.is_declined,
                       now_ms + RISK_PAST_MS)

    cdef void _note(self, const RiskRequest *request, bint is_taken_back, bint is_declined) noexcept nogil:
        cdef Counted counted
        if self._log is None or self._window_scopes == 0 or request.pan_digits > <int>COUNTED_PAN_MAX:
            return
        memset(&counted, 0, sizeof(counted))
        counted.amount_minor = request.amount_minor
        counted.moment_ms = <uint64_t>max(<int64_t>request.now_ms - RISK_PAST_MS, 0)
        counted.currency = request.currency
        counted.kind = <uint8_t>request.kind
        counted.entry_mode = <uint8_t>request.entry_mode
        counted.is_taken_back = is_taken_back
        counted.is_declined = is_declined
        if request.pan_digits > 0:
            counted.pan_digits = <uint8_t>request.pan_digits
            memcpy(counted.pan, request.pan, <size_t>request.pan_digits)
        if self._registry is not None and request.terminal < self._registry.terminal_count:
            memcpy(counted.terminal, self._registry.terminal(request.terminal).id, TERMINAL_ID_MAX)
        if self._registry is not None and request.merchant < self._registry.merchant_count:
            memcpy(counted.merchant, self._registry.merchant(request.merchant).id, MERCHANT_ID_MAX)
        self._log.append(&counted)

    def check_request(self, int kind, str pan="", int64_t amount_minor=-1, int currency=0, int country=0,
                      uint32_t terminal=TERMINAL_NONE, uint32_t merchant=TERMINAL_NONE, uint64_t now_ms=0,
                      int entry_mode=0):
        cdef bytes digits = pan.encode("ascii")
        cdef RiskRequest request = RiskRequest(
            kind, currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), country, terminal,
            merchant, now_ms, entry_mode)
        return self.check(&request)

    def uncount_request(self, int kind, str pan="", int64_t amount_minor=-1, int currency=0, int country=0,
                        uint32_t terminal=TERMINAL_NONE, uint32_t merchant=TERMINAL_NONE, uint64_t now_ms=0,
                        int entry_mode=0, bint is_declined=False):
        cdef bytes digits = pan.encode("ascii")
        cdef RiskRequest request = RiskRequest(
            kind, currency, amount_minor, <const uint8_t *><const char *>digits, len(digits), country, terminal,
            merchant, now_ms, entry_mode)
        self.uncount(&request)
        if is_declined:
            self.count_decline(&request)


# --- windows ----------------------------------------------------------------------------------------------------------

cdef inline uint64_t hold_windows(Risk risk, const Subject *subject) noexcept nogil:
    """Let no other process count for this card, terminal and merchant: from the look to the count is one step."""
    cdef uint64_t shards = 0
    cdef int scope
    if not risk.windows.is_shared:
        return 0
    for scope in range(SCOPE_COUNT):
        if subject.known[scope] and risk._window_scopes >> scope & 1:
            shards |= risk.windows.shard_bit(subject.key[scope])
    risk.windows.hold(shards)
    return shards


cdef inline void find_rules(Risk risk, const RiskRequest *request, const Subject *subject, Found *found) noexcept nogil:
    """Which rules look at the request or count it, and where their windows are."""
    cdef const Rule *rule
    cdef int number
    found.count = found.window_count = 0
    for number in range(risk.rule_count):
        rule = &risk._rules[number]
        if not applies(rule, request, subject, rule.kinds | rule.counted):
            continue
        found.rules[found.count] = <uint8_t>number
        found.window_of[found.count] = <uint8_t>found.window_count
        found.count += 1
        if rule.slice_ms:         # else it may be of a scope whose shard is not held
            found.windows[found.window_count].home = subject.key[rule.scope]
            found.windows[found.window_count].key = subject.key[rule.scope] ^ rule.salt
            found.window_count += 1
    risk.windows.fetch(found.windows, found.window_count)


cdef inline int over_limit(Risk risk, const RiskRequest *request, const Subject *subject,
                           const Found *found) noexcept nogil:
    """Why a rule forbids it; REASON_APPROVED when none does. Rules in shadow are counted, and forbid nothing."""
    cdef const Rule *rule
    cdef int place, reason
    for place in range(found.count):
        rule = &risk._rules[found.rules[place]]
        if not rule.kinds & subject.kind:
            continue
        if rule.is_graded:
            reason = by_grades(risk, rule, request, subject, &found.windows[found.window_of[place]])
            if reason == REASON_APPROVED:
                continue
            if reason != NOT_GRADED:
                return reason
        reason = over_rule(risk, rule, request, subject, &found.windows[found.window_of[place]])
        if reason == REASON_APPROVED:
            continue
        if rule.is_shadow:
            risk._shadowed[<int>OWN_COUNT + found.rules[place]] += 1
            continue
        risk.refused_by = <int>OWN_COUNT + found.rules[place]
        return rule.reason if rule.reason else reason
    return REASON_APPROVED


cdef inline int over_rule(Risk risk, const Rule *rule, const RiskRequest *request, const Subject *subject,
                          const WindowPlace *window) noexcept nogil:
    cdef int64_t amount = max(request.amount_minor, 0), total_amount
    cdef uint64_t total_count
    if 0 <= rule.single_max < amount:
        return REASON_AMOUNT_LIMIT
    if rule.slice_ms == 0:
        return REASON_COUNT_LIMIT if rule.count_max == 0 else REASON_APPROVED
    if rule.measure == MEASURE_MERCHANTS:
        if not subject.known[<int>SCOPE_MERCHANT]:
            return REASON_APPROVED
        total_count = <uint64_t>risk.windows.members_but(window, subject.key[<int>SCOPE_MERCHANT], request.now_ms,
                                                         rule.window_ms)
        return REASON_COUNT_LIMIT if <int64_t>total_count >= rule.count_max else REASON_APPROVED
    risk.windows.total(window, risk.windows.slice_at(request.now_ms, rule.slice_ms, rule.slices), &total_count,
                       &total_amount)
    if rule.amount_max >= 0 and amount > rule.amount_max - total_amount:
        return REASON_AMOUNT_LIMIT
    if 0 <= rule.count_max <= <int64_t>total_count:
        return REASON_COUNT_LIMIT
    return REASON_APPROVED


cdef int by_grades(Risk risk, const Rule *rule, const RiskRequest *request, const Subject *subject,
                   const WindowPlace *window) noexcept nogil:
    """Why a band forbids it, REASON_APPROVED when none does or an exit is taken; NOT_GRADED: the rule's maxima decide.
    """
    cdef const Grade *grade
    cdef Looked looked
    cdef int64_t total_amount = 0
    cdef int number, shown
    looked.amount = max(request.amount_minor, 0)
    looked.requests = 0
    looked.entry = <uint16_t>subject.facets       # other facets have no bits there
    looked.merchant = subject.key[<int>SCOPE_MERCHANT]
    looked.category = risk._registry.merchant(request.merchant).category if subject.known[<int>SCOPE_CATEGORY] else -1
    if rule.slice_ms and rule.measure != MEASURE_MERCHANTS:
        risk.windows.total(window, risk.windows.slice_at(request.now_ms, rule.slice_ms, rule.slices), &looked.requests,
                           &total_amount)
    number = risk._grades.exit_of(&rule.graded, &looked)
    if number != NO_GRADE:
        risk._graded[number] += 1
        return REASON_APPROVED
    if rule.graded.band_count == 0:
        return NOT_GRADED
    if rule.measure == MEASURE_MERCHANTS:
        if not subject.known[<int>SCOPE_MERCHANT]:
            return REASON_APPROVED
        looked.requests = <uint64_t>risk.windows.members_but(window, looked.merchant, request.now_ms, rule.window_ms)
    number = risk._grades.band_of(&rule.graded, value_of(&rule.graded, &looked, total_amount))
    if number == NO_GRADE:
        return REASON_APPROVED
    grade = risk._grades.at(number)
    shown = <int>OWN_COUNT + risk.rule_count + number
    risk._graded[number] += 1
    if grade.then == THEN_REFUSE:
        risk.refused_by = shown
        return grade.reason
    if grade.then == THEN_SHADOW:
        risk._shadowed[shown] += 1
    elif grade.then == THEN_CASE and risk.case_count < <int>CASES_ROOM:
        risk._cases[risk.case_count] = shown
        risk.case_count += 1
    return REASON_APPROVED


cdef inline int64_t weight_of(const Rule *rule, const RiskRequest *request, const Subject *subject,
                              bint is_declined) noexcept nogil:
    """What the request, or that it was declined, adds to the sum of a rule's window."""
    cdef int64_t amount = max(request.amount_minor, 0) if rule.has_sums else 0
    if is_declined and rule.measure == MEASURE_SHARE:
        return 1
    return -amount if rule.against & subject.kind else amount


cdef inline bint counts(const Rule *rule, const Subject *subject, bint is_declined) noexcept nogil:
    """Whether the request, or that it was declined, has a place in a window of this rule, which looks at it."""
    return rule.slice_ms != 0 and rule.occasions >> is_declined & 1 and (
        rule.measure != MEASURE_MERCHANTS or subject.known[<int>SCOPE_MERCHANT]) and (
        rule.counted & subject.kind) != 0


cdef inline void add_to_windows(Risk risk, const RiskRequest *request, const Subject *subject, const Found *found,
                                bint is_declined, uint64_t now_ms) noexcept nogil:
    cdef const Rule *rule
    cdef const WindowPlace *window
    cdef int place
    for place in range(found.count):
        rule = &risk._rules[found.rules[place]]
        window = &found.windows[found.window_of[place]]
        if not counts(rule, subject, is_declined):
            continue
        if rule.measure == MEASURE_MERCHANTS:
            risk.windows.meet(window, subject.key[<int>SCOPE_MERCHANT], request.now_ms, now_ms, rule.window_ms)
        elif request.now_ms == now_ms:
            risk.windows.add(window, now_ms, rule.slice_ms, rule.slices,
                             weight_of(rule, request, subject, is_declined))
        else:
            risk.windows.add_late(window, request.now_ms, now_ms, rule.slice_ms, rule.slices,
                                  weight_of(rule, request, subject, is_declined))


cdef inline void take_from_windows(Risk risk, const RiskRequest *request, const Subject *subject,
                                   const Found *found) noexcept nogil:
    cdef const Rule *rule
    cdef const WindowPlace *window
    cdef int place
    for place in range(found.count):
        rule = &risk._rules[found.rules[place]]
        window = &found.windows[found.window_of[place]]
        if not counts(rule, subject, False):
            continue
        if rule.measure == MEASURE_MERCHANTS:
            risk.windows.unmeet(window, subject.key[<int>SCOPE_MERCHANT])
        else:
            risk.windows.take_back(window, risk.windows.slice_at(request.now_ms, rule.slice_ms, rule.slices),
                                   weight_of(rule, request, subject, False), INT64_MIN if rule.against else 0)


cdef void change_windows(Risk risk, const RiskRequest *request, const Subject *subject, bint is_taken_back,
                         bint is_declined, uint64_t now_ms) noexcept nogil:
    """Count a request in its windows, or take it back; when it was, which may be past."""
    cdef Found found
    cdef uint64_t held = hold_windows(risk, subject)
    find_rules(risk, request, subject, &found)
    if is_taken_back:
        take_from_windows(risk, request, subject, &found)
    else:
        add_to_windows(risk, request, subject, &found, is_declined, now_ms)
    risk.windows.release(held)


# --- whose request it is ----------------------------------------------------------------------------------------------

cdef inline void take_party(Risk risk, Subject *subject, int scope, const uint8_t *id, int size) noexcept nogil:
    """A terminal or merchant by its padded identifier; of zeros: none."""
    subject.known[scope] = id[0] != 0
    subject.key[scope] = siphash(&risk._secret, id, size) if id[0] != 0 else 0


cdef inline void identify(Risk risk, const RiskRequest *request, Subject *subject) noexcept nogil:
    """What the windows of this request are found by, and what rules look at."""
    cdef const Merchant *merchant
    cdef int64_t local_ms = <int64_t>request.now_ms + risk.windows.clock_offset_ms
    cdef int bin_digits = min(request.pan_digits, risk._bin_digits), merchant_class = FACET_CLASS
    memset(subject, 0, sizeof(Subject))
    subject.kind = <uint64_t>1 << request.kind if 0 <= request.kind < 64 else 0
    subject.facets = <uint32_t>1 << (request.entry_mode & 15)
    subject.minute = <int>(max(local_ms, 0) // MS_A_MINUTE % MINUTES_A_DAY)
    subject.country = country_of(risk, request) if risk._asks_country else 0
    if request.pan_digits > 0:
        subject.known[<int>SCOPE_CARD] = subject.known[<int>SCOPE_BIN] = True
        subject.key[<int>SCOPE_CARD] = siphash(&risk._secret, request.pan, request.pan_digits)
        if risk._window_scopes >> <int>SCOPE_BIN & 1:
            subject.key[<int>SCOPE_BIN] = siphash(&risk._secret, request.pan, bin_digits)
    if risk._registry is not None and request.terminal < risk._registry.terminal_count:
        take_party(risk, subject, SCOPE_TERMINAL, risk._registry.terminal(request.terminal).id, TERMINAL_ID_MAX)
    if risk._registry is not None and request.merchant < risk._registry.merchant_count:
        merchant = risk._registry.merchant(request.merchant)
        merchant_class += merchant.merchant_class
        take_party(risk, subject, SCOPE_MERCHANT, merchant.id, MERCHANT_ID_MAX)
        subject.known[<int>SCOPE_CATEGORY] = True
        if risk._window_scopes >> <int>SCOPE_CATEGORY & 1:
            subject.key[<int>SCOPE_CATEGORY] = siphash(&risk._secret, <const uint8_t *>&merchant.category,
                                                       sizeof(merchant.category))
        subject.known[<int>SCOPE_IDENTITY] = merchant.same_identity != 0
        if risk._window_scopes >> <int>SCOPE_IDENTITY & 1 and merchant.same_identity != 0:
            subject.key[<int>SCOPE_IDENTITY] = siphash(&risk._secret, <const uint8_t *>&merchant.same_identity,
                                                       sizeof(merchant.same_identity))
    subject.facets |= <uint32_t>1 << merchant_class
    if risk._typed_classes & (<uint32_t>1 << merchant_class):     # else no rule would look at it
        subject.facets |= <uint32_t>1 << (FACET_CARD_TYPE
                                          + risk._card_types.value_of(request.pan, request.pan_digits))


cdef int country_of(Risk risk, const RiskRequest *request) noexcept nogil:
    """Where the card was issued; 0: nobody knows."""
    return request.country if request.country != 0 else risk._countries.value_of(request.pan, request.pan_digits)


# --- what is blocked --------------------------------------------------------------------------------------------------

cdef int blocked(Risk risk, const RiskRequest *request, const Subject *subject) noexcept nogil:
    """Why this card, terminal and kind do not go together, whatever was counted; REASON_APPROVED when they do."""
    cdef int reason
    if risk._registry is not None:
        if request.terminal < risk._registry.terminal_count and (
                not risk._registry.terminal(request.terminal).kinds_allowed & subject.kind):
            risk.refused_by = OWN_TERMINAL_KINDS
            return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
        if request.merchant < risk._registry.merchant_count and (
                not risk._registry.merchant(request.merchant).kinds_allowed & subject.kind):
            risk.refused_by = OWN_MERCHANT_KINDS
            return REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    if risk._merchants is not None and subject.known[<int>SCOPE_MERCHANT]:
        reason = risk._merchants.reason_of(subject.key[<int>SCOPE_MERCHANT])
        if reason != REASON_APPROVED:
            risk.refused_by = OWN_MERCHANTS
            return reason
    if request.pan_digits <= 0:
        return REASON_APPROVED
    if risk._cards is not None:
        reason = risk._cards.reason_of(subject.key[<int>SCOPE_CARD])
        if reason != REASON_APPROVED:
            risk.refused_by = OWN_CARDS
            return reason
    reason = risk._bins.refusal_of(request.pan, request.pan_digits, subject.kind)
    if reason != REASON_APPROVED:
        risk.refused_by = OWN_BINS
        return reason
    if risk._any_country_blocked and has_country(
            risk._countries_blocked, subject.country if risk._asks_country else country_of(risk, request)):
        risk.refused_by = OWN_COUNTRIES
        return REASON_RESTRICTED_CARD
    return REASON_APPROVED


# --- building ---------------------------------------------------------------------------------------------------------

cdef uint64_t merchant_hash(Risk risk, str merchant) except? 0:
    """What a merchant is known by, from its identifier."""
    cdef bytes padded = merchant.encode("ascii").ljust(MERCHANT_ID_MAX)
    if len(padded) > MERCHANT_ID_MAX:
        raise ValueError(f"a merchant's identifier has at most {MERCHANT_ID_MAX} characters, not {len(merchant)}")
    return siphash(&risk._secret, <const uint8_t *><const char *>padded, MERCHANT_ID_MAX)


cdef int take_rules(Risk risk, list rules) except -1:
    cdef Rule *rule
    if len(rules) > RULES_MAX:
        raise ValueError(f"{len(rules)} rules; there may be {RULES_MAX}")
    for terms in rules:
        rule = &risk._rules[risk.rule_count]
        # What is counted otherwise is counted anew.
        counted = (terms.name, terms.scope, terms.window_ms, terms.sliding, terms.currency, terms.measure,
                   terms.along, terms.against, terms.amount_from, terms.amount_to, terms.entries, terms.minutes,
                   terms.countries, terms.card_types, terms.merchant_classes, terms.monthly)
        fill_rule(rule, terms, keyed_hash(bytes(SECRET_BYTES), repr(counted).encode()))
        if rule.slice_ms:
            risk._window_scopes |= 1 << rule.scope
        risk._asks_country = risk._asks_country or rule.has_countries
        if terms.card_types:
            risk._typed_classes |= ~rule.strange
        merchants = [[merchant_hash(risk, merchant) for merchant in one.merchants] for one in terms.exits]
        risk._grades.take(terms, &rule.graded, merchants, REFUSALS)
        risk.rule_count += 1
    return 0


cdef int take_words(Risk risk, list own, list rules) except -1:
    """How everything that may refuse explains itself."""
    cdef int number
    cdef bytes text
    told = {terms.name: terms for terms in own}
    if unknown := told.keys() - set(OWN_RULES):
        raise ValueError(f"nothing of risk control is called {', '.join(sorted(unknown))}")
    named = [told.get(name) or RuleTerms(name=name) for name in OWN_RULES] + rules
    everything = [(terms.id, terms.text, terms.source) for terms in named]
    for terms in rules:
        everything += [(f"{terms.id}/{grade.name}", grade.text, terms.source) for grade in terms.exits + terms.bands]
    risk._texts = []
    for number, (rule_id, reason, source) in enumerate(everything):
        text = words_of(rule_id, reason, source, &risk._words[number])
        risk._texts.append(text)
        risk._words[number].text = <const uint8_t *><const char *>text
    risk.rule_ids = tuple([rule_id for rule_id, _, _ in everything])
    return 0
