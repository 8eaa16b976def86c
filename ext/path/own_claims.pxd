"""What other partitions have granted to requests of this one, and what becomes of these (the claimant)."""

from libc.stdint cimport uint32_t
from switch.machine.claims cimport ClaimedBody, ClaimNotedBody
from switch.machine.originals cimport Wanted
from switch.machine.state cimport State


cdef void take_claimed(State state, const ClaimedBody *claimed) noexcept
"""What a keeper has granted, or not, to a request that may still wait for it."""

cdef list take_sought_claims(State state)
"""What keepers ask, and the journal can be asked now; each is handed out once."""

cdef void settle_sought_claim(State state, Wanted wanted, bint is_certain) noexcept
"""What the journal says of a request that a keeper asks for; ``is_certain``: nothing means that it was never sent."""

cdef bint refuse_unclaimed(State state, uint32_t number) noexcept
"""Refuse a request that waits for a keeper that is there, and has had no time for it: unclaimed, it would be counted
nowhere. False where it waits for nobody, or for one that is away."""

cdef void take_claim_noted(State state, const ClaimNotedBody *body) noexcept
"""A keeper has written down what it was told."""

cdef void look_at_claims(State state) noexcept
"""See what became of requests that refer to claims: to be called every few milliseconds."""

cdef void resume_claims(State state, set closed) noexcept
"""After a restart: keepers are to know what became of the requests that the duplicate window knows. ``closed`` has the
positions of those whose reversals an operator has given up."""
