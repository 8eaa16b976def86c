"""After a crash or a stop: the journal read back into the state machine's tables, before anybody connects.

A request without an outcome is ended and reversed; reversals that no issuer acknowledged go on; what was finished
within the duplicate window is remembered with its answers; links number on where they were.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.base.position_table cimport PositionTable
from switch.dialect.tables cimport DialectTables
from switch.journal.late_answers cimport KeptRecord, LateAnswers
from switch.journal.records cimport Record, ReversedPart
from switch.journal.replay cimport Visitor
from switch.journal.restored_outcomes cimport WindowFiller
from switch.machine.link cimport Link
from switch.machine.message_mending cimport Mender
from switch.machine.state cimport State

cdef class Recovery(Visitor):
    cdef readonly State state
    cdef PositionTable _intents               # without outcome: KeptRecord
    cdef LateAnswers _late                    # to requests that have ended
    cdef PositionTable _reversals             # REVERSAL and ADVICE without REVERSED: KeptRecord
    cdef PositionTable _advices               # by position of its first record: entry of the store, counted from 1
    cdef PositionTable _originals             # by position of INTENT or ADVICE: the last record that takes it back
    cdef PositionTable _referred              # positions of INTENTs and ADVICEs to which others refer
    cdef PositionTable _refers                # by position of INTENT or ADVICE: what it refers to
    cdef list _links                          # by number in the segment: number now, or -1
    cdef list _listeners
    cdef list _link_names                     # of all links that were ever named
    cdef list _link_name_at                   # by number in the segment: place in _link_names
    cdef set _closed                          # positions of requests whose reversals an operator has given up
    cdef dict _link_numbers                   # by name: now
    cdef dict _listener_numbers
    cdef Mender _copies
    cdef WindowFiller _window
    cdef int64_t _now_ns
    cdef int64_t _now_us
    cdef bint _has_clock
    cdef str _boot                            # what the journal's own time went by last
    cdef int64_t _offset_ns
    cdef int64_t _elapsed_ns                  # the journal's own time, as far as the replay has come
    cdef int64_t _record_ns                   # of the record that is read
    cdef int64_t _shift_ns                    # from the journal's own time to the calendar's
    cdef readonly uint64_t records
    cdef readonly uint32_t remembered         # outcomes in the duplicate window
    cdef readonly uint32_t resumed            # reversals and advices that go on
    cdef readonly uint32_t ended              # requests without outcome
    cdef readonly uint32_t reversed           # of them, those that are reversed now
    cdef readonly uint32_t late               # requests that were approved after their end, and are reversed now

    cdef int _settle_clock(self, str boot) except -1
    cdef int64_t _stored_ns(self, const KeptRecord *kept, int64_t wall_us) noexcept
    cdef void _note_booked(self, const ReversedPart *end) noexcept
    cdef int _number(self, list numbers, int number) except -2
    cdef int _keep(self, PositionTable table, const Record *record, int64_t link_then, int link, int listener) except -1
    cdef void _drop(self, PositionTable table, int64_t position) noexcept
    cdef void _take_claim(self, const Record *record) noexcept
    cdef int _take_advice(self, const Record *record) except -1
    cdef int _take_outcome(self, const Record *record) except -1
    cdef bint _is_advice(self, int64_t position) noexcept
    cdef int64_t _refers_to(self, const Record *reversal) noexcept
    cdef int _resume(self, int64_t position) except -1
    cdef int _resume_advice(self, int64_t position, const KeptRecord *kept, Link link, const Record *record) except -1
    cdef int _void(self, int64_t position, int64_t original) except -1
    cdef int _end(self, int64_t position) except -1
    cdef int _reverse(self, int64_t position, const KeptRecord *kept) except -1
    cdef int _make_room(self) except -1
