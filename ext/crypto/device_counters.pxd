"""How far the devices that derive their PIN keys have counted, and at which terminal each of them is.

A table of fixed size that processes may share. A device lies in one of two sets of places; when both are full, the one
of them that was heard least lately gives its place up. Who dies while it writes leaves an empty place at worst.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from switch.base.shared_memory cimport SharedMemory, pthread_mutex_t

cdef enum:
    DEVICE_PLACES = 8         # of a set
    DEVICE_SHARDS = 16        # each with a lock
    SERIAL_SIZE_DES = 10      # bytes of a key serial number: the device, and behind it the counter
    SERIAL_SIZE_AES = 12
    DES_COUNTER_BITS = 21
    AES_COUNTER_BITS = 32

cdef enum Standing:           # of a counter that is brought
    COUNTER_AHEAD             # it counts on
    COUNTER_AGAIN             # the last one, of the very request that brought it
    COUNTER_PASSED            # the device has sent it, or a higher one
    COUNTER_ELSEWHERE         # it would count on, and the device is at another terminal

cdef struct Bringer:
    uint64_t terminal         # its number as bytes, which blanks fill up
    uint64_t request          # what names the request among the terminal's own
    int64_t wall_s            # now
    int64_t repeats_s         # so long the request may bring its counter again
    uint64_t former           # the terminal at which the device is and that it may leave; 0: none

cdef struct DeviceCounter:
    uint64_t device           # initial key ID
    uint64_t heard            # when it was heard last, by the count of its shard
    uint64_t terminal         # at which it is, who brought its first counter; 0: nobody's
    uint64_t request          # that brought the last one
    uint32_t counted_s        # when it did
    uint32_t counter          # the last one; 0: an empty place
    uint8_t is_aes

cdef struct DeviceShard:
    pthread_mutex_t lock      # of a shared table
    uint64_t heard
    uint64_t evicted
    uint32_t used


cdef class DeviceCounters:
    cdef readonly uint32_t room               # places for so many devices, at least
    cdef readonly bint is_shared
    cdef DeviceShard *_shards
    cdef DeviceCounter *_places
    cdef uint64_t _set_mask                   # of the sets of one shard
    cdef SharedMemory _memory                 # None: not shared

    cdef DeviceShard *_hold(self, uint64_t hashed) noexcept nogil
    cdef void _release(self, DeviceShard *shard) noexcept nogil
    cdef DeviceCounter *_set(self, uint64_t hashed, int which) noexcept nogil
    cdef DeviceCounter *_find(self, uint64_t hashed, uint64_t device, bint is_aes) noexcept nogil
    cdef DeviceCounter *_place(self, DeviceShard *shard, uint64_t hashed) noexcept nogil

    cdef Standing judge(self, uint64_t device, bint is_aes, uint32_t counter, Bringer *by) noexcept nogil
    """What a counter is that is brought; ``by.former`` is the terminal at which its device is, if that is another."""

    cdef Standing advance(self, uint64_t device, bint is_aes, uint32_t counter, const Bringer *by) noexcept nogil
    """The device is at this counter and at this terminal now, if the counter counts on: of several who ask at once one
    is told so."""
