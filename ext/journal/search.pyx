"""Finds transactions in the journal by what is printed on a slip, and collects all that was written of each."""

cimport cython
from libc.string cimport memcmp, memcpy
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport takes_note
from switch.journal.record_text cimport describe
from switch.journal.record_time cimport elapsed_of
from switch.journal.records cimport (
    RECORD_ADVICE, RECORD_ATTEMPT, RECORD_CANCELLED, RECORD_CLAIM, RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_DELIVERED,
    RECORD_INTENT, RECORD_LATE, RECORD_OUTCOME, RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED, RECORD_RULED,
    RECORD_UNFOUND,
    next_delivered,
)
from switch.machine.saf_store cimport CAUSE_TERMINAL


cdef inline uint8_t digit_at(const uint8_t *packed, int place) noexcept nogil:
    return 0x30 + ((packed[place // 2] >> (0 if place & 1 else 4)) & 15)


@cython.final
cdef class Search(Visitor):
    """Collects transactions while the journal is read, oldest first. What is not given is not asked for.

    Args:
        rrn: Retrieval reference number, 12 characters.
        terminal: Field 41.
        stan: The terminal's, field 11.
        pan_first: Digits with which the card number begins.
        pan_last: Digits with which it ends.
        amount_minor: Field 4.
        from_us: The request came then, or later; microseconds since 1970.
        to_us: The request came before.
        position: The transaction begins with the record of this position.
        most: So many transactions are collected; ``is_full`` tells that there are more.
    """

    def __init__(self, *, str rrn=None, str terminal=None, int64_t stan=-1, str pan_first="", str pan_last="",
                 int64_t amount_minor=-1, int64_t from_us=0, int64_t to_us=0x7FFFFFFFFFFFFFFF,
                 int64_t position=0, int64_t most=100):
        cdef bytes text
        self.found = []
        self.referring = set()
        self._position = position
        self._of = PositionTable()
        self._links = {}
        self._listeners = {}
        self._stan = stan
        self._amount_minor = amount_minor
        self._from_us = from_us
        self._to_us = to_us
        self._most = most
        if rrn is not None:
            text = rrn.encode("ascii")
            if len(text) != RRN_BYTES:
                raise ValueError("a retrieval reference number has 12 characters")
            memcpy(self._rrn, <const uint8_t *><const char *>text, RRN_BYTES)
            self._has_rrn = True
        if terminal is not None:
            text = terminal.encode("ascii").ljust(TERMINAL_BYTES)
            if len(text) != TERMINAL_BYTES:
                raise ValueError("a terminal's identification has at most 8 characters")
            memcpy(self._terminal, <const uint8_t *><const char *>text, TERMINAL_BYTES)
            self._has_terminal = True
        for digits in (pan_first, pan_last):
            if len(digits) > 19 or not (digits == "" or digits.isascii() and digits.isdigit()):
                raise ValueError("of a card number, up to 19 digits can be given")
        self._first_count = len(pan_first)
        text = pan_first.encode("ascii")
        memcpy(self._first, <const uint8_t *><const char *>text, self._first_count)
        self._last_count = len(pan_last)
        text = pan_last.encode("ascii")
        memcpy(self._last, <const uint8_t *><const char *>text, self._last_count)

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self._links = links
        self._listeners = listeners
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        cdef uint64_t number = 0
        cdef uint64_t taken_back = self._taken_back
        self._taken_back = 0
        if type == RECORD_INTENT:
            self._take_request(record, record.intent.rrn)
        elif type == RECORD_OUTCOME and record.outcome.intent == 0:
            if taken_back and record.request.kind == KIND_REVERSAL:
                self._add(taken_back, record)        # the terminal's request, which was written down behind its effect
            elif self._position == 0 and self._matches(&record.request, record.outcome.rrn, record.head.wall_us):
                self._open(record)
        elif type == RECORD_ADVICE and record.advice.replaces == 0:
            self._take_request(record, record.advice.rrn)
        elif self._of.count == 0 and type != RECORD_REVERSAL:
            return 0
        elif type == RECORD_OUTCOME:
            self._add(self._of.get(record.outcome.intent), record)
        elif type == RECORD_REVERSAL:
            number = self._of.get(record.reversal.replaces if record.reversal.replaces else record.reversal.original)
            if number == 0 and record.reversal.original == 0 and record.reversal.replaces == 0 and self._has_rrn \
                    and memcmp(record.reversal.rrn, self._rrn, RRN_BYTES) == 0:
                self._open(record)
            else:
                self._add(number, record)
            if record.reversal.cause == CAUSE_TERMINAL:
                self._taken_back = number
        elif type == RECORD_ATTEMPT:
            self._add(self._of.get(record.attempt.reversal), record)
        elif type == RECORD_REVERSED:
            self._add(self._of.get(record.reversed.reversal), record)
        elif type == RECORD_UNFOUND:
            self._add(self._of.get(record.unfound.reversal), record)
        elif type == RECORD_DELIVERED:
            self._take_delivered(record)
        elif type == RECORD_LATE:
            self._add(self._of.get(record.late.intent), record)
        elif type == RECORD_CLOSED:
            self._add(self._of.get(record.closed.reversal), record)
        elif type == RECORD_ADVICE:
            self._add(self._of.get(record.advice.replaces), record)
        elif type == RECORD_CLAIM:
            self._add(self._of.get(record.claimed.original), record)
        elif type == RECORD_CLAIM_STATE:
            self._add(self._of.get(record.claim_state.claim), record)
        elif type == RECORD_REFERS:
            self._add(self._of.get(record.refers.request), record)
        elif type == RECORD_RULED:
            self._add(self._of.get(record.ruled.request), record)
        elif type == RECORD_CANCELLED:
            number = self._of.get(record.cancelled.advice)
            self._add(number, record)
            if record.cancelled.cause == CAUSE_TERMINAL:
                self._taken_back = number
        return 0

    cdef int _take_request(self, const Record *record, const uint8_t *rrn) except -1:
        """A request: one that was looked for, or one that refers to such a one."""
        cdef uint64_t original = self._of.get(record.request.refers_to) if record.request.refers_to else 0
        if self._position:
            if record.position == self._position:
                self._open(record)
        elif self._matches(&record.request, rrn, record.head.wall_us):
            self._open(record)
            return 0
        if original and not self.is_full and self._of.get(record.position) == 0:
            self._open(record)
            self.referring.add(len(self.found) - 1)
        return 0

    cdef bint _matches(self, const RequestPart *request, const uint8_t *rrn, int64_t wall_us) noexcept nogil:
        cdef int i
        if not self._from_us <= wall_us < self._to_us:
            return False
        self.looked_at += 1
        if self._has_rrn and memcmp(rrn, self._rrn, RRN_BYTES) != 0:
            return False
        if self._has_terminal and memcmp(request.terminal, self._terminal, TERMINAL_BYTES) != 0:
            return False
        if self._stan >= 0 and request.stan != self._stan:
            return False
        if self._amount_minor >= 0 and request.amount_minor != self._amount_minor:
            return False
        if request.pan_digits < self._first_count or request.pan_digits < self._last_count:
            return False
        for i in range(self._first_count):
            if digit_at(request.pan, i) != self._first[i]:
                return False
        for i in range(self._last_count):
            if digit_at(request.pan, request.pan_digits - self._last_count + i) != self._last[i]:
                return False
        return True

    cdef int _open(self, const Record *record) except -1:
        """A transaction that was looked for begins."""
        if len(self.found) >= self._most:
            self.is_full = True
            return 0
        self.found.append([])
        self._add(len(self.found), record)
        return 0

    cdef int _add(self, uint64_t number, const Record *record) except -1:
        """One more record of transaction ``number``; 0 for none that was looked for."""
        cdef dict parts
        if number == 0:
            return 0
        parts = describe(record)
        for key, names in (("link", self._links), ("listener", self._listeners)):
            if parts.get(key) is not None:
                parts[key] = names.get(parts[key], f"number {parts[key]}")
        (<list>self.found[number - 1]).append(parts)
        self._of.put(record.position, number)
        return 0

    cdef int _take_delivered(self, const Record *record) except -1:
        """Which of the transactions' answers have left: for each of them a record of its own."""
        cdef const uint8_t *at = record.message
        cdef int64_t position = record.delivered.first
        cdef uint64_t number
        cdef uint32_t left = record.delivered.count
        while left:
            number = self._of.get(position)
            if number:
                (<list>self.found[number - 1]).append({
                    "position": record.position,
                    "type": "DELIVERED",
                    "wall_us": record.head.wall_us,
                    "answer": position,
                })
            left -= 1
            if left:
                position = next_delivered(&at, record.message + record.message_size, position)
        return 0


@cython.final
cdef class SafVisitor(Visitor):
    """Collects what is owed at the end of the journal, and when that was by the journal's own time."""

    def __init__(self):
        self.boot = ""
        self.elapsed_ns = -1
        self._records = {}
        self._unsaid = {}
        self._taking_back = {}
        self._links = {}
        self._listeners = {}

    def owed(self):
        """The records of what is owed, oldest first, as dicts with whole card numbers; their attempts as they are.
        ``elapsed_ns`` is when each was written by the journal's own time, -1 where it has none."""
        return [self._records[position] for position in sorted(self._records)]

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self._links = links
        self._listeners = listeners
        return 0

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        self.boot = boot
        self.offset_ns = offset_ns
        self.elapsed_ns = max(self.elapsed_ns, elapsed_ns)
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        cdef int64_t elapsed_ns = elapsed_of(&record.head, max(self.elapsed_ns, 0))
        cdef dict parts, before
        self.elapsed_ns = max(self.elapsed_ns, elapsed_ns)
        self.wall_us = record.head.wall_us
        if type == RECORD_REVERSAL or type == RECORD_ADVICE:
            parts = describe(record)
            parts["elapsed_ns"] = elapsed_ns
            for key, names in (("link", self._links), ("listener", self._listeners)):
                if parts.get(key) is not None:
                    parts[key] = names.get(parts[key], f"number {parts[key]}")
            before = self._records.pop(parts["replaces"], {})
            parts["not_found"] = max(parts.get("not_found", 0), before.get("not_found", 0))
            if type == RECORD_REVERSAL and record.reversal.original:
                self._taking_back[record.reversal.original] = record.position
            # An advice counts from its OUTCOME on: without it nobody was told of anything. That of one that was written
            # down once more stands before it, maybe before all that is read.
            is_unsaid = type == RECORD_ADVICE and parts["replaces"] == 0
            (self._unsaid if is_unsaid else self._records)[record.position] = parts
        elif type == RECORD_OUTCOME:
            parts = self._unsaid.pop(record.outcome.intent, None)
            if parts is not None:
                self._records[record.outcome.intent] = parts
        elif type == RECORD_ATTEMPT:
            if record.attempt.reversal in self._records:
                self._records[record.attempt.reversal]["attempts"] = record.attempt.attempts
        elif type == RECORD_UNFOUND:
            if record.unfound.reversal in self._records:
                self._records[record.unfound.reversal]["not_found"] = record.unfound.times
        elif type == RECORD_REVERSED:
            self._records.pop(record.reversed.reversal, None)
            taking_back = self._taking_back.pop(record.reversed.original, None)
            if takes_note(record.reversed.reason) and taking_back in self._records:
                self._records[taking_back]["unbooked"] = False       # its advice was taken note of
        elif type == RECORD_CLOSED:
            self._records.pop(record.closed.reversal, None)
        elif type == RECORD_CANCELLED:
            self._records.pop(record.cancelled.advice, None)
        return 0
