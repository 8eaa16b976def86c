"""The journal on files: records into an open buffer, and group commit in a thread that never holds the GIL."""

import os
import threading

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from switch.base.invariant cimport ensure
from switch.base.stats cimport stats_add, stats_observe
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.journal.record_time cimport stamp_record
from switch.journal.records cimport (
    DELIVERED_MAX, RECORD_BYTES_MAX, write_advice, write_attempt, write_cancelled, write_claim, write_claim_state,
    write_closed, write_delivered, write_intent, write_late, write_numbers, write_outcome, write_refers,
    write_reversal, write_reversed, write_ruled, write_unfound,
)
from switch.journal.segment cimport STAGE_GONE, WRITE_WAITS
from switch.machine.claims cimport ClaimPart
from switch.machine.journal_interface cimport POSITION_FAILED, Detail

cdef extern from "pthread.h" nogil:
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    int pthread_mutex_destroy(pthread_mutex_t *mutex)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    int pthread_cond_init(pthread_cond_t *condition, void *attributes)
    int pthread_cond_destroy(pthread_cond_t *condition)
    int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
    int pthread_cond_signal(pthread_cond_t *condition)

cdef extern from "unistd.h" nogil:
    ssize_t write(int file, const void *data, size_t size)

cdef extern from "sched.h" nogil:
    int SCHED_BATCH, SCHED_OTHER
    struct sched_param:
        int sched_priority
    int sched_getscheduler(int thread)
    int sched_setscheduler(int thread, int policy, const sched_param *parameters)

cdef extern from "sys/prctl.h" nogil:
    int PR_SET_NAME
    int prctl(int option, const char *name, unsigned long, unsigned long, unsigned long)

cdef extern from *:
    """
    #define publish_position(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
    #define publish_flag(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
    """
    void publish_position(int64_t *place, int64_t value) nogil
    void publish_flag(bint *place, bint value) nogil


cdef enum:
    NAMES_BYTES_MAX = 65536
    STAMP_AGE_MAX_NS = 7_776_000_000_000_000      # 90 days: a stamp that is 104 days old would be read as one to come
    TOLD_WAITS_NS = 100_000_000       # at most, for something else that has to be written down


@cython.final
cdef class JournalFiles(Journal):
    """The journal in segment files. It takes records from ``begin`` on; single-threaded until ``start``.

    Args:
        buffer_bytes: Records that wait to be committed, at most; as much again is being committed.
        stats: Where its series are registered.
        partition: Whose journal it is, as its series say.
        record_bytes_max: No record is larger.
    """

    def __cinit__(self, uint64_t buffer_bytes, Stats stats not None, *, int partition=0,
                  uint64_t record_bytes_max=RECORD_BYTES_MAX):
        labels = {"partition": str(partition)}
        self.wake = -1
        self.boot = ""
        self.broken = True
        self.failed = True
        self.condemned = ""
        self.is_searched = True
        pthread_mutex_init(&self._mutex, NULL)
        pthread_cond_init(&self._work, NULL)
        self.buffer_bytes = buffer_bytes
        if self.buffer_bytes < 2 * record_bytes_max:
            raise ValueError(f"a journal's buffer of {self.buffer_bytes} bytes is too small for two records")
        self._open.records = <uint8_t *>malloc(self.buffer_bytes)
        self._closed.records = <uint8_t *>malloc(self.buffer_bytes)
        self._names = <uint8_t *>malloc(NAMES_BYTES_MAX)
        if self._open.records == NULL or self._closed.records == NULL or self._names == NULL:
            raise MemoryError
        self._stats = stats
        self._records_counter = stats.counter("authswitch_journal_records_total", "Records made durable.", labels)
        self._bytes_counter = stats.counter("authswitch_journal_bytes_total", "Bytes of journal made durable.", labels)
        self._batches_counter = stats.counter("authswitch_journal_batches_total", "Batches made durable.", labels)
        self._commit_seconds = stats.histogram(
            "authswitch_journal_sync_seconds", "Time to write one batch and make it durable.", labels)

    def __dealloc__(self):
        self._forget(&self._open)
        self._forget(&self._closed)
        free(self._names)
        pthread_cond_destroy(&self._work)
        pthread_mutex_destroy(&self._mutex)

    cdef void _forget(self, OpenBatch *batch) noexcept:
        if batch.records != NULL:
            OPENSSL_cleanse(batch.records, self.buffer_bytes)
        free(batch.records)
        batch.records = NULL

    def begin(self, SegmentWriter writer not None, int64_t next_position):
        """Take records from now on.

        Args:
            writer: The journal's end, begun; its batches have room for all of the buffer.
            next_position: Of the first record to come; all before it are durable.
        """
        if writer.batch_room < self.buffer_bytes:
            raise ValueError("the writer's batches are smaller than the journal's buffer")
        self.writer = writer
        self._next_position = next_position
        self._open.first_position = next_position
        self.durable = next_position - 1
        self.broken = False
        self.failed = False

    # --- the loop's side ------------------------------------------------------------------------------------------

    @property
    def next_position(self):
        """Of the next record."""
        return self._next_position

    @property
    def waiting_bytes(self):
        """Bytes of records that no commit has taken yet."""
        return self._open.size

    @property
    def reason(self):
        """Why nothing new may begin, in words; empty while it may."""
        return self.condemned or self.outdated or ("" if self.writer is None else self.writer.reason)

    @property
    def lost(self):
        """Why nobody would find the journal any more, in words; empty while it is where it belongs."""
        if self.condemned:
            return self.condemned
        return self.writer.reason if self.writer is not None and self.writer.stage == STAGE_GONE else ""

    @property
    def low_water(self):
        """No record before this position is needed any more, whatever happens; 0 when that is not known yet."""
        return 0 if self.writer is None else self.writer.low_water

    def set_names(self, bytes names not None, int64_t low_water):
        """For the next segment's beginning: what numbers mean, and the first position that is still needed."""
        if len(names) > NAMES_BYTES_MAX:
            raise ValueError("too many names for a segment's beginning")
        ensure(low_water <= self._next_position, b"no record is given up before it is written")
        pthread_mutex_lock(&self._mutex)
        memcpy(self._names, <const uint8_t *><const char *>names, len(names))
        self._names_size = <uint32_t>len(names)
        self._low_water = low_water
        self._low_water_from = self._next_position
        pthread_mutex_unlock(&self._mutex)

    cdef void set_clock(self, str boot, int64_t elapsed_offset_ns):
        """How the journal's own time follows from the calendar's."""
        self.boot = boot
        self.elapsed_offset_ns = elapsed_offset_ns

    cdef void attach(self, Calendar calendar, Registry registry):
        self.calendar = calendar
        self.registry = registry

    cdef bint accepts(self) noexcept:
        # Half of the buffer is for what has begun: outcomes and reversals must find room when new work no longer does.
        return not self.failed and self._open.size < self.buffer_bytes // 2

    cdef bint has_room(self, uint64_t size) noexcept:
        return self.broken or self._open.size + size <= self.buffer_bytes

    cdef int64_t newest(self) noexcept:
        return self._next_position - 1

    cdef uint8_t *_room(self, uint64_t *room) noexcept:
        """The place of the next record, with the mutex held; ``_append`` gives it back."""
        pthread_mutex_lock(&self._mutex)
        ensure(self._open.size <= self.buffer_bytes, b"records that wait lie within their buffer")
        room[0] = self.buffer_bytes - self._open.size
        return self._open.records + self._open.size

    cdef int64_t _append(self, int size) noexcept:
        """Count the record of ``size`` bytes that was written at ``_room``'s place; its position."""
        return self._append_of(size, self.calendar.now_ns)

    cdef int64_t _append_of(self, int size, int64_t moment_ns) noexcept:
        """The same for a record of what was at an earlier moment; the oldest are written as of 90 days ago."""
        cdef int64_t position = POSITION_FAILED
        if size < 0:
            self.refused_full += 1
        elif not self.broken:
            ensure(<uint64_t>size <= self.buffer_bytes - self._open.size, b"a record was written where it has room")
            moment_ns = max(moment_ns, self.calendar.now_ns - <int64_t>STAMP_AGE_MAX_NS)
            stamp_record(self._open.records + self._open.size, moment_ns + self.elapsed_offset_ns)
            position = self._next_position
            self._next_position += 1
            self._open.size += <uint64_t>size
            self._open.count += 1
            self._open.wall_us = self.calendar.wall_us
        pthread_mutex_unlock(&self._mutex)
        return position

    cdef int64_t intent(self, const Transaction *transaction, const Outcome *outcome) noexcept:
        cdef uint64_t room
        if self.failed:
            return POSITION_FAILED
        cdef uint8_t *out = self._room(&room)
        return self._append(write_intent(out, room, self.registry, transaction, outcome, self.calendar.wall_us))

    cdef int64_t outcome(self, const Outcome *outcome, int reason, const uint8_t *answer, uint32_t size,
                         const Detail *detail) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_outcome(out, room, self.registry, outcome, reason, answer, size, detail,
                                          self.calendar.wall_us))

    cdef int64_t reversal(self, const SafEntry *reversal) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append_of(write_reversal(out, room, reversal, self._stored_us(reversal)), reversal.stored_ns)

    cdef int64_t attempt(self, const SafEntry *entry) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_attempt(out, room, entry, self.calendar.wall_us))

    cdef int64_t reversed(self, const SafEntry *entry, int reason) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_reversed(out, room, entry, reason, self.calendar.wall_us))

    cdef int64_t late(self, int64_t intent, int reason, const uint8_t *authorization_code,
                      int64_t approved_minor) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_late(out, room, intent, reason, authorization_code, approved_minor,
                                       self.calendar.wall_us))

    cdef int64_t closed(self, const SafEntry *entry, bytes name, bytes reason) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_closed(out, room, entry, name, <uint8_t>len(name), reason, <uint8_t>len(reason),
                                         self.calendar.wall_us))

    cdef void delivered(self, int64_t position) noexcept:
        if self._told_count == DELIVERED_MAX:
            self._write_told(DELIVERED_MAX)
        if self._told_count == DELIVERED_MAX:
            return                        # the disk has stood still for long; of these it will not be known
        if self._told_count == 0:
            self._told_since_ns = self.calendar.now_ns
        self._told[self._told_count] = position
        self._told_count += 1

    cdef void _write_told(self, uint32_t count) noexcept:
        """Write down that the oldest ``count`` answers of those that have left did so."""
        cdef uint64_t room
        cdef uint8_t *out
        if count == 0:
            return
        ensure(count <= self._told_count and self._told_count <= DELIVERED_MAX, b"no more was told than is noted")
        out = self._room(&room)
        if self._append(write_delivered(out, room, self._told, count, self.calendar.wall_us)) == POSITION_FAILED:
            return
        self._told_count -= count
        self._told_ripe -= min(self._told_ripe, count)
        memmove(self._told, self._told + count, self._told_count * sizeof(int64_t))
        self._told_since_ns = self.calendar.now_ns

    cdef int64_t advice(self, const SafEntry *advice) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append_of(write_advice(out, room, advice, self._stored_us(advice)), advice.stored_ns)

    cdef int64_t _stored_us(self, const SafEntry *owed) noexcept:
        """When it was stored first: a restart must not make it younger for having been written down once more."""
        return self.calendar.wall_us - (self.calendar.now_ns - owed.stored_ns) // 1000

    cdef int64_t cancelled(self, int64_t advice, int64_t original, int cause) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_cancelled(out, room, advice, original, cause, self.calendar.wall_us))

    cdef int64_t unfound(self, const SafEntry *reversal) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_unfound(out, room, reversal, self.calendar.now_ns, self.calendar.wall_us))

    cdef int64_t numbers(self, const NumberBlock *block) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_numbers(out, room, block, self.calendar.wall_us))

    cdef int64_t claim(self, const ClaimPart *claim, int64_t original, int64_t undoes) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_claim(out, room, claim, original, undoes, self.calendar.wall_us))

    cdef int64_t claim_state(self, int64_t claim, int64_t original, int state, int64_t approved_minor) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_claim_state(out, room, claim, original, state, approved_minor, self.calendar.wall_us))

    cdef int64_t refers(self, int64_t request, int64_t refers_to) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_refers(out, room, request, refers_to, self.calendar.wall_us))

    cdef int64_t ruled(self, int64_t request, const RuleWords *words) noexcept:
        cdef uint64_t room
        cdef uint8_t *out = self._room(&room)
        return self._append(write_ruled(out, room, request, words, self.calendar.wall_us))

    cdef void kick(self) noexcept:
        # What left in an earlier turn is with the kernel by now. It goes with what is written down anyway, and only
        # when there is nothing for some time it has a batch of its own.
        if self._told_ripe and (self._open.size or self.calendar.now_ns - self._told_since_ns > TOLD_WAITS_NS):
            self._write_told(self._told_ripe)
        self._told_ripe = self._told_count
        if self._open.size == 0:
            return
        pthread_mutex_lock(&self._mutex)
        self._is_kicked = True
        if self._is_waiting:
            pthread_cond_signal(&self._work)
        pthread_mutex_unlock(&self._mutex)

    # --- the committer's side -------------------------------------------------------------------------------------

    # A traced line needs the GIL, and whoever holds that may wait for the mutex.
    @cython.linetrace(False)
    cdef bint _take(self) noexcept nogil:
        """Take the open buffer; whether there was anything in it. The mutex is held."""
        cdef uint8_t *emptied = self._closed.records
        if self._open.size == 0:
            return False
        ensure(self._open.first_position + self._open.count == self._next_position, b"a batch has all its positions")
        ensure(self._open.first_position > self.durable, b"nothing is durable before it is written")
        self._closed = self._open
        self._open.records = emptied
        self._open.size = 0
        self._open.count = 0
        self._open.first_position = self._next_position
        ensure(self._low_water_from <= self._next_position, b"what may be forgotten was written down")
        if self._low_water > self.writer.low_water and self.durable >= self._low_water_from - 1:
            self.writer.low_water = self._low_water
        if self._names_size:
            self.writer.set_names(self._names, self._names_size)
            self._names_size = 0
        self._is_kicked = False
        return True

    cdef int _write(self) noexcept nogil:
        cdef uint64_t written = self.writer.written
        cdef int status = self.writer.write(self._closed.records, <uint32_t>self._closed.size,
                                            self._closed.first_position, self._closed.count, self._closed.wall_us)
        self.is_held = status == WRITE_WAITS
        if self.is_held:
            publish_flag(&self.failed, True)
            return -1
        if status != 0:
            self._give_up()
            return -1
        stats_add(self._stats, self._bytes_counter, self.writer.written - written)
        return 0

    cdef int _sync(self) noexcept nogil:
        if self.writer.sync() != 0:
            self._give_up()
            return -1
        if self.broken:
            return -1                     # condemned meanwhile: nobody would find it
        ensure(self._closed.first_position > self.durable, b"what is durable only grows")
        publish_position(&self.durable, self._closed.first_position + self._closed.count - 1)
        stats_add(self._stats, self._records_counter, self._closed.count)
        stats_add(self._stats, self._batches_counter, 1)
        self._closed.count = 0
        if self.writer.prepare() != 0:
            # What has begun can still be finished in what is left of this segment.
            publish_flag(&self.failed, True)
        return 0

    cdef bint _try_again(self) noexcept nogil:
        """Look whether there is room on the disk now; whether new work may begin again."""
        if self.broken or self.writer.try_again() != 0:
            return False
        publish_flag(&self.failed, False)
        return True

    cdef void _give_up(self) noexcept nogil:
        publish_flag(&self.broken, True)
        publish_flag(&self.failed, True)

    cdef void _tell(self) noexcept nogil:
        cdef uint64_t one = 1
        if self.wake >= 0:
            write(self.wake, &one, sizeof(one))

    @cython.linetrace(False)
    cdef void _work_on(self) noexcept nogil:
        """The committing thread: take, write, make durable, tell, until told to stop."""
        cdef timespec began, ended
        cdef bint stopping, taken, trying
        cdef sched_param ordinary
        # It wakes often. Pushing aside whoever runs then, who may be about to fill the batch, makes batches small.
        ordinary.sched_priority = 0
        if sched_getscheduler(0) == SCHED_OTHER:
            sched_setscheduler(0, SCHED_BATCH, &ordinary)
        prctl(PR_SET_NAME, b"journal", 0, 0, 0)
        while not self.broken:
            pthread_mutex_lock(&self._mutex)
            while not (self.broken or self._is_stopping or self._is_retry_wanted) and (
                    self.is_held or not (self._is_kicked and self._open.size)):
                self._is_waiting = True
                pthread_cond_wait(&self._work, &self._mutex)
            self._is_waiting = False
            stopping = self._is_stopping
            trying = self._is_retry_wanted or (stopping and self.is_held)
            self._is_retry_wanted = False
            taken = not self.broken and (self.is_held or self._take())
            pthread_mutex_unlock(&self._mutex)
            if trying and self._try_again():
                self._tell()
            if not taken:
                if stopping:
                    break
                continue
            clock_gettime(CLOCK_MONOTONIC, &began)
            if self._write() == 0:
                self._sync()
            clock_gettime(CLOCK_MONOTONIC, &ended)
            stats_observe(self._stats, self._commit_seconds, <uint64_t>(
                (ended.tv_sec - began.tv_sec) * 1_000_000_000 + ended.tv_nsec - began.tv_nsec))
            self._tell()
            if stopping and self.is_held:
                break
            # What came meanwhile has waited long enough.
            pthread_mutex_lock(&self._mutex)
            self._is_kicked = True
            pthread_mutex_unlock(&self._mutex)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self):
        """Start the committing thread, and open ``wake``."""
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def _run(self):
        with nogil:
            self._work_on()

    def try_again(self):
        """Where there was no room for the next segment, look once more: nothing but an allocation has failed.

        Call it about once a second while ``failed`` and not ``broken``. With ``start`` the thread does it.
        """
        if self._thread is None:
            with nogil:
                self._try_again()
            return
        pthread_mutex_lock(&self._mutex)
        self._is_retry_wanted = True
        pthread_cond_signal(&self._work)
        pthread_mutex_unlock(&self._mutex)

    def condemn(self, str reason not None):
        """Nothing may be written any more, and nobody is told what waits: the directory is not what it was."""
        self.condemned = reason
        self._end_committing()

    def outlive(self, str why not None):
        """It is an older copy: nothing is decided by it any more, nothing written and nobody told."""
        Journal.outlive(self, why)
        self._end_committing()

    def _end_committing(self):
        self._give_up()
        self._tell()
        pthread_mutex_lock(&self._mutex)
        pthread_cond_signal(&self._work)
        pthread_mutex_unlock(&self._mutex)

    def end_turn(self):
        """The loop's turn is over, for callers in Python: the thread may commit what is there."""
        self.kick()

    def stop(self):
        """Commit what is there, end the thread and close the files."""
        if not self.broken:
            self._write_told(self._told_count)
        if self._thread is not None:
            pthread_mutex_lock(&self._mutex)
            self._is_stopping = True
            pthread_cond_signal(&self._work)
            pthread_mutex_unlock(&self._mutex)
            self._thread.join()
            self._thread = None
            os.close(self.wake)
            self.wake = -1
        else:
            if not self.broken:
                self.sync()               # a batch that was written, and not made durable before the next one
            self.commit()
        self.writer.close()
        self.broken = True
        self.failed = True

    def commit(self):
        """Write what is there and make it durable, in this thread; whether that went well. Not after ``start``."""
        return self.write() and self.sync()

    def write(self):
        """The first half of ``commit``: seal and write; false when that failed. Not after ``start``."""
        if not self.is_held and not self._take():
            return not self.broken
        cdef int status
        with nogil:
            status = self._write()
        return status == 0

    def sync(self):
        """The second half of ``commit``: make durable; false when that failed. Not after ``start``."""
        if self.is_held or self._closed.count == 0:
            return not (self.broken or self.is_held)
        cdef int status
        with nogil:
            status = self._sync()
        return status == 0
