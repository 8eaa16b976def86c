"""Late answers in a recovery: an issuer that approved after the end of a request, and whose approval nobody takes back.

The reversal of such an approval follows its LATE at once. Where it found no room just then, or the process ended
before, nothing but the LATE tells of the charge: the next start owes it.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from switch.base.position_table cimport PositionTable
from switch.journal.records cimport Record
from switch.machine.handles cimport OutcomeHandle

cdef struct KeptRecord:       # a record that may still be needed, with its bytes behind it
    int type
    uint32_t size
    uint32_t attempts         # of a REVERSAL or ADVICE
    uint32_t unfound          # how often its issuer did not find what it takes back
    int32_t link              # its number now; -1: the configuration has it no more
    int32_t listener
    int64_t elapsed_ns        # by the journal's own time
    uint32_t link_name        # place in the list of names
    bint is_unbooked          # a REVERSAL of an approval of which its issuer has not taken note
    bint is_covered           # an INTENT whose REVERSAL is there
    bint is_told              # an ADVICE whose OUTCOME is there
    OutcomeHandle outcome     # of an ADVICE: its entry of the duplicate window, or OUTCOME_NONE
    uint32_t outcome_serial
    int64_t original          # of a REVERSAL: the INTENT that it takes back; 0: not known
    int64_t owed              # of an INTENT: the REVERSAL of it that has not ended; 0: none
    bint is_settled           # an INTENT of which the issuer said that a REVERSAL took it back
    bint is_approved          # a REVERSAL of what its issuer has approved late
    int late_cause            # of an INTENT that was approved late, and must be reversed; else CAUSE_UNKNOWN
    int64_t late_minor        # the part that was approved of it, or of what a REVERSAL takes back; 0: all of it
    unsigned char late_code[6]        # authorization code; zeros: none


cdef KeptRecord *keep_record(const Record *record) except NULL
"""A copy of a record, with what a REVERSAL says of itself; to be freed."""


cdef class LateAnswers:
    cdef PositionTable unended        # INTENTs without OUTCOME: KeptRecord, another's
    cdef PositionTable ended          # INTENTs that ended as time-outs, and may be answered late: KeptRecord, its own
    cdef object _order                # (when it ended, position) of ``ended``, oldest first
    cdef int64_t _horizon_ns

    cdef KeptRecord *_intent(self, int64_t position) noexcept
    cdef int end(self, const Record *outcome, KeptRecord *intent, int64_t ended_ns) except -1
    """An OUTCOME has ended a request that was open: ``intent`` belongs to this from here on."""

    cdef void take_reversal(self, int64_t position, int64_t original) noexcept
    """A REVERSAL of an INTENT is owed."""

    cdef void end_reversal(self, const KeptRecord *reversal, bint is_settled) noexcept
    """It is not owed any more; ``is_settled``: its issuer said that its original is taken back."""

    cdef void take(self, const Record *record, KeptRecord *owed) noexcept
    """A LATE; ``owed`` is the REVERSAL of its INTENT that has not ended, which names what was approved, or NULL."""

    cdef list owed(self)
    """Positions of the ended INTENTs that must be reversed."""
