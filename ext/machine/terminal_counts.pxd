"""What is counted and known of each terminal: in one array for a worker, since a terminal belongs to one partition."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.machine.handles cimport HandleSlot

cdef struct TerminalCount:
    uint32_t places           # of the duplicate window that it holds
    HandleSlot newest_brief   # its newest brief outcome
    uint32_t waiting          # requests that wait for their original
    uint32_t owed             # advices and reversals of strangers that it asked for
    uint32_t mac_failures     # requests with a wrong or missing MAC
    uint32_t asked            # requests that issuers have and have not answered
    uint32_t batch            # the newest number that it said or was told; 0: none yet
    uint8_t is_signed_in      # 1: it awaits its first sign-in, was told keys, and has not proven that it has them
    uint8_t looked_up         # originals that are looked up just now
    uint16_t kept_places      # of what waits for another worker that is not there: one for each 1,024 bytes


cdef class TerminalCounts:
    cdef TerminalCount *of                    # by number in the registry; there is one, which is nobody's, at least
    cdef readonly uint32_t count              # numbers of terminals are below this


cdef inline uint64_t share_of(uint64_t free_places, uint32_t percent, uint64_t least) noexcept nogil:
    """What one terminal may hold of places that are free: so many percent of them, and ``least`` however few there are.
    Where percent is 100 nothing is kept for others, and there is no such limit."""
    if percent == 100:
        return <uint64_t>0xFFFFFFFFFFFFFFFF
    return max(free_places * percent // 100, least)
