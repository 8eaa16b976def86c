"""What the journal says of requests as risk control sees them: counts brought back, and rules rehearsed."""

cimport cython
from libc.stdint cimport uint8_t
from switch.dialect.reasons cimport is_decline
from switch.dialect.tables cimport kind_traits
from switch.journal.records cimport (
    FLAG_APPROVED, FLAG_REVERSED, RECORD_ADVICE, RECORD_CANCELLED, RECORD_INTENT, RECORD_OUTCOME, RECORD_REVERSAL,
)
from switch.machine.request_record cimport MERCHANT_BYTES, PAN_PACKED_BYTES, TERMINAL_BYTES, unpack_digits
from switch.machine.saf_store cimport CAUSE_SETTLED, CAUSE_WITHHELD
from switch.tables.rules cimport RISK_PAST_MS, RiskRequest, risk_request

from switch.dialect.kinds import KINDS

FATES = ("stands", "open", "gone", "declined", "refused")

cdef enum:
    US_A_MS = 1000
    NS_A_MS = 1_000_000


@cython.final
cdef class Fates(Visitor):

    def __init__(self):
        self._fates = PositionTable()

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        self.records += 1
        self._last = record.position
        if type == RECORD_INTENT or (type == RECORD_ADVICE and record.advice.replaces == 0):
            self._fates.put(record.position, FATE_OPEN)
        elif type == RECORD_OUTCOME and record.outcome.intent:
            if record.outcome.flags & FLAG_APPROVED and not record.outcome.flags & FLAG_REVERSED:
                self._fates.pop(record.outcome.intent)
            else:
                self._fates.put(record.outcome.intent, _fate_of(record))
        elif type == RECORD_REVERSAL and record.reversal.original:
            self._fates.put(record.reversal.original, FATE_GONE)
        elif type == RECORD_CANCELLED and record.cancelled.cause not in (CAUSE_SETTLED, CAUSE_WITHHELD):
            self._fates.put(record.cancelled.original, FATE_GONE)
        return 0


cdef int _fate_of(const Record *record) noexcept nogil:
    """That of a request which was not approved."""
    cdef bint is_answered = record.has_detail and record.detail.code[0] != 0
    return FATE_DECLINED if is_answered and is_decline(record.outcome.reason) else FATE_GONE


cdef class RequestVisitor(Visitor):

    def __init__(self, Fates fates not None):
        self._fates = fates._fates
        self._last = fates._last

    cdef int take_request(self, const Record *record, int fate) except -1:
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        self.records += 1
        if record.position > self._last:
            return 0
        if type == RECORD_INTENT or (type == RECORD_ADVICE and record.advice.replaces == 0):
            self.take_request(record, <int>self._fates.get(record.position))
        elif type == RECORD_OUTCOME and record.has_rule and record.has_request:
            self.take_request(record, FATE_REFUSED)
        return 0


cdef RiskRequest _asked(const RequestPart *request, Registry registry, uint8_t *pan, int64_t now_ns) noexcept nogil:
    """The request as risk control looks at it. ``pan`` has room for its digits, and must outlive it."""
    unpack_digits(request.pan, request.pan_digits, pan)
    return risk_request(request.kind, request.currency, request.amount_minor, pan, request.pan_digits,
                        registry.find_terminal(request.terminal, TERMINAL_BYTES),
                        registry.find_merchant(request.merchant, MERCHANT_BYTES), request.entry_mode, now_ns)


@cython.final
cdef class CountRestorer(RequestVisitor):
    """Counts for risk control what a journal says was approved, or declined, within its windows.

    Args:
        fates: Of the same journal.
        risk: Where it is counted.
        registry: Where terminals and merchants are looked up.
        now_ns: The calendar's present moment.
        wall_us: The same by the clock that records go by.
        journal: Number of its partition.
        counted_to: The position up to which it was counted before.
    """

    def __init__(self, Fates fates not None, Risk risk not None, Registry registry not None, int64_t now_ns,
                 int64_t wall_us, *, uint32_t journal=0, int64_t counted_to=0):
        RequestVisitor.__init__(self, fates)
        self._risk = risk
        self._registry = registry
        self._now_ms = now_ns // NS_A_MS
        self._wall_ms = wall_us // US_A_MS
        self._journal = journal
        self._counted_to = counted_to
        self._since_ms = self._wall_ms - <int64_t>risk.window_max_ms

    cdef int take_request(self, const Record *record, int fate) except -1:
        cdef uint8_t pan[2 * PAN_PACKED_BYTES]
        cdef int64_t wall_ms = min(record.head.wall_us // US_A_MS, self._wall_ms)     # the clock may have been set
        cdef RiskRequest request
        if record.position <= self._counted_to or fate not in (FATE_STANDS, FATE_DECLINED) or wall_ms < self._since_ms:
            return 0
        request = _asked(&record.request, self._registry, pan, (self._now_ms - self._wall_ms + wall_ms) * NS_A_MS)
        self._risk.recount(&request, fate == FATE_DECLINED, <uint64_t>(self._now_ms + RISK_PAST_MS))
        # Whoever dies in between lets one be counted twice, never not at all.
        self._risk.windows.note_counted(self._journal, <uint64_t>record.position)
        self.counted += 1
        return 0


@cython.final
cdef class JournalRequest:

    def __init__(self):
        raise TypeError("a JournalRequest is made by a RequestListing")

    @property
    def what_became(self):
        """One of ``FATES``."""
        return FATES[self.fate]

    @property
    def kind(self):
        return KINDS[self.request.kind]

    @property
    def card(self):
        """What stands for the card, within this process: its number is not shown."""
        return self.request.pan[:PAN_PACKED_BYTES]

    @property
    def terminal(self):
        return self.request.terminal[:TERMINAL_BYTES].decode("ascii", "replace").rstrip()

    @property
    def merchant(self):
        return self.request.merchant[:MERCHANT_BYTES].decode("ascii", "replace").rstrip()

    @property
    def currency(self):
        return self.request.currency

    @property
    def amount_minor(self):
        return self.request.amount_minor


@cython.final
cdef class RequestListing(RequestVisitor):
    """Calls back with each request from a moment on, as a ``JournalRequest``."""

    def __init__(self, Fates fates not None, callback, int64_t from_us=0):
        RequestVisitor.__init__(self, fates)
        self._callback = callback
        self._from_us = from_us

    cdef int take_request(self, const Record *record, int fate) except -1:
        cdef JournalRequest one
        if record.head.wall_us < self._from_us:
            return 0
        one = JournalRequest.__new__(JournalRequest)
        one.request = record.request
        one.wall_us = record.head.wall_us
        one.fate = fate
        self._callback(one)
        return 0


def rehearse(Risk risk not None, Registry registry not None, JournalRequest one not None):
    """Let rules decide about a request of the past, and count it as it then ended.

    Returns:
        The numbers of the rules that refuse it, or in shadow would: places in ``Risk.rule_ids``, the refusal last; and
        whether the last one is a refusal.
    """
    cdef uint8_t pan[2 * PAN_PACKED_BYTES]
    cdef RiskRequest request = _asked(&one.request, registry, pan, one.wall_us * US_A_MS)
    cdef list before = risk.shadowed
    cdef list found
    if kind_traits(one.request.kind).is_advice:
        # It has happened when it is told of: no rule refuses it.
        if one.fate in (FATE_STANDS, FATE_OPEN):
            risk.count(&request)
        return [], False
    risk.check(&request)
    found = [number for number, count in enumerate(risk.shadowed) if count != before[number]]
    if risk.refused_by >= 0:
        found.append(risk.refused_by)
        return found, True
    if one.fate in (FATE_OPEN, FATE_GONE, FATE_DECLINED):
        risk.uncount(&request)
    if one.fate == FATE_DECLINED:
        risk.count_decline(&request)
    return found, False
