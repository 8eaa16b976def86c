/* A disk that goes wrong on request, put before a daemon with LD_PRELOAD.
 *
 * It stands before the calls by which a journal becomes durable: pwrite, fdatasync, fsync and posix_fallocate. What goes
 * wrong is said by whoever has the control file open, in shared memory, while the daemon runs. Every write is listed there
 * until a synchronization that went well has covered it: after a kill, bytes on the list may be taken away, as a machine
 * that loses its power does.
 *
 * AUTHSWITCH_TORTURE_CONTROL names the control file. Without it nothing goes wrong.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WRITES_MAX = 1 << 16 };

/* The order of both structures is that of tests/torture/disk.py. */
struct pending {
    uint64_t file;              /* its inode */
    uint64_t offset;
    uint64_t size;              /* 0: an unused place */
    uint64_t number;            /* of the write; NEVER: a synchronization of it failed, and no other one covers it */
};

struct control {
    /* What shall go wrong. */
    uint64_t sync_delay_us;
    uint64_t failing_syncs;     /* so many of the next ones */
    uint64_t failing_writes;
    uint64_t short_writes;
    uint64_t is_full;           /* nothing can be allocated or written */
    uint64_t is_lying;          /* synchronizations say that they went well, and do nothing */
    /* What did. */
    uint64_t writes;
    uint64_t syncs;
    uint64_t delayed_syncs;
    uint64_t failed_syncs;
    uint64_t failed_writes;
    uint64_t shortened_writes;
    uint64_t refused_for_room;
    uint64_t lies;
    uint64_t overflows;         /* writes that found no place on the list */
    struct pending pending[WRITES_MAX];
};

#define NEVER UINT64_MAX

static struct control *control;
static size_t used;                 /* places of the list that were ever used */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_posix_fallocate)(int, off_t, off_t);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("AUTHSWITCH_TORTURE_CONTROL");
    int file;

    real_pwrite = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_posix_fallocate = (int (*)(int, off_t, off_t))dlsym(RTLD_NEXT, "posix_fallocate");
    if (path == NULL || (file = open(path, O_RDWR | O_CLOEXEC)) < 0)
        return;
    void *place = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (place != MAP_FAILED)
        control = place;
}

/* Whether one of a number of faults is due; it is counted. */
static int strikes(uint64_t *left, uint64_t *struck)
{
    uint64_t seen = __atomic_load_n(left, __ATOMIC_SEQ_CST);

    while (seen > 0)
        if (__atomic_compare_exchange_n(left, &seen, seen - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            __atomic_add_fetch(struck, 1, __ATOMIC_SEQ_CST);
            return 1;
        }
    return 0;
}

static uint64_t identity(int file)
{
    struct stat status;

    return fstat(file, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static void note_write(int file, size_t size, off_t offset)
{
    uint64_t inode = identity(file);
    size_t place;

    pthread_mutex_lock(&mutex);
    uint64_t number = ++control->writes;
    for (place = 0; place < used && control->pending[place].size != 0; place++)
        ;
    if (place == used && used < WRITES_MAX)
        used++;
    if (place < used) {
        struct pending *slot = &control->pending[place];
        slot->file = inode;
        slot->offset = (uint64_t)offset;
        slot->number = number;
        /* Last: whoever looks after a kill sees a whole entry or none. */
        __atomic_store_n(&slot->size, (uint64_t)size, __ATOMIC_SEQ_CST);
    } else {
        control->overflows++;
    }
    pthread_mutex_unlock(&mutex);
}

/* Writes of a file up to a number are durable, or never will be. */
static void settle(uint64_t inode, uint64_t number, int durable)
{
    pthread_mutex_lock(&mutex);
    for (size_t place = 0; place < used; place++) {
        struct pending *slot = &control->pending[place];
        if (slot->size == 0 || slot->file != inode || slot->number > number)
            continue;
        if (durable)
            __atomic_store_n(&slot->size, 0, __ATOMIC_SEQ_CST);
        else
            slot->number = NEVER;
    }
    pthread_mutex_unlock(&mutex);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    if (control == NULL)
        return real_pwrite(file, data, size, offset);
    if (__atomic_load_n(&control->is_full, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&control->refused_for_room, 1, __ATOMIC_SEQ_CST);
        errno = ENOSPC;
        return -1;
    }
    int fails = strikes(&control->failing_writes, &control->failed_writes);
    if ((fails || (size > 1 && strikes(&control->short_writes, &control->shortened_writes))) && size > 1)
        size /= 2;              /* a write that fails may have begun */
    note_write(file, size, offset);
    ssize_t written = real_pwrite(file, data, size, offset);
    if (!fails)
        return written;
    errno = EIO;
    return -1;
}

ssize_t pwrite64(int file, const void *data, size_t size, off_t offset)
{
    return pwrite(file, data, size, offset);
}

static int synchronize(int file, int (*real)(int))
{
    if (control == NULL)
        return real(file);
    __atomic_add_fetch(&control->syncs, 1, __ATOMIC_SEQ_CST);
    uint64_t delay_us = __atomic_load_n(&control->sync_delay_us, __ATOMIC_SEQ_CST);
    uint64_t inode = identity(file);

    pthread_mutex_lock(&mutex);
    uint64_t number = control->writes;
    pthread_mutex_unlock(&mutex);
    if (delay_us > 0) {
        struct timespec pause = {(time_t)(delay_us / 1000000), (long)(delay_us % 1000000) * 1000};
        __atomic_add_fetch(&control->delayed_syncs, 1, __ATOMIC_SEQ_CST);
        nanosleep(&pause, NULL);
    }
    if (strikes(&control->failing_syncs, &control->failed_syncs)) {
        settle(inode, number, 0);
        errno = EIO;
        return -1;
    }
    if (__atomic_load_n(&control->is_lying, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&control->lies, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    int status = real(file);
    settle(inode, number, status == 0);
    return status;
}

int fdatasync(int file)
{
    return synchronize(file, real_fdatasync);
}

int fsync(int file)
{
    return synchronize(file, real_fsync);
}

int posix_fallocate(int file, off_t offset, off_t size)
{
    if (control != NULL && __atomic_load_n(&control->is_full, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&control->refused_for_room, 1, __ATOMIC_SEQ_CST);
        return ENOSPC;
    }
    return real_posix_fallocate(file, offset, size);
}

int posix_fallocate64(int file, off_t offset, off_t size)
{
    return posix_fallocate(file, offset, size);
}
