"""Late answers in a recovery: what an issuer approved after the end of a request, and nobody takes back."""

from collections import deque

cimport cython
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from switch.dialect.kinds cimport KIND_COUNT
from switch.dialect.reasons cimport REASON_ANSWER_MISMATCHED, REASON_APPROVED, REASON_PARTIALLY_APPROVED, REASON_TIMEOUT
from switch.dialect.tables cimport kind_traits
from switch.journal.records cimport RECORD_REVERSAL, REVERSAL_APPROVED, REVERSAL_UNBOOKED, read_record
from switch.machine.handles cimport OUTCOME_NONE
from switch.machine.saf_store cimport CAUSE_LATE, CAUSE_MISMATCH, CAUSE_UNKNOWN

cdef enum:
    SLACK_NS = 10_000_000_000         # what writes a LATE looks at the time now and then


cdef int _late_cause(int reason) noexcept nogil:
    """Why a request is reversed whose late answer says this; CAUSE_UNKNOWN when that approves nothing."""
    if reason == REASON_APPROVED or reason == REASON_PARTIALLY_APPROVED:
        return CAUSE_LATE
    return CAUSE_MISMATCH if reason == REASON_ANSWER_MISMATCHED else CAUSE_UNKNOWN


cdef KeptRecord *keep_record(const Record *record) except NULL:
    cdef KeptRecord *kept = <KeptRecord *>malloc(sizeof(KeptRecord) + record.head.size)
    if kept == NULL:
        raise MemoryError
    memset(kept, 0, sizeof(KeptRecord))
    kept.type = record.head.type
    kept.size = record.head.size
    kept.outcome = OUTCOME_NONE
    if record.head.type == RECORD_REVERSAL:
        kept.attempts = record.reversal.attempts
        kept.original = record.reversal.original
        kept.unfound = record.reversal.unfound
        kept.is_unbooked = record.reversal.flags & REVERSAL_UNBOOKED
        kept.is_approved = record.reversal.flags & REVERSAL_APPROVED != 0
    # The record's parts stand one after another before its message.
    memcpy(<uint8_t *>kept + sizeof(KeptRecord), record.message + record.message_size - record.head.size,
           record.head.size)
    return kept


@cython.final
cdef class LateAnswers:
    """Knows of none when it is made.

    Args:
        unended: The INTENTs without OUTCOME.
        horizon_ns: How long after its end a request may be answered.
    """

    def __init__(self, PositionTable unended not None, int64_t horizon_ns):
        self.unended = unended
        self.ended = PositionTable()
        self._order = deque()
        self._horizon_ns = horizon_ns + SLACK_NS

    def __dealloc__(self):
        if self.ended is not None:
            for position in self.ended.positions():
                free(<void *>self.ended.get(position))

    cdef int end(self, const Record *outcome, KeptRecord *intent, int64_t ended_ns) except -1:
        cdef KeptRecord *oldest
        if outcome.outcome.reason not in (REASON_TIMEOUT, REASON_ANSWER_MISMATCHED):
            free(intent)
            return 0
        self.ended.put(outcome.outcome.intent, <uint64_t>intent)
        self._order.append((ended_ns, outcome.outcome.intent))
        while ended_ns - <int64_t>self._order[0][0] > self._horizon_ns:
            _, first = self._order.popleft()
            oldest = <KeptRecord *>self.ended.get(first)
            if oldest.late_cause == CAUSE_UNKNOWN:
                free(<void *>self.ended.pop(first))
        return 0

    cdef KeptRecord *_intent(self, int64_t position) noexcept:
        cdef KeptRecord *intent = NULL
        if position:
            intent = <KeptRecord *>self.unended.get(position)
            if intent == NULL:
                intent = <KeptRecord *>self.ended.get(position)
        return intent

    cdef void take_reversal(self, int64_t position, int64_t original) noexcept:
        cdef KeptRecord *intent = self._intent(original)
        if intent != NULL:
            intent.is_covered = True
            intent.late_cause = CAUSE_UNKNOWN
            intent.owed = position

    cdef void end_reversal(self, const KeptRecord *reversal, bint is_settled) noexcept:
        cdef KeptRecord *intent
        if reversal == NULL:
            return
        intent = self._intent(reversal.original)
        if intent != NULL:
            intent.owed = 0
            intent.is_settled = is_settled

    cdef void take(self, const Record *record, KeptRecord *owed) noexcept:
        cdef KeptRecord *intent = self._intent(record.late.intent)
        cdef Record asked
        cdef int cause = _late_cause(record.late.reason)
        if cause == CAUSE_UNKNOWN:
            return
        if owed != NULL:
            if cause == CAUSE_LATE:
                owed.is_approved = True
                owed.late_minor = record.approved_minor
            return
        if (intent == NULL or intent.is_settled or intent.owed
                or read_record(<uint8_t *>intent + sizeof(KeptRecord), intent.size, &asked) <= 0
                or asked.request.kind >= KIND_COUNT or not kind_traits(asked.request.kind).reversible):
            return
        if intent.late_cause == CAUSE_LATE and cause != CAUSE_LATE:
            return                            # it has approved all the same
        intent.late_cause = cause
        intent.late_minor = record.approved_minor
        memcpy(intent.late_code, record.late.authorization_code, sizeof(intent.late_code))

    cdef list owed(self):
        return [position for position in self.ended.positions()
                if (<KeptRecord *><uint64_t>self.ended.get(position)).late_cause != CAUSE_UNKNOWN]
