"""What is taken back: reversals of what may have been approved and was not told so, or was taken back by its terminal,
stored for their issuers; and advices that are cancelled before an attempt has left."""

from libc.stdint cimport uint8_t, uint32_t, int64_t
from switch.machine.duplicate cimport Outcome
from switch.machine.link cimport Link
from switch.machine.saf_store cimport SafEntry
from switch.machine.state cimport State
from switch.machine.transaction cimport Transaction


cdef struct ReversalOrder:    # what a reversal is made of; what it points to is borrowed
    uint32_t terminal         # registry index of whose request it is, or TERMINAL_NONE
    int listener              # whose terminal sent ``source``; NO_LISTENER: it is the request as the link was sent it
    const uint8_t *source     # the request that is taken back, or a terminal's own reversal of what is not known here
    uint32_t source_size
    const uint8_t *pan        # ASCII digits
    int pan_digits
    const uint8_t *rrn        # NULL: it has none yet, and is given one of its own
    const uint8_t *authorization_code     # NULL, or zeros: the issuer has given none
    int64_t original          # position of the INTENT or ADVICE that is taken back; 0: it is not known here
    int64_t refers_to         # position of what that refers to; 0: nothing that is known
    int cause                 # a ``ReversalCause``
    bint is_unbooked          # it was approved here, and its issuer has not taken note of that


cdef ReversalOrder order_reversal(const Transaction *transaction, int cause) noexcept nogil
"""Of a request that its link was sent."""

cdef int64_t reverse(State state, Link link, const ReversalOrder *order) noexcept
"""Store a reversal for ``link``; its journal position, or POSITION_FAILED. ``state.stored_reversal`` is its entry."""

cdef void hold_stans(State state, Link link, SafEntry *reversal) noexcept
"""Until a reversal of the store ends nobody else gets its STAN, nor that of the request that it takes back."""

cdef uint32_t advice_of(State state, uint32_t outcome) noexcept nogil
"""Entry of the store of the advice that tells of an outcome; SAF_NONE when none is owed any more."""

cdef void note_taken_back(State state, int64_t position, int kind, int64_t original) noexcept nogil
"""What takes an original of that kind back stands at a journal position: look-ups of before know less."""

cdef int64_t take_back_advice(State state, uint32_t number, int cause) noexcept
"""Undo the payment that an advice of the store tells of: cancel the advice (``cause`` is a ``ReversalCause``) if no
attempt can have left, else store a reversal that waits behind it. The journal position of that, or POSITION_FAILED."""

cdef int64_t reverse_advice(State state, uint32_t number, int cause) noexcept
"""The same of a payment that is known by its advice, and of its outcome as long as the duplicate window has it; of what
was taken back before the position of that, or 0 where it is not known any more."""

cdef int64_t reverse_outcome(State state, uint32_t outcome, int cause) noexcept
"""Take back a finished approval, once: by a reversal, or by cancelling the advice that would tell of it (``cause`` is a
``ReversalCause``). The journal position of that, 0 when there is nothing to take back, or POSITION_FAILED."""

cdef void reverse_untold(State state, uint32_t outcome) noexcept
"""Take back an approval that its terminal will not be told of; later, if it cannot be written down just now."""

cdef void reverse_unreversed(State state) noexcept
"""Try once more to take back what ``reverse_untold`` could not."""

cdef void uncount(State state, Outcome *entry, bint is_declined) noexcept nogil
"""Take back what risk control counted for a request that was not approved, or whose approval is reversed; and
count that its issuer has declined it."""

cdef void drop_entry(State state, uint32_t number) noexcept
"""Take an entry out of the store that is not at the issuer, and that is sent no more: an operator has closed it, or a
look-up has shown what it takes back to be another's; that is written down already."""

cdef void release_stans(Link link, const SafEntry *reversal) noexcept nogil
"""It has ended: what ``hold_stans`` has kept from others is free."""

cdef void close_advice(State state, Link link, uint32_t number) noexcept
"""Take an advice out of the store: its issuer knows of it, or never will."""
