"""Memory that processes share, and locks in it that outlive whoever dies while holding one."""

from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

cimport cython
from switch.base.invariant cimport ensure

cdef extern from "<errno.h>" nogil:
    enum:
        EOWNERDEAD

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutexattr_t:
        pass
    enum:
        PTHREAD_PROCESS_SHARED
        PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
    int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t *attributes, int shared)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t *attributes, int robust)
    int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    int pthread_mutex_consistent(pthread_mutex_t *mutex)


@cython.final
@cython.no_gc
cdef class SharedMemory:

    def __cinit__(self, size_t size_bytes):
        cdef void *start = mmap(NULL, max(size_bytes, <size_t>1), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                -1, 0)
        if start == MAP_FAILED:
            raise MemoryError(f"no shared memory: {size_bytes} bytes")
        self.start = <char *>start
        self.size_bytes = size_bytes

    def __dealloc__(self):
        if self.start != NULL:
            munmap(self.start, max(self.size_bytes, <size_t>1))


cdef int lock_init(pthread_mutex_t *lock) except -1:
    cdef pthread_mutexattr_t attributes
    cdef bint failed = pthread_mutexattr_init(&attributes) != 0
    if not failed:
        failed = (pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0
                  or pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) != 0
                  or pthread_mutex_init(lock, &attributes) != 0)
        pthread_mutexattr_destroy(&attributes)
    if failed:
        raise OSError("no lock that processes can share")
    return 0


cdef int lock_take(pthread_mutex_t *lock) noexcept nogil:
    cdef int result = pthread_mutex_lock(lock)
    if result == EOWNERDEAD:
        ensure(pthread_mutex_consistent(lock) == 0, b"a lock of the dead can be taken over")
        return LOCK_OF_THE_DEAD
    ensure(result == 0, b"a lock between processes can be taken")
    return LOCK_TAKEN


cdef void lock_release(pthread_mutex_t *lock) noexcept nogil:
    ensure(pthread_mutex_unlock(lock) == 0, b"a lock is released by who holds it")
