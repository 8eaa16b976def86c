"""Originals that are asked for by other partitions: looked up, claimed, and what becomes of who claims (the keeper)."""

from libc.stdint cimport int64_t, uint32_t
from switch.machine.claims cimport ClaimBody, ClaimStateBody
from switch.machine.originals cimport Original, Wanted
from switch.machine.state cimport State


cdef void take_claim(State state, const ClaimBody *body) noexcept
"""A request of another partition refers to one of ours. Nothing is said where there is no room: it is as when nobody
could be asked."""

cdef list take_wanted_claims(State state)
"""Look-ups for other partitions that can be made now; each is handed out once."""

cdef void settle_claim(State state, Wanted wanted, Original original, bint is_certain)
"""What a look-up has brought for another partition."""

cdef void recall_claims(State state) noexcept
"""Where nobody reads the journal back, originals are looked for in memory: one at a time."""

cdef void take_claim_state(State state, const ClaimStateBody *body) noexcept
"""A claimant says what became of its request. Of what is no claim of its own nothing is written down; it is answered
all the same, so that it says it no more."""

cdef void settle_claim_state(State state, Wanted wanted, bint is_certain) noexcept
"""What the journal knows of a claim that memory did not know."""

cdef void remind(State state) noexcept
"""Ask what became of some requests of other partitions that are open here: each is asked for once a minute."""

cdef void expire_claims(State state) noexcept
"""Forget claims that nobody will speak of again."""

cdef int64_t oldest_claim_s(State state) noexcept
"""For how long the oldest claim is open, in seconds by the clock that says more; 0 where none is."""
