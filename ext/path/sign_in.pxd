"""A terminal's sign-in: its working keys under its master key, in the form that it asks for, and its batch number."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from switch.crypto.sign_in_keys cimport SIGN_IN_KEYS_MAX
from switch.machine.listener cimport Listener
from switch.machine.state cimport State

cdef enum:
    BATCH_MAX = 999_999       # the largest batch number
    BATCH_FIELD_ROOM = 256    # characters of the field that it stands in

cdef struct SignInAnswer:     # texts of slots, which are borrowed until the answer is composed
    uint8_t keys[2 * SIGN_IN_KEYS_MAX]
    uint16_t keys_size        # 0: no keys
    uint8_t batch[BATCH_FIELD_ROOM]
    uint16_t batch_size       # 0: the answer says no batch number of ours


cdef int take_sign_in(State state, Listener listener, SignInAnswer *answer) noexcept
"""What the sign-in or key exchange in ``state.request`` is answered: the reason, and where that is approval, keys and
batch number. An operator is told where the answer cannot carry the terminal's keys."""

cdef void fill_sign_in(State state, const SignInAnswer *answer) noexcept nogil
"""Set the slots of the answer; ``answer`` must stay until that is composed."""

cdef uint32_t batch_of(uint32_t *newest, int64_t said, bint is_proven, int64_t wall_s) noexcept nogil
"""The batch number of a terminal that says ``said`` (0 or less: none), ``newest`` being what is known of it, which is
brought up to date. Who says none gets one that it never had; who says an older one than it had, gets that. A number far
ahead is told back, and remembered only of a terminal that has proven to be the one."""
