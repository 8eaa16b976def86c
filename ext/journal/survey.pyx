"""What stands in a journal, looked at before its records are written anew: what is open, and when it all was."""

cimport cython
from switch.dialect.reasons cimport REASON_APPROVED, REASON_ORIGINAL_NOT_FOUND, REASON_PARTIALLY_APPROVED
from switch.journal.record_time cimport elapsed_of
from switch.journal.records cimport (
    FLAG_APPROVED, FLAG_REVERSED, RECORD_ADVICE, RECORD_CANCELLED, RECORD_CLOSED, RECORD_DELIVERED, RECORD_INTENT,
    RECORD_LATE, RECORD_NUMBERS, RECORD_OUTCOME, RECORD_REVERSAL, RECORD_REVERSED, positions_of,
)
from switch.machine.saf_store cimport takes_back


@cython.final
cdef class Survey(Visitor):
    """To be read into from where the oldest thing that is open can stand."""

    def __init__(self):
        self.boot = ""
        self.elapsed_ns = -1
        self.links, self.listeners = set(), set()
        self.requests, self.entries, self.late = set(), set(), set()
        self.untold = {}
        self._outcomes, self._requests, self._taken_back = {}, {}, {}

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self.links.update(links.values())
        self.listeners.update(listeners.values())
        if "reserved_to" in numbers:
            self._learn(numbers["reserved_to"], numbers["day_max"], numbers["day_floor"])
        return 0

    cdef void _learn(self, uint64_t reserved_to, int32_t day_max, int32_t day_floor) noexcept:
        self.reserved_to = max(self.reserved_to, reserved_to)
        self.day_max = max(self.day_max, day_max)
        self.day_floor = max(self.day_floor, day_floor)

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        self.has_clock = True
        self.boot = boot
        self.offset_ns = offset_ns
        self.elapsed_ns = max(self.elapsed_ns, elapsed_ns)
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef int type = record.head.type
        self.elapsed_ns = elapsed_behind(record, self.elapsed_ns)
        self.wall_us = record.head.wall_us
        if type == RECORD_INTENT:
            self.requests.add(record.position)
        elif type == RECORD_OUTCOME:
            self._end_request(record)
        elif type == RECORD_REVERSAL:
            self.entries.discard(record.reversal.replaces)
            self.entries.add(record.position)
            if record.reversal.original:
                self._take_back(record.reversal.original, record.position)
        elif type == RECORD_ADVICE:
            self.entries.discard(record.advice.replaces)
            self.entries.add(record.position)
        elif type == RECORD_REVERSED:
            self.entries.discard(record.reversed.reversal)
            if (record.reversed.reason == REASON_ORIGINAL_NOT_FOUND
                    and self._taken_back.get(record.reversed.original) == record.reversed.reversal):
                self._taken_back[record.reversed.original] = 0
        elif type == RECORD_CLOSED:
            self.entries.discard(record.closed.reversal)
        elif type == RECORD_CANCELLED:
            self.entries.discard(record.cancelled.advice)
            if record.cancelled.original and takes_back(record.cancelled.cause):
                self._take_back(record.cancelled.original, record.position)
        elif type == RECORD_LATE:
            if (record.late.reason in (REASON_APPROVED, REASON_PARTIALLY_APPROVED)
                    and not self._taken_back.get(record.late.intent)):
                self.late.add(record.late.intent)
        elif type == RECORD_NUMBERS:
            self._learn(record.numbers.reserved_to, record.numbers.day_max, record.numbers.day_floor)
        elif type == RECORD_DELIVERED:
            for position in positions_of(record):
                if self.untold.pop(position, None) is not None:
                    self._outcomes.pop(self._requests.pop(position))
        return 0

    cdef int _end_request(self, const Record *record) except -1:
        self.requests.discard(record.outcome.intent)
        if record.outcome.intent and record.outcome.flags & (FLAG_APPROVED | FLAG_REVERSED) == FLAG_APPROVED:
            self.untold[record.position] = self.elapsed_ns
            self._outcomes[record.outcome.intent] = record.position
            self._requests[record.position] = record.outcome.intent
        return 0

    cdef int _take_back(self, int64_t original, int64_t position) except -1:
        self._taken_back[original] = position
        self.late.discard(original)
        outcome = self._outcomes.pop(original, None)
        if outcome is not None:
            del self.untold[outcome], self._requests[outcome]
        return 0


cdef int64_t elapsed_behind(const Record *record, int64_t before_ns) noexcept nogil:
    cdef int64_t elapsed_ns = elapsed_of(&record.head, max(before_ns, 0))
    if elapsed_ns < 0:               # of a version that wrote down no time but the wall clock's
        elapsed_ns = record.head.wall_us * 1000
    return max(before_ns, elapsed_ns)
