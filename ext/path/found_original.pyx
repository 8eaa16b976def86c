"""What follows when the original that something waits for was looked up, or was not in time."""

from libc.stdint cimport int64_t, uint32_t
from switch.machine.link cimport Link
from switch.machine.saf_store cimport SAF_SOUGHT, SafEntry
from switch.machine.transaction cimport TRANSACTION_NONE, Transaction
from switch.path.claiming cimport ask_keeper
from switch.path.kept_claims cimport recall_claims, settle_claim, settle_claim_state
from switch.path.original_in_memory cimport recall
from switch.path.original_lookup cimport ask_again, wanted_by_request
from switch.path.own_claims cimport refuse_unclaimed, settle_sought_claim
from switch.path.resumed_request cimport resume_request
from switch.path.terminal_reversal cimport recall_reversal, settle_reversal


cdef void settle(State state, Wanted wanted, Original original, bint is_certain):
    cdef const SafEntry *reversal
    cdef Original recalled = None
    if wanted.sought is not None:
        settle_sought_claim(state, wanted, is_certain)
        return
    if wanted.said is not None:
        settle_claim_state(state, wanted, is_certain)
        return
    if wanted.claim is not None:
        if _is_unsure(original, is_certain):
            recalled = _recall_surely(state, wanted)
        if recalled is not None:
            original = recalled
            wanted.asked_at = state.journal.newest()
        settle_claim(state, wanted, original, is_certain)
        return
    if not wanted.is_of_request:
        reversal = state.saf.at(wanted.number)
        if reversal.state == SAF_SOUGHT and reversal.inquiry == wanted.serial:
            if _is_unsure(original, is_certain):
                recalled = _recall_surely(state, wanted)
                if recalled is not None:
                    original = recalled
                    wanted.asked_at = state.journal.newest()
            settle_reversal(state, wanted.number, original, is_certain, wanted.asked_at)
        return
    # Also when it was withdrawn meanwhile: whoever looks originals up had it to do.
    state.inquiries.note_answer(wanted.terminal)
    if state.transactions.still_seeks(wanted.number, wanted.serial):
        if original is None and ask_keeper(state, wanted.number, &wanted.naming, is_certain):
            return
        if _is_unsure(original, is_certain):
            _resume_unsure(state, wanted.number, original)
        else:
            resume_request(state, wanted.number, original, is_certain)


cdef bint _is_unsure(Original original, bint is_certain) noexcept:
    """Whether a look-up could not tell all: memory may."""
    return not is_certain if original is None else original.is_torn


cdef Original _recall_surely(State state, Wanted wanted):
    """What memory is sure of, where the journal could not be asked; None when it is of nothing."""
    if not state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
        return None
    return recall(state, &wanted.naming, True)


cdef void _resume_unsure(State state, uint32_t number, Original torn) noexcept:
    """A request whose original could not be looked up in time, or of which only a part was found."""
    cdef Transaction *transaction = state.transactions.at(number)
    cdef int64_t asked_at = transaction.position
    cdef Original original
    ask_again(state, number)          # memory knows of all that refers to it by now
    original = _recall_surely(state, wanted_by_request(state, number))
    if original is None:
        original = torn
        transaction.position = asked_at
    resume_request(state, number, original, False)


cdef void seek(State state) noexcept:
    cdef uint32_t number
    cdef Link link
    cdef Wanted wanted
    cdef Original original
    while True:
        number = state.transactions.overdue(state.inquiries.waiting, state.calendar.now_ns)
        if number == TRANSACTION_NONE:
            break
        if not refuse_unclaimed(state, number):
            _resume_unsure(state, number, None)
    if state.journal.is_searched:
        return
    recall_claims(state)
    number = state.inquiries.waiting.head
    while number != <uint32_t>TRANSACTION_NONE and state.transactions.at(number).is_asked:
        number = state.transactions.at(number).next
    for link in state.links:
        recall_reversal(state, link)
    if number == <uint32_t>TRANSACTION_NONE:
        return
    if state.inquiries.may_scan(state.calendar.now_ns, state.duplicates.touched()):
        wanted = wanted_by_request(state, number)
        original = recall(state, &wanted.naming, False)
        if original is not None or not ask_keeper(state, number, &wanted.naming, True):
            resume_request(state, number, original, True)
