"""Room in the store of reversals and advices: who may take some, so that what is ours to reverse always finds it."""

from libc.stdint cimport uint64_t
from switch.base.stats cimport stats_add
from switch.machine.duplicate cimport ADMISSION_FULL
from switch.machine.terminal_counts cimport share_of
from switch.machine.meters cimport (
    LIMIT_DUPLICATES, LIMIT_LINK_REVERSALS, LIMIT_REVERSALS, LIMIT_TERMINAL_DUPLICATES, LIMIT_TERMINAL_REVERSALS,
    LIMIT_UNKNOWN_REVERSALS,
)

cdef enum:
    TAKE_BACK_PART = 8        # of the room: no payment is accepted that would need it
    STRANGERS_PART = 4        # of the room: for what is not known here
    SHARE_LEAST = 4           # places that a link or a terminal may have, however few are free
    LINK_SHARE = 2            # a link may hold so many times what is free


cdef uint64_t _used(State state) noexcept nogil:
    """All that is owed or may yet have to be reversed: what is at issuers, and approvals that wait to leave to their
    terminals."""
    return (<uint64_t>state.saf.in_use + state.transactions.in_use - state.saf.all_at_issuer
            + state.duplicates.untold)


cdef uint64_t _free(uint64_t room, uint64_t used) noexcept nogil:
    return room - used if used < room else 0


cdef uint64_t _for_payments(State state) noexcept nogil:
    return state.saf.room - state.saf.room // TAKE_BACK_PART


cdef uint64_t _share(State state, uint64_t free_places) noexcept nogil:
    """What one terminal may hold of free places."""
    return min(share_of(free_places, state.duplicates.share_percent, SHARE_LEAST), <uint64_t>state.saf.room)


cdef bint _refuse(State state, int limit) noexcept:
    stats_add(state.meters.stats, state.meters.refused_at_limit[limit], 1)
    return False


cdef bint has_saf_room(State state, uint32_t more) noexcept nogil:
    return _used(state) + more <= _for_payments(state)


cdef bint has_room_for_reversal(State state) noexcept:
    return _used(state) + 1 <= state.saf.room or _refuse(state, LIMIT_REVERSALS)


cdef bint link_has_room(State state, Link link, uint32_t more) noexcept nogil:
    cdef uint64_t share
    if state.link_count == 1:
        return True
    share = max(LINK_SHARE * _free(_for_payments(state), _used(state)), <uint64_t>SHARE_LEAST)
    return <uint64_t>link.saf.depth + link.waiting.count - link.saf.at_issuer + more <= share


cdef bint has_advice_room(State state, Link link, uint32_t terminal) noexcept:
    if not has_saf_room(state, 2):
        return _refuse(state, LIMIT_REVERSALS)
    if not link_has_room(state, link, 2):
        return _refuse(state, LIMIT_LINK_REVERSALS)
    if state.saf.asked(terminal) + 1 > _share(state, _free(_for_payments(state), _used(state))):
        return _refuse(state, LIMIT_TERMINAL_REVERSALS)
    return True


cdef bint has_room_for_unknown_reversal(State state, Link link, uint32_t terminal) noexcept:
    cdef uint64_t room = max(state.saf.room // STRANGERS_PART, <uint32_t>1)
    cdef uint64_t free_places = _free(room, state.saf.strangers)
    if free_places == 0 or not has_saf_room(state, 1):
        return _refuse(state, LIMIT_UNKNOWN_REVERSALS)
    if state.link_count > 1 and link.saf.strangers + 1 > max(free_places, <uint64_t>SHARE_LEAST):
        return _refuse(state, LIMIT_LINK_REVERSALS)
    if state.saf.asked(terminal) + 1 > _share(state, free_places):
        return _refuse(state, LIMIT_TERMINAL_REVERSALS)
    return True


cdef void count_no_place(State state, uint32_t terminal, uint64_t size) noexcept:
    _refuse(state, LIMIT_DUPLICATES if state.duplicates.admits(terminal, size) == ADMISSION_FULL
            else LIMIT_TERMINAL_DUPLICATES)
