"""The connections of a worker, by slot: what the state machines of all its partitions answer on."""

from libc.stdint cimport uint32_t
from switch.machine.channel cimport Channel, FrameOwner, StateOwner
from switch.machine.duplicate cimport DuplicateWindow
from switch.machine.journal_interface cimport Journal

cdef class ChannelTable:
    cdef list by_slot                         # None where free
    cdef list owners                          # of frames that leave on them
    cdef list _free_slots
    cdef uint32_t _next_generation
    cdef readonly list dirty                  # channels with output that has not been looked at

    cdef StateOwner enroll(self, DuplicateWindow outcomes, Journal journal)
    cdef void enroll_other(self, FrameOwner owner)
    cdef void enlist(self, Channel channel)
    cdef void delist(self, Channel channel)
    cdef void wake(self, Channel channel)
    cdef list take_dirty(self)
    cdef Channel at(self, uint32_t slot, uint32_t generation)
