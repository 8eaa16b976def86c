"""The journal on files: records into an open buffer, and group commit in a thread that never holds the GIL.

The event loop's thread appends; the committing thread takes the whole buffer, seals it, writes it, makes it durable and
says so. What is appended meanwhile goes with the next. A simulator calls ``commit`` itself, and no thread is started.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.base.calendar cimport Calendar
from switch.base.stats cimport Stats
from switch.journal.records cimport DELIVERED_MAX
from switch.journal.segment cimport SegmentWriter
from switch.machine.duplicate cimport Outcome
from switch.machine.journal_interface cimport Journal
from switch.machine.numbering cimport NumberBlock
from switch.machine.saf_store cimport SafEntry
from switch.machine.transaction cimport Transaction
from switch.tables.registry cimport Registry
from switch.tables.rules cimport RuleWords

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass

cdef struct OpenBatch:        # records that wait to be committed
    uint8_t *records
    uint64_t size
    int64_t first_position
    uint32_t count
    int64_t wall_us


cdef class JournalFiles(Journal):
    cdef readonly SegmentWriter writer
    cdef readonly Registry registry
    cdef readonly Calendar calendar
    cdef readonly uint64_t buffer_bytes
    cdef readonly uint64_t refused_full       # records that found no room
    cdef readonly int wake                    # an eventfd, readable when ``durable`` or ``failed`` has moved; -1: none
    cdef readonly bint broken                 # nothing can be written: not yet, or not any more
    cdef readonly str boot                    # which start of which machine the calendar counts from
    cdef OpenBatch _open                      # the loop's
    cdef OpenBatch _closed                    # the committer's
    cdef int64_t _next_position
    cdef uint8_t *_names                      # for the next segment, when they have changed
    cdef uint32_t _names_size
    cdef int64_t _low_water                   # what it says holds as soon as all before ``_low_water_from`` is durable
    cdef int64_t _low_water_from
    cdef int64_t _told[DELIVERED_MAX]         # what the answers waited for that have left: no record says so yet
    cdef uint32_t _told_count
    cdef uint32_t _told_ripe                  # of them, those that left before this turn
    cdef int64_t _told_since_ns
    cdef pthread_mutex_t _mutex
    cdef pthread_cond_t _work
    cdef readonly bint is_held                # ``_closed`` waits for room on the disk: nothing of it was written
    cdef readonly str condemned               # why the directory is not to be written any more; empty: it is
    cdef bint _is_retry_wanted
    cdef bint _is_kicked
    cdef bint _is_waiting
    cdef bint _is_stopping
    cdef object _thread
    cdef Stats _stats
    cdef uint32_t _records_counter
    cdef uint32_t _bytes_counter
    cdef uint32_t _batches_counter
    cdef uint32_t _commit_seconds

    cdef uint8_t *_room(self, uint64_t *room) noexcept
    cdef int64_t _append(self, int size) noexcept
    cdef int64_t _append_of(self, int size, int64_t moment_ns) noexcept
    cdef void set_clock(self, str boot, int64_t elapsed_offset_ns)
    cdef int64_t _stored_us(self, const SafEntry *owed) noexcept
    cdef void _write_told(self, uint32_t count) noexcept
    cdef void _forget(self, OpenBatch *batch) noexcept
    cdef bint _take(self) noexcept nogil
    cdef int _write(self) noexcept nogil
    cdef bint _try_again(self) noexcept nogil
    cdef int _sync(self) noexcept nogil
    cdef void _give_up(self) noexcept nogil
    cdef void _tell(self) noexcept nogil
    cdef void _work_on(self) noexcept nogil
