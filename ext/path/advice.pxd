"""Payments of which an issuer is told afterwards: advices (0120, 0220) of terminals, and approvals by stand-in.

Both are taken when they are durable and answered at once. From then on the switch owes the issuer an advice, which is
kept and sent as reversals are (``saf.delivery``). ADVICE is written before OUTCOME; nothing leaves, to the terminal or
to the issuer, before both are durable, so an ADVICE without its OUTCOME never happened.
"""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State
from switch.tables.routes cimport Route


cdef int take_advice(State state, TerminalChannel channel) noexcept
"""Take the advice in ``state.request``, whose own outcome is open, and answer it. NOT_REFUSED, or the reason why it can
never be taken. What may pass is answered here and not stored, so that its repeats are tried anew."""

cdef int stand_in_for(State state, TerminalChannel channel, const Route *route) noexcept
"""Approve the request in ``state.request``, for which no link of its route can be asked, where the rule of one of these
links allows it; NOT_REFUSED when it was approved, else the reason of its refusal."""
