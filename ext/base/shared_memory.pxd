"""Memory that processes share, and locks in it that outlive whoever dies while holding one.

It is mapped before the fork, so that every process finds it at the same address. A lock that was held by a process that
has died is given to the next one that asks, who is told: it must make consistent what the lock protects.
"""

from libc.stddef cimport size_t

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef extern from *:
    """
    #define stored_before_here() __atomic_signal_fence(__ATOMIC_SEQ_CST)
    """
    void stored_before_here() noexcept nogil      # what stands before is in memory first, for whoever outlives this one

cdef enum:
    LOCK_TAKEN                # as it should be
    LOCK_OF_THE_DEAD          # taken, from somebody who died with it: what it protects may be half changed


cdef class SharedMemory:
    """Zeros that processes forked later share, given back with the last of them."""
    cdef char *start
    cdef readonly size_t size_bytes


cdef int lock_init(pthread_mutex_t *lock) except -1
cdef int lock_take(pthread_mutex_t *lock) noexcept nogil
"""Wait for the lock; LOCK_TAKEN or LOCK_OF_THE_DEAD. Nobody holds one for longer than a few microseconds."""

cdef void lock_release(pthread_mutex_t *lock) noexcept nogil
