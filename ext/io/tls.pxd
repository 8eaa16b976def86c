"""TLS between the bytes of a socket and those of a connection, by libssl. No socket here."""

from libc.stdint cimport uint8_t
from switch.io.libssl cimport BIO, SSL, SSL_CTX


cdef class TlsContext:
    cdef SSL_CTX *_context
    cdef readonly bint is_server


cdef class TlsStream:
    cdef TlsContext _context
    cdef SSL *_session
    cdef BIO *_incoming                    # what the socket brought; the session's
    cdef BIO *_outgoing                    # what the socket shall take; the session's
    cdef bint _has_heard                   # something was fed
    cdef bint _begins_with_proxy_header    # and that is what a load balancer sends before a handshake
    cdef readonly bint has_ended           # the peer has said that it will send no more

    cdef int feed(self, const uint8_t *data, int size) except -1
    cdef bint shake_hands(self) except -1
    cdef Py_ssize_t read(self, uint8_t *data, size_t room) except -1
    cdef bint is_behind(self) noexcept nogil
    cdef int write(self, const uint8_t *data, size_t size) except -1
    cdef int take_output(self, uint8_t *data, int room) noexcept nogil
    cdef void say_goodbye(self) noexcept nogil
    cdef object _failure(self)
