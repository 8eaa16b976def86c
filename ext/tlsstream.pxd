"""TLS between the bytes of a socket and those of a connection. No socket here."""

from libc.stdint cimport uint8_t


cdef class TlsStream:
    cdef object _session                   # ssl.SSLObject
    cdef object _incoming                  # ssl.MemoryBIO: what the socket brought
    cdef object _outgoing                  # ssl.MemoryBIO: what the socket shall take
    cdef readonly bint has_ended           # the peer has said that it will send no more

    cdef int feed(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef bint shake_hands(self) except -1
    cdef Py_ssize_t read(self, uint8_t *data, Py_ssize_t room) except -1
    cdef bint is_behind(self) except -1
    cdef int write(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef bytes take_output(self)
    cdef int say_goodbye(self) except -1
