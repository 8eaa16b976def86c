"""A terminal that awaits its first sign-in: it may sign in, load what it needs, and nothing else; its proof puts it
into service.

A sign-in proves itself where it bears the terminal's MAC, or comes with its certificate. Where it does neither, as in
the manner of China UnionPay, the keys that it brings come under the master key, which nobody but the machine has: then
the first message under these keys proves it.
"""

from switch.machine.listener cimport TerminalChannel
from switch.machine.state cimport State


cdef void admit_sign_in(State state) noexcept nogil
"""Let a terminal sign in that awaits its first, while it has time for that, and then ask for downloads and echo tests.
To be asked when it is known which machine it says that it is."""

cdef void note_sign_in(State state, TerminalChannel channel) noexcept
"""Its sign-in is answered with an approval: it is in service where that was proven."""

cdef bint admit_signed_in(State state, TerminalChannel channel) noexcept
"""Put a terminal into service that has signed in before and proves now that it has the keys; true in any case, for a
step to hand on."""
