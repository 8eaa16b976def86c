"""A terminal's own reversal (0400, 0420): finds its original, is accepted, and is then the switch's to deliver.

An original that memory does not know for sure is looked up in the journal after the reversal was accepted and before it
is sent (``original_lookup``). What is not found there either is passed on to the card's issuer with all that the
terminal said.
"""

from libc.stdint cimport int64_t, uint32_t
from switch.machine.duplicate cimport Outcome
from switch.machine.link cimport Link
from switch.machine.listener cimport TerminalChannel
from switch.machine.originals cimport Original
from switch.machine.state cimport State

cdef enum:
    CLASS_OVERTAKEN = 10           # no MTI has it: what a reversal named before it came


cdef void take_terminal_reversal(State state, TerminalChannel channel) noexcept
"""Take the reversal in ``state.request``, whose own outcome is open, and answer it."""

cdef void note_referred(State state, Original original) noexcept
"""Something refers to an original: a reversal of that is looked at closely from now on."""

cdef void note_ties(State state, Outcome *entry, Original original) noexcept
"""What an outcome is of refers to an original, and goes to its issuer: a reversal of that original is looked at closely
from now on, and one of a void of what refers to something itself."""

cdef void settle_reversal(State state, uint32_t number, Original original, bint is_certain, int64_t asked_at) noexcept
"""The original of a reversal of the store was looked up (None: it is not known, for sure or for now), as it stood at
the journal position ``asked_at``: send what takes that back."""

cdef void recall_reversal(State state, Link link) noexcept
"""Where nobody reads the journal back: look the original of the next reversal of a link up in memory, if there is time
for that now."""

cdef int reverse_found(State state, Original original, int64_t amount_minor) noexcept
"""The original of a reversal that waited with its answer was looked up: take it back. REASON_APPROVED, or why the
reversal is refused."""

cdef bint is_overtaken(State state, int64_t *position) noexcept nogil
"""Whether a terminal has reversed ``state.request`` before it came, and at which journal position that stands."""
