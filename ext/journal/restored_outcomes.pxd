"""What a recovery puts into the duplicate window: the outcomes of before, as repeats and reversals will find them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.base.position_table cimport PositionTable
from switch.journal.records cimport Record
from switch.machine.message_mending cimport Mender
from switch.machine.request_record cimport RequestPart
from switch.machine.state cimport State


cdef class WindowFiller:
    cdef State state
    cdef Mender copies
    cdef uint32_t _entered                    # terminals and merchants that the registry did not know
    cdef PositionTable _untold                # by position of an approval's OUTCOME: its Outcome, until it has left

    cdef uint32_t open_entry(self, const RequestPart *request, int listener, uint64_t size,
                             bint is_brief) except? 0xFFFFFFFF
    """An entry for a request as it stands in the journal, of a listener by its number now, which is below 0 where the
    configuration has it no more; OUTCOME_NONE where there is no place."""

    cdef bint _knows_parties(self, const RequestPart *request, uint32_t *terminal, uint32_t *merchant) except -1
    """Find the numbers of its terminal and of the merchant whose that was. What the registry does not know is entered
    there, suspended: else nothing would be known of a terminal's payments when the registry comes to know it, and their
    repeats be charged again. False where there is no place."""

    cdef uint32_t remember(self, const Record *record, const RequestPart *request, int listener, int link,
                           const uint8_t *sent, uint32_t sent_size, int64_t record_ns) except? 0xFFFFFFFF
    """Put a finished request into the window, whose time is the journal's own meanwhile; its entry, or OUTCOME_NONE.
    ``link`` is below 0 where the configuration has it no more, or none was asked."""

    cdef int note_delivered(self, const Record *record) except -1
    """A DELIVERED: these approvals have left to their terminals."""

    cdef void complete(self, PositionTable originals, PositionTable referred, PositionTable refers) noexcept
    """All is read: ``originals`` has what takes back what begins at a position, ``referred`` to what others refer."""
