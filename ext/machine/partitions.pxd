"""Which partition decides what, and whose state machine that is: by a terminal's id, or by our number at an issuer."""

from libc.stdint cimport uint32_t
from switch.machine.state cimport State

cdef class Partitions:
    cdef readonly uint32_t count              # of the whole switch
    cdef readonly list states                 # of those that are here, in their order
    cdef readonly State host                  # the first of them: it looks after the connections of links
    cdef list _by_number                      # None where it is not here

    cdef State at(self, uint32_t number)
    cdef State of_stan(self, uint32_t stan)
