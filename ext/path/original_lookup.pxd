"""Look-ups of originals: asked by what waits for one, and handed to whoever drives the state machine."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from switch.machine.duplicate cimport Outcome
from switch.machine.listener cimport TerminalChannel
from switch.machine.link cimport Link
from switch.machine.originals cimport Original, Referred, Wanted
from switch.machine.state cimport State

cdef enum:
    ASKED_AT_ONCE_MAX = 64    # look-ups that are handed over at one time


cdef int wait_for_original(State state, TerminalChannel channel) noexcept
"""Keep ``state.request``, whose own outcome is open, until its original was looked up; NOT_REFUSED, or the reason why
it cannot wait."""

cdef list take_wanted(State state)
"""Look-ups that can be made now: what they must know of the journal is durable. Each is handed out once."""

cdef Wanted wanted_by_reversal(State state, uint32_t number)
"""The look-up for a reversal of the store, which is in no list any more."""

cdef Wanted wanted_by_request(State state, uint32_t number)
"""The look-up for a request that waits."""

cdef void ask_again(State state, uint32_t number) noexcept
"""What the look-up of transaction ``number`` brought is out of date."""

cdef void stop_waiting(State state, uint32_t number) noexcept
"""Take transaction ``number`` out of those that wait; its request can still be read until it is closed."""

cdef object link_named(State state, str name)
"""The link of this name; None when the configuration has it no more."""

cdef int check_excess(State state, int kind, int64_t amount_minor, int currency, Original original) noexcept
"""Whether the original lets a request refer to it; NOT_REFUSED or the reason why not."""

cdef void name_original(State state, Link link, Original original, Referred *referred) noexcept
"""How the issuer at a link knows an original."""

cdef int check_taking_back(State state, Original original) noexcept
"""Whether what refers to an original, or what it has undone itself, lets its terminal take it back; NOT_REFUSED, or the
reason why the configuration does not."""

cdef int refer(State state, const Outcome *entry, Original original, bint is_certain) noexcept
"""Let the request that is being handled, as its outcome ``entry`` describes it, refer to its original (None: there is
none), in ``state.inquiries.referred``; NOT_REFUSED, or the reason why the configuration does not let it."""
