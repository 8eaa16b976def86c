"""What the switch owes issuers, sent until it is acknowledged: reversals of what was or may have been approved and was
not told so, and advices of payments that they were not asked about."""

from libc.stdint cimport uint32_t
from switch.machine.link cimport Link
from switch.machine.state cimport State


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
"""The attempt that transaction ``number`` carries has not ended what it was sent for: it is sent again later."""
