"""Rings: bytes from one process to another through shared memory, and the pair of them that joins two workers."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EOPNOTSUPP, errno
from libc.string cimport memcpy, memset
from posix.mman cimport (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    munmap,
)
from switch.base.invariant cimport ensure

import os

from switch.mesh.descriptors import CONTROL_BYTES as PYTHON_CONTROL_BYTES
from switch.mesh.descriptors import ring_bytes

cdef extern from "<sys/mman.h>" nogil:
    int MAP_NORESERVE, MADV_DONTDUMP
    int madvise(void *start, size_t size, int advice)

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t preadv2(int fd, const iovec *parts, int count, long offset, int flags)
    int RWF_NOWAIT

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void *data, size_t size)
    ssize_t read(int fd, void *data, size_t size)
    int close(int fd)

cdef extern from *:
    """
    #define RING_LOAD(at) __atomic_load_n((const uint64_t *)(at), __ATOMIC_ACQUIRE)
    #define RING_STORE(at, value) __atomic_store_n((uint64_t *)(at), (value), __ATOMIC_RELEASE)
    #define RING_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define FLAG_SET(at, value) __atomic_store_n((uint32_t *)(at), (value), __ATOMIC_RELAXED)
    #define FLAG_IS_SET(at) (__atomic_load_n((const uint32_t *)(at), __ATOMIC_RELAXED) != 0)
    #define FLAG_TAKE(at) (__atomic_exchange_n((uint32_t *)(at), 0, __ATOMIC_SEQ_CST) != 0)
    """
    uint64_t RING_LOAD(const uint8_t *at) noexcept nogil
    void RING_STORE(uint8_t *at, uint64_t value) noexcept nogil
    void RING_FENCE() noexcept nogil
    void FLAG_SET(uint8_t *at, uint32_t value) noexcept nogil
    bint FLAG_IS_SET(const uint8_t *at) noexcept nogil
    bint FLAG_TAKE(uint8_t *at) noexcept nogil

cdef enum:
    CONTROL_BYTES = 1 << 16
    GUARD_BYTES = 1 << 16     # behind the bytes, where nothing can be read or written
    # In the control. Two cache lines lie between what different sides write, since processors fetch them in twos.
    HEAD = 0
    TAIL = 128
    READER_SLEEPS = 256
    WRITER_WAITS = 384

if CONTROL_BYTES != PYTHON_CONTROL_BYTES:
    raise AssertionError(f"{PYTHON_CONTROL_BYTES} bytes of control are made, {CONTROL_BYTES} mapped")

cdef list FAULTS = ["", "{} ring: the peer's position cannot be", "{} ring: closed"]


cdef class RingMemory:
    def __cinit__(self, int memory):
        cdef size_t size = ring_bytes(memory)
        cdef uint8_t *start = <uint8_t *>mmap(NULL, CONTROL_BYTES + 2 * size + GUARD_BYTES, PROT_NONE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if <void *>start == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        self.start = start
        self.size = size
        self.data = start + CONTROL_BYTES
        self._put(memory, start, CONTROL_BYTES + size, 0)
        self._put(memory, self.data + size, size, CONTROL_BYTES)
        madvise(start, CONTROL_BYTES + 2 * size, MADV_DONTDUMP)

    def __dealloc__(self):
        self.unmap()

    cdef int _put(self, int memory, uint8_t *at, size_t size, long offset) except -1:
        """Map a stretch of the memory to a place that is set aside for it."""
        if mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, offset) == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        return 0

    cdef void unmap(self) noexcept nogil:
        if self.start != NULL:
            munmap(self.start, CONTROL_BYTES + 2 * self.size + GUARD_BYTES)
            self.start = NULL
            self.data = NULL


@cython.final
@cython.no_gc
cdef class RingWriter:
    def __cinit__(self, RingMemory memory not None):
        self._memory = memory
        self.size = memory.size

    cdef int _look(self) noexcept nogil:
        """See how far the reader is: behind where it was, and not before us."""
        cdef uint64_t tail = RING_LOAD(self._memory.start + TAIL)
        if tail - self._tail > self._head - self._tail:
            self.fault = RING_FAULT_POSITION
            return -1
        self._tail = tail
        return 0

    cdef uint8_t *reserve(self, size_t room) noexcept nogil:
        self._reserved = 0
        if self.fault != RING_FAULT_NONE or room > self.size:
            return NULL
        if room > self.size - (self._head - self._tail):
            if self._look() < 0:
                return NULL
            if room > self.size - (self._head - self._tail):
                # Between this look and the wish the reader may have made the last room that it makes: look again.
                FLAG_SET(self._memory.start + WRITER_WAITS, 1)
                RING_FENCE()
                if self._look() < 0 or room > self.size - (self._head - self._tail):
                    return NULL
        self._reserved = room
        return self._memory.data + (self._head & (self.size - 1))

    cdef void commit(self, size_t size) noexcept nogil:
        if self.fault == RING_FAULT_CLOSED:
            return
        ensure(size <= self._reserved, b"what a ring is given was reserved")
        self._reserved = 0
        self._head += size
        self._has_news = True
        RING_STORE(self._memory.start + HEAD, self._head)

    cdef bint _must_wake(self) noexcept nogil:
        """Whether the reader has something to look at and may be asleep. A fence lies behind the last commit."""
        if not self._has_news:
            return False
        self._has_news = False
        return FLAG_IS_SET(self._memory.start + READER_SLEEPS) and FLAG_TAKE(self._memory.start + READER_SLEEPS)

    def put(self, const uint8_t[::1] data not None):
        """Write bytes, all or none; whether there was room."""
        cdef size_t size = <size_t>data.shape[0]
        cdef uint8_t *at = self.reserve(size)
        if at == NULL:
            return False
        if size:
            memcpy(at, &data[0], size)
        self.commit(size)
        return True


@cython.final
@cython.no_gc
cdef class RingReader:
    def __cinit__(self, RingMemory memory not None):
        self._memory = memory
        self.size = memory.size

    cdef int _look(self) noexcept nogil:
        """See how far the writer is: not behind where it was, and not a ring's length before us."""
        cdef uint64_t head = RING_LOAD(self._memory.start + HEAD)
        if head - self._head > self.size - (self._head - self._tail):
            self.fault = RING_FAULT_POSITION
            return -1
        self._head = head
        return 0

    cdef const uint8_t *peek(self, size_t *size) noexcept nogil:
        size[0] = 0
        if self.fault != RING_FAULT_NONE or self._look() < 0 or self._head == self._tail:
            return NULL
        size[0] = <size_t>(self._head - self._tail)
        return self._memory.data + (self._tail & (self.size - 1))

    cdef void consume(self, size_t size) noexcept nogil:
        if self.fault != RING_FAULT_NONE or size == 0:
            return
        ensure(size <= self._head - self._tail, b"what is taken from a ring was there")
        memset(self._memory.data + (self._tail & (self.size - 1)), 0, size)
        self._tail += size
        self._has_news = True
        RING_STORE(self._memory.start + TAIL, self._tail)

    cdef bint _may_sleep(self) noexcept nogil:
        if self.fault != RING_FAULT_NONE:
            return True
        # Said first, then looked: a writer that has not seen it had written before, and that is seen here.
        FLAG_SET(self._memory.start + READER_SLEEPS, 1)
        RING_FENCE()
        if self._look() < 0 or self._head == self._tail:
            return True
        FLAG_SET(self._memory.start + READER_SLEEPS, 0)
        return False

    cdef bint _must_wake(self) noexcept nogil:
        """Whether the writer waits for room, and there is some. A fence lies behind the last ``consume``."""
        if not self._has_news:
            return False
        self._has_news = False
        return FLAG_IS_SET(self._memory.start + WRITER_WAITS) and FLAG_TAKE(self._memory.start + WRITER_WAITS)

    def get(self, size_t size_max=<size_t>-1):
        """Take bytes, as many as there are; empty when there are none."""
        cdef size_t size
        cdef const uint8_t *at = self.peek(&size)
        size = min(size, size_max)
        taken = PyBytes_FromStringAndSize(<const char *>at, <Py_ssize_t>size)
        self.consume(size)
        return taken


@cython.final
@cython.no_gc
cdef class RingPair:
    def __cinit__(self, int outgoing, int incoming, int event, int peer_event):
        self._event = -1
        self._peer_event = -1
        self.outgoing = RingWriter(RingMemory(outgoing))
        self.incoming = RingReader(RingMemory(incoming))
        self._event = event
        self._peer_event = peer_event

    def __dealloc__(self):
        if self._event >= 0:
            close(self._event)
            close(self._peer_event)

    cpdef void awake(self) noexcept nogil:
        if self.incoming.fault != RING_FAULT_CLOSED:
            FLAG_SET(self.incoming._memory.start + READER_SLEEPS, 0)

    cpdef bint may_sleep(self) noexcept nogil:
        return self.incoming._may_sleep()

    cpdef void wake_peer(self) noexcept nogil:
        cdef uint64_t one = 1
        cdef bint waits, sleeps
        if not (self.outgoing._has_news or self.incoming._has_news):
            return
        RING_FENCE()
        sleeps = self.outgoing._must_wake()
        waits = self.incoming._must_wake()
        if (sleeps or waits) and write(self._peer_event, &one, sizeof(one)) < 0:
            pass    # its count is full, so it is readable

    cpdef void drain(self) noexcept nogil:
        # The peer could let a plain read wait: whether it does is a property of the event, which both have.
        cdef uint64_t count
        cdef iovec part = iovec(&count, sizeof(count))
        if self._event >= 0 and preadv2(self._event, &part, 1, -1, RWF_NOWAIT) < 0 and errno == EOPNOTSUPP:
            read(self._event, &count, sizeof(count))

    @property
    def fault(self):
        """What is wrong with the peer, in words; empty while nothing is."""
        return (FAULTS[self.incoming.fault].format("incoming") or FAULTS[self.outgoing.fault].format("outgoing"))

    def fileno(self):
        """The event to watch; -1 when closed."""
        return self._event

    def close(self):
        """Unmap both rings and close both events."""
        if self._event < 0:
            return
        self.outgoing.fault = RING_FAULT_CLOSED
        self.incoming.fault = RING_FAULT_CLOSED
        self.outgoing._has_news = False
        self.incoming._has_news = False
        self.outgoing._memory.unmap()
        self.incoming._memory.unmap()
        close(self._event)
        close(self._peer_event)
        self._event = -1
        self._peer_event = -1
