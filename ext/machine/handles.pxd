"""What names a place in one of the pools: a number that means something to its pool alone."""

from libc.stdint cimport uint32_t

ctypedef uint32_t TransactionHandle
ctypedef uint32_t OutcomeHandle
ctypedef uint32_t SafHandle

ctypedef uint32_t HandleSlot      # keeps a handle where zeroed memory has to say that there is none

cdef enum:
    TRANSACTION_NONE = 0xFFFFFFFF
    OUTCOME_NONE = 0xFFFFFFFF
    SAF_NONE = 0xFFFFFFFF


cdef inline HandleSlot slot_of(uint32_t handle) noexcept nogil:
    """How a slot keeps a handle; none is 0."""
    return handle + 1


cdef inline uint32_t handle_in(HandleSlot slot) noexcept nogil:
    return slot - 1
