"""TLS between the bytes of a socket and those of a connection, by the standard library's ``ssl``. No socket here."""

import ssl

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory

WantRead = ssl.SSLWantReadError


cdef class TlsStream:
    """One TLS session.

    What the socket brings is fed in, what it shall take is taken out; in between stands what the connection says. Each
    method but ``feed`` may leave output behind.

    Args:
        context: Certificates, versions and what is asked of the peer.
        server_side: Whether the peer began.
        server_hostname: The name that the peer's certificate must bear, on the client's side.
    """

    def __init__(self, object context, *, bint server_side, object server_hostname=None):
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side,
                                         server_hostname=server_hostname)

    @property
    def peer_certificate(self):
        """The certificate that the peer has shown, in DER; None when it showed none."""
        return self._session.getpeercert(True)

    cdef int feed(self, const uint8_t *data, Py_ssize_t size) except -1:
        """Take what the socket brought."""
        self._incoming.write(PyMemoryView_FromMemory(<char *>data, size, PyBUF_READ))
        return 0

    cdef bint shake_hands(self) except -1:
        """Go on with the handshake; whether it is done. Raises ``ssl.SSLError`` when it has failed."""
        try:
            self._session.do_handshake()
        except WantRead:
            return False
        return True

    cdef Py_ssize_t read(self, uint8_t *data, Py_ssize_t room) except -1:
        """Decipher what was fed, as far as there is room; bytes written. Raises ``ssl.SSLError``."""
        cdef Py_ssize_t filled = 0
        cdef Py_ssize_t size
        # A record that is there whole is read without asking again: an answer of "not yet" is an exception.
        while filled < room and not self.has_ended and self.is_behind():
            try:
                size = self._session.read(room - filled,
                                          PyMemoryView_FromMemory(<char *>data + filled, room - filled, PyBUF_WRITE))
            except WantRead:
                break
            filled += size
            self.has_ended = size == 0
        return filled

    cdef bint is_behind(self) except -1:
        """Whether there is more to read of what was fed. (The end of a record that is not there whole is not seen.)"""
        return self._incoming.pending or self._session.pending()

    cdef int write(self, const uint8_t *data, Py_ssize_t size) except -1:
        """Encipher what the connection says."""
        cdef Py_ssize_t written = 0
        while written < size:
            written += self._session.write(PyMemoryView_FromMemory(<char *>data + written, size - written, PyBUF_READ))
        return 0

    cdef bytes take_output(self):
        """What the socket shall take now; None for nothing."""
        return self._outgoing.read() if self._outgoing.pending else None

    cdef int say_goodbye(self) except -1:
        """Tell the peer that no more will come. Its own word is not waited for."""
        try:
            self._session.unwrap()
        except WantRead:
            pass
        return 0
