/* Sockets of the benchmark programs: loopback, non-blocking, one epoll loop, buffers that keep what does not fit. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t start, end, room;       /* valid bytes are [start, end) */
};

/* Report what failed, with errno, and exit with status 1. */
_Noreturn void die(const char *what);

uint64_t now_ns(void);             /* CLOCK_MONOTONIC */
uint64_t cpu_ns(void);             /* processor time of this process so far */

int listen_on(int port);           /* 127.0.0.1; a non-blocking listening socket */
int connect_to(int port);          /* 127.0.0.1; a blocking connected socket, without Nagle's delay */
void set_nonblocking(int fd);
void raise_fd_limit(void);

/* Make room for `size` more bytes behind `end`, moving or growing the buffer. */
void buffer_reserve(struct buffer *buffer, size_t size);

/* Read once; bytes read, 0 when there is nothing now, -1 at the end of the stream or on an error. */
int buffer_read(struct buffer *buffer, int fd, size_t size);

/* Write what there is once; 0 when all is written, 1 when some is left, -1 on an error. */
int buffer_write(struct buffer *buffer, int fd);

static inline size_t buffer_left(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

#endif
