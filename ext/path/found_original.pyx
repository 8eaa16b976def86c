"""What follows when the original that something waits for was looked up, or was not in time."""

from libc.stdint cimport uint32_t
from switch.machine.link cimport Link
from switch.machine.saf_store cimport SAF_SOUGHT, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE
from switch.path.original_in_memory cimport recall
from switch.path.original_lookup cimport ask_again, wanted_by_request
from switch.path.resumed_request cimport resume_request
from switch.path.terminal_reversal cimport recall_reversal, settle_reversal


cdef void settle(State state, Wanted wanted, Original original, bint is_certain):
    cdef const SafEntry *reversal
    if not wanted.is_of_request:
        reversal = state.saf.at(wanted.number)
        if reversal.state == SAF_SOUGHT and reversal.inquiry == wanted.serial:
            if original is None and not is_certain:
                original = _recall_surely(state, wanted)
                wanted.asked_at = state.journal.newest()
            settle_reversal(state, wanted.number, original, is_certain, wanted.asked_at)
        return
    # Also when it was withdrawn meanwhile: whoever looks originals up had it to do.
    state.inquiries.note_answer(wanted.terminal)
    if state.transactions.still_seeks(wanted.number, wanted.serial):
        if original is None and not is_certain:
            _resume_unsure(state, wanted.number)
        else:
            resume_request(state, wanted.number, original, is_certain)


cdef Original _recall_surely(State state, Wanted wanted):
    """What memory is sure of, where the journal could not be asked; None when it is of nothing."""
    if not state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
        return None
    return recall(state, &wanted.naming, True)


cdef void _resume_unsure(State state, uint32_t number) noexcept:
    """A request whose original could not be looked up in time."""
    cdef Wanted wanted
    ask_again(state, number)          # memory knows of all that refers to it by now
    wanted = wanted_by_request(state, number)
    resume_request(state, number, _recall_surely(state, wanted), False)


cdef void seek(State state) noexcept:
    cdef uint32_t number
    cdef Link link
    cdef Wanted wanted
    while True:
        number = state.transactions.overdue(state.inquiries.waiting, state.calendar.now_ns)
        if number == TRANSACTION_NONE:
            break
        _resume_unsure(state, number)
    number = state.inquiries.waiting.head
    if state.journal.is_searched:
        return
    for link in state.links:
        recall_reversal(state, link)
    if number == <uint32_t>TRANSACTION_NONE:
        return
    if state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
        wanted = wanted_by_request(state, number)
        resume_request(state, number, recall(state, &wanted.naming, False), True)
