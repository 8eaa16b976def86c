"""TLS between the bytes of a socket and those of a connection, by libssl. No socket here.

What the socket brings is fed in and what it shall take is taken out, both through buffers of libssl's own; in between
stands what the connection says.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from switch.io.libssl cimport (
    BIO_ctrl_pending, BIO_free, BIO_new, BIO_read, BIO_s_mem, BIO_write, ERR_clear_error, ERR_peek_last_error,
    ERR_reason_error_string, SSL_CTX_check_private_key, SSL_CTX_free, SSL_CTX_load_verify_file, SSL_CTX_new,
    SSL_CTX_set_cipher_list, SSL_CTX_set_default_passwd_cb, SSL_CTX_set_min_proto_version, SSL_CTX_set_mode,
    SSL_CTX_set_num_tickets, SSL_CTX_set_options, SSL_CTX_set_session_cache_mode, SSL_CTX_set_verify,
    SSL_CTX_use_certificate_chain_file, SSL_CTX_use_PrivateKey_file, SSL_do_handshake, SSL_ERROR_WANT_READ,
    SSL_ERROR_ZERO_RETURN, SSL_FILETYPE_PEM, SSL_free, SSL_get0_param, SSL_get1_peer_certificate, SSL_get_error,
    SSL_get_verify_result, SSL_MODE_RELEASE_BUFFERS, SSL_new, SSL_OP_CIPHER_SERVER_PREFERENCE,
    SSL_OP_IGNORE_UNEXPECTED_EOF, SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET, SSL_pending,
    SSL_read_ex, SSL_SESS_CACHE_OFF, SSL_set1_host, SSL_set_accept_state, SSL_set_bio, SSL_set_connect_state,
    SSL_set_hostflags, SSL_set_tlsext_host_name, SSL_shutdown, SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_VERIFY_NONE,
    SSL_VERIFY_PEER, SSL_write_ex, TLS1_2_VERSION, TLS1_3_VERSION, TLS_client_method, TLS_server_method, X509,
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, X509_free, X509_V_OK, X509_VERIFY_PARAM_set1_ip_asc,
    X509_verify_cert_error_string, i2d_X509,
)
from switch.wire.proxy_header cimport starts_proxy_header

from switch.wire.proxy_header import UnexpectedProxyHeaderError

VERSIONS = {"1.2": TLS1_2_VERSION, "1.3": TLS1_3_VERSION}

# Forward secrecy and authenticated encryption, no key below 112 bits of strength, nothing of SHA-1: for TLS 1.2. The
# ciphers of TLS 1.3 are all of that kind.
cdef const char *CIPHERS = b"@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"


class TlsError(OSError):
    """A handshake, a certificate or a record is not as it must be."""


cdef str last_reason():
    """What libssl or libcrypto complained about last."""
    cdef const char *reason = ERR_reason_error_string(ERR_peek_last_error())
    return "unknown error" if reason == NULL else reason.decode("ascii", "replace")


cdef bytes readable(object file):
    """The name of a file that can be read: libssl would not say why it cannot. Raises ``OSError``."""
    with open(file, "rb"):
        return os.fsencode(file)


cdef int no_password(char *_buffer, int _size, int _writing, void *_context) noexcept nogil:
    """Keys are not protected by passwords: a daemon has nobody to ask."""
    return -1


cdef class TlsContext:
    """What holds for all connections of a listener or a link: certificates, versions, what the peer must show.

    Args:
        is_server: Whether the peer calls.
        minimum_version: The oldest version that is spoken: ``1.2`` or ``1.3``.
        certificate: File of our certificate and those between it and the authority's, PEM.
        private_key: File of its key, PEM, without a password.
        ca: File of the authorities whose certificates are believed, PEM.
        peer_must_prove: Whether the peer must have a certificate of these.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """

    def __init__(self, *, bint is_server, str minimum_version, object certificate=None, object private_key=None,
                 object ca=None, bint peer_must_prove):
        cdef bytes file
        ERR_clear_error()
        self.is_server = is_server
        self._context = SSL_CTX_new(TLS_server_method() if is_server else TLS_client_method())
        if self._context == NULL:
            raise MemoryError
        # Long-lived connections gain nothing from sessions that can be resumed: tickets and a cache would cost memory,
        # and the key of the tickets of TLS 1.2 would undo forward secrecy.
        SSL_CTX_set_options(self._context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                            | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF)
        SSL_CTX_set_num_tickets(self._context, 0)
        SSL_CTX_set_session_cache_mode(self._context, SSL_SESS_CACHE_OFF)
        # An idle connection holds no buffers of 16 KiB.
        SSL_CTX_set_mode(self._context, SSL_MODE_RELEASE_BUFFERS)
        SSL_CTX_set_default_passwd_cb(self._context, no_password)
        if (not SSL_CTX_set_cipher_list(self._context, CIPHERS)
                or not SSL_CTX_set_min_proto_version(self._context, VERSIONS[minimum_version])):
            raise TlsError(last_reason())
        SSL_CTX_set_verify(
            self._context,
            SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT if peer_must_prove else SSL_VERIFY_NONE, NULL)
        if certificate is not None:
            file = readable(certificate)
            if SSL_CTX_use_certificate_chain_file(self._context, file) != 1:
                raise TlsError(f"{certificate}: {last_reason()}")
            file = readable(private_key)
            if (SSL_CTX_use_PrivateKey_file(self._context, file, SSL_FILETYPE_PEM) != 1
                    or SSL_CTX_check_private_key(self._context) != 1):
                raise TlsError(f"{private_key}: {last_reason()}")
        if ca is not None:
            file = readable(ca)
            if SSL_CTX_load_verify_file(self._context, file) != 1:
                raise TlsError(f"{ca}: {last_reason()}")

    def __dealloc__(self):
        SSL_CTX_free(self._context)


cdef class TlsStream:
    """One TLS session. Each method but ``feed`` may leave output behind.

    Args:
        context: What holds for it.
        server_name: The name or IP address that the peer's certificate must bear, where we call.
    """

    def __init__(self, TlsContext context not None, str server_name=None):
        cdef bytes name
        ERR_clear_error()
        self._context = context
        self._session = SSL_new(context._context)
        self._incoming = BIO_new(BIO_s_mem())
        self._outgoing = BIO_new(BIO_s_mem())
        if self._session == NULL or self._incoming == NULL or self._outgoing == NULL:
            BIO_free(self._incoming)
            BIO_free(self._outgoing)
            raise MemoryError
        SSL_set_bio(self._session, self._incoming, self._outgoing)
        if context.is_server:
            SSL_set_accept_state(self._session)
            return
        SSL_set_connect_state(self._session)
        if server_name is None:
            return
        name = server_name.encode("idna")
        SSL_set_hostflags(self._session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(self._session), name) == 1:
            return
        if not SSL_set_tlsext_host_name(self._session, name) or not SSL_set1_host(self._session, name):
            raise TlsError(f"{server_name}: {last_reason()}")

    def __dealloc__(self):
        SSL_free(self._session)

    @property
    def peer_certificate(self):
        """The certificate that the peer has shown, in DER; None when it showed none."""
        cdef X509 *certificate = SSL_get1_peer_certificate(self._session)
        cdef unsigned char *end
        cdef bytes encoded
        cdef int size
        if certificate == NULL:
            return None
        try:
            size = i2d_X509(certificate, NULL)
            if size < 0:
                raise TlsError(last_reason())
            encoded = PyBytes_FromStringAndSize(NULL, size)
            end = <unsigned char *>PyBytes_AS_STRING(encoded)
            i2d_X509(certificate, &end)
        finally:
            X509_free(certificate)
        return encoded

    cdef int feed(self, const uint8_t *data, int size) except -1:
        """Take what the socket brought."""
        if not self._has_heard:
            self._has_heard = True
            self._begins_with_proxy_header = starts_proxy_header(data, <size_t>size)
        if BIO_write(self._incoming, data, size) != size:
            raise MemoryError
        return 0

    cdef bint shake_hands(self) except -1:
        """Go on with the handshake; whether it is done. Raises ``TlsError`` when it has failed.

        Raises ``UnexpectedProxyHeaderError`` when it has failed because a load balancer sends a header before it.
        """
        cdef int result
        ERR_clear_error()
        result = SSL_do_handshake(self._session)
        if result == 1:
            return True
        if SSL_get_error(self._session, result) == SSL_ERROR_WANT_READ:
            return False
        raise UnexpectedProxyHeaderError() if self._begins_with_proxy_header else self._failure()

    cdef Py_ssize_t read(self, uint8_t *data, size_t room) except -1:
        """Decipher what was fed, as far as there is room; bytes written. Raises ``TlsError``."""
        cdef size_t filled = 0
        cdef size_t size
        cdef int error
        ERR_clear_error()
        while filled < room and self.is_behind():
            if SSL_read_ex(self._session, data + filled, room - filled, &size):
                filled += size
                continue
            error = SSL_get_error(self._session, 0)
            if error == SSL_ERROR_ZERO_RETURN:
                self.has_ended = True
            elif error != SSL_ERROR_WANT_READ:
                raise self._failure()
            break
        return <Py_ssize_t>filled

    cdef bint is_behind(self) noexcept nogil:
        """Whether there is more to read of what was fed; a record that is not there whole does not count."""
        return not self.has_ended and (BIO_ctrl_pending(self._incoming) > 0 or SSL_pending(self._session) > 0)

    cdef int write(self, const uint8_t *data, size_t size) except -1:
        """Encipher what the connection says. Raises ``TlsError``."""
        cdef size_t written
        ERR_clear_error()
        if not SSL_write_ex(self._session, data, size, &written):
            raise self._failure()
        return 0

    cdef int take_output(self, uint8_t *data, int room) noexcept nogil:
        """Move what the socket shall take now; how many bytes."""
        if BIO_ctrl_pending(self._outgoing) == 0:
            return 0
        return max(0, BIO_read(self._outgoing, data, room))

    cdef void say_goodbye(self) noexcept nogil:
        """Tell the peer that no more will come. Its own word is not waited for (RFC 8446, 6.1)."""
        ERR_clear_error()
        SSL_shutdown(self._session)

    cdef object _failure(self):
        cdef str reason = last_reason()
        cdef long verdict = SSL_get_verify_result(self._session)
        if verdict != X509_V_OK:
            reason = f"{reason}: {X509_verify_cert_error_string(verdict).decode('ascii', 'replace')}"
        return TlsError(reason)
