"""What the operating system offers for sockets: the calls and constants of Linux that the I/O layer uses."""

from libc.stdint cimport uint32_t

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET
    ctypedef union epoll_data_t:
        void *ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int room, int timeout_ms)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    int SOL_SOCKET, SO_ERROR, MSG_NOSIGNAL
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, int *value)

cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ

cdef extern from "<unistd.h>" nogil:
    int close(int fd)


cdef inline int unacknowledged_bytes(int fd) noexcept nogil:
    """What was written and the peer's kernel has not acknowledged; -1 when the connection is broken."""
    cdef int on_the_way = 0
    cdef int error = 0
    cdef socklen_t size = sizeof(int)
    if getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 or error != 0:
        return -1
    return on_the_way if ioctl(fd, SIOCOUTQ, &on_the_way) == 0 else -1
