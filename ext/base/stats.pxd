"""Counters, gauges and latency histograms in shared memory.

Each worker process writes its own stretch of the memory without locks; the admin side adds the stretches up, or takes
the largest or the smallest value of a gauge where that was asked for when it was registered. An index
comes from ``Stats.counter``, ``Stats.gauge`` or ``Stats.histogram`` and is not checked here: registration is the check.
Index 0 belongs to no series, and there is room behind it for a whole histogram: a site whose series was not registered
writes there, and nobody reads it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.base.shared_memory cimport SharedMemory, pthread_mutex_t

cdef enum:
    STATS_BOUNDS = 37                        # bucket bounds of every histogram, 50 microseconds to 60 seconds
    STATS_BUCKETS = STATS_BOUNDS + 1         # the last one holds what is above every bound
    STATS_HISTOGRAM_SLOTS = STATS_BUCKETS + 1    # and then the sum of all durations in nanoseconds
    STATS_DISCARD = 0                        # the index that nobody reads


cdef extern from *:
    int leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil


cdef struct SeriesLog:                    # the series of all processes, in the order in which they were registered
    pthread_mutex_t lock
    uint64_t state                        # how often it was written anew, and bytes that are whole: LOG_SIZE_BITS
    uint64_t room                         # of each half: of an odd epoch the second one counts
    uint32_t slots_used


cdef class Stats:
    cdef uint64_t *values                    # of this process: its own stretch
    cdef uint64_t bounds[STATS_BUCKETS]      # nanoseconds, ascending; the last is the largest 64-bit number
    cdef uint8_t first_bucket[64]            # by position of the duration's highest bit: where the search begins
    cdef uint64_t *_memory                   # the stretches of all workers
    cdef size_t _memory_size                 # bytes
    cdef size_t _stretch                     # slots of one worker
    cdef readonly uint32_t slots             # slots that may be registered for one worker
    cdef readonly uint32_t slots_used
    cdef readonly uint32_t workers
    cdef readonly uint32_t worker            # whose stretch this process writes
    cdef long _owner                         # the process that may register, where no other can
    cdef dict _families                      # name -> _Family
    cdef dict _rules                         # index of a gauge that is no sum -> its rule
    cdef set _counters                       # their indices
    cdef SharedMemory _log_memory            # None with one worker
    cdef SeriesLog *_log
    cdef uint64_t _log_known                 # its state as this process knows it
    cdef readonly uint64_t epoch             # up when series were retired: indices of counters are asked anew
    cdef set _free                           # slots that no series has any more
    cdef object _register(self, tuple series, uint32_t needed)
    cdef object _known(self, tuple series)
    cdef int _add_series(self, tuple series, uint32_t index) except -1
    cdef uint32_t _take_slots(self, tuple series, uint32_t needed, uint32_t used) except 0
    cdef uint32_t _write_log(self, tuple series, uint32_t needed) except 0
    cdef int _read_log(self) except -1
    cdef int _read_held_log(self) except -1
    cdef int _rewrite_log(self) except -1
    cdef set _unused(self)
    cdef uint64_t _unset(self, int rule) noexcept nogil
    cdef uint64_t _total(self, size_t index, int rule) noexcept nogil
    cdef int _check(self, uint32_t index, uint32_t size) except -1
    cdef int _expose_histogram(self, list lines, str name, str labels, size_t index) except -1


cdef inline void stats_add(Stats stats, uint32_t index, uint64_t amount) noexcept nogil:
    """Add to a counter, or to a gauge that only this worker moves."""
    stats.values[index] += amount


cdef inline void stats_set(Stats stats, uint32_t index, uint64_t value) noexcept nogil:
    """Set this worker's part of a gauge; the gauge shows what its rule makes of all parts."""
    stats.values[index] = value


cdef inline void stats_observe(Stats stats, uint32_t histogram, uint64_t duration_ns) noexcept nogil:
    """Count one duration in its bucket and add it to the sum."""
    cdef uint64_t *slots = stats.values + histogram
    cdef uint32_t bucket = stats.first_bucket[63 - leading_zeros(duration_ns | 1)]
    while duration_ns > stats.bounds[bucket]:    # at most three steps; the last bound is above everything
        bucket += 1
    slots[bucket] += 1
    slots[STATS_BUCKETS] += duration_ns
