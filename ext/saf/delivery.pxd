"""What the switch owes issuers: reversals of approvals that no terminal was told, and advices of payments that they
were not asked about, sent until they are acknowledged."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.machine.duplicate cimport Outcome
from switch.machine.link cimport Link, LinkChannel
from switch.machine.saf_store cimport SafEntry
from switch.machine.state cimport State
from switch.machine.transaction cimport Transaction
from switch.wire.scan cimport MessageIndex


cdef int64_t reverse(State state, Link link, uint32_t terminal, int listener,
                     const uint8_t *source, uint32_t source_size,
                     const uint8_t *pan, int pan_digits, const uint8_t *rrn,
                     const uint8_t *authorization_code,
                     int64_t original, int64_t refers_to, int cause, bint is_unbooked) noexcept
"""Store a reversal for ``link``, of a request of ``terminal`` (its registry index, or TERMINAL_NONE): of the request
``source`` as it was sent to the link (``listener`` is NO_LISTENER), or one that a terminal of ``listener`` sent for a
request that is not known here: that has no reference number yet, ``rrn`` is NULL, and it is given one of its own.
``authorization_code`` is NULL when the issuer has given none; ``original`` is the position of the INTENT that is taken
back, or 0, and ``refers_to`` of what that refers to; ``cause`` a ``ReversalCause``; ``is_unbooked``: it was approved
here, and its issuer has not taken note of that. Its journal position, or POSITION_FAILED."""

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
"""The same of a payment that is known by its advice, and of its outcome as long as the duplicate window has it. 0 when
it was taken back before."""

cdef int64_t reverse_outcome(State state, uint32_t outcome, int cause) noexcept
"""Take back a finished approval, once: by a reversal, or by cancelling the advice that would tell of it (``cause`` is a
``ReversalCause``). The journal position of that, 0 when there is nothing to take back, or POSITION_FAILED."""

cdef void reverse_untold(State state, uint32_t outcome) noexcept
"""Take back an approval that its terminal will not be told of; later, if it cannot be written down just now."""

cdef void reverse_unreversed(State state) noexcept
"""Try once more to take back what ``reverse_untold`` could not."""

cdef void uncount(State state, Outcome *entry) noexcept nogil
"""Take back what risk control counted for a request that was not approved, or whose approval is reversed."""

cdef void send_due(State state, Link link) noexcept
"""Send what is owed to a link as far as its window and its connections allow."""

cdef void acknowledge(State state, Link link, uint32_t number, int reason) noexcept
"""The issuer answered the reversal or advice that transaction ``number``, in no list any more, carries: with one of the
codes that end it nothing is owed any more, else it is sent again later. "Original not found" ends it only when the
attempt was sent after the last moment at which the original could be booked (``bookable_until_ns``), and the original
was not approved behind it; what a terminal takes back is then asked of the next issuer of the card's route, and what it
takes back of an approval that is known here is kept until an operator closes it. An advice is ended by every answer but
those by which the issuer says that it could not take note."""

cdef void postpone(State state, Link link, uint32_t number) noexcept
"""The attempt that transaction ``number`` carries was not answered."""

cdef void drop_entry(State state, uint32_t number) noexcept
"""Take an entry out of the store that is not at the issuer, and that is sent no more: an operator has closed it, or a
look-up has shown what it takes back to be another's; that is written down already."""
