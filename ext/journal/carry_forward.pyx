"""What keeps a recovery short: the lowest position still needed, and what is owed for long written down once more."""

from libc.stdint cimport uint32_t
from switch.journal.commit cimport JournalFiles
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link
from switch.machine.numbering cimport NumberBlock
from switch.journal.party_names import write_names
from switch.machine.saf_store cimport SAF_FREE, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE, TRANSACTION_WAITING, Transaction

CARRY_RECORDS = 4_000_000


cdef bytes names_of(State state, JournalFiles journal):
    cdef NumberBlock block
    state.numbering.newest(&block)
    numbers = {
        "reserved_to": block.end,
        "day_max": block.day_max,
        "day_floor": block.day_floor,
        "stan": state.numbering.last_stan(),
        "instance": block.instance,
    }
    return write_names([link.name for link in state.links], [listener.name for listener in state.listeners], numbers,
                       (journal.boot, journal.elapsed_offset_ns, state.calendar.now_ns + journal.elapsed_offset_ns))


cdef int64_t lowest_waiting(State state, int64_t lowest):
    cdef Link link
    cdef uint32_t number
    cdef const Transaction *transaction
    lowest = min(lowest, state.unended)
    for link in state.links:
        number = link.waiting.head
        while number != TRANSACTION_NONE:
            transaction = state.transactions.at(number)
            # One whose end found no room waits behind younger ones: none can be left out.
            if transaction.state == TRANSACTION_WAITING:
                lowest = min(lowest, transaction.position)
            number = transaction.next
        number = link.late.head
        while number != TRANSACTION_NONE:
            transaction = state.transactions.at(number)
            # If it is approved yet, and its reversal finds no room, the next start must know what to take back.
            if not transaction.settled:
                lowest = min(lowest, transaction.position)
            number = transaction.next
    return lowest


def keep_up(State state not None, JournalFiles journal not None, int64_t carry_records=CARRY_RECORDS):
    """Tell the journal what its next segment begins with. Call every few seconds.

    Reversals and advices that are owed for so long that ``carry_records`` records have been written since are written
    down once more, so that a recovery needs to go back no further; as many at a time as the journal has room for.
    """
    cdef int64_t lowest = lowest_waiting(state, journal._next_position)
    cdef int64_t carry_below = journal._next_position - carry_records
    cdef int64_t position
    cdef uint32_t number, left
    cdef SafEntry *entry
    left = state.saf.in_use
    for number in range(state.saf.room):
        if left == 0:
            break
        entry = state.saf.at(number)
        if entry.state == SAF_FREE:
            continue
        left -= 1
        if entry.position < carry_below and journal.accepts():
            entry.replaces = entry.position
            position = journal.advice(entry) if entry.is_advice else journal.reversal(entry)
            if position != POSITION_FAILED:
                entry.position = position
        lowest = min(lowest, entry.position)
    journal.set_names(names_of(state, journal), lowest)
