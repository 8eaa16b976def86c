"""The calls of OpenSSL's libssl (3.0 or later), and of libcrypto for it, that TLS connections make."""

cdef extern from "openssl/ssl.h" nogil:
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_METHOD:
        pass
    ctypedef struct BIO:
        pass
    ctypedef struct BIO_METHOD:
        pass
    ctypedef struct X509:
        pass
    ctypedef struct X509_VERIFY_PARAM:
        pass
    ctypedef int (*VerifyCallback "SSL_verify_cb")(int, void *) noexcept
    ctypedef int (*PasswordCallback "pem_password_cb")(char *, int, int, void *) noexcept

    int SSL_ERROR_WANT_READ, SSL_ERROR_ZERO_RETURN
    int SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    int SSL_FILETYPE_PEM, SSL_SESS_CACHE_OFF, SSL_MODE_RELEASE_BUFFERS
    int TLS1_2_VERSION, TLS1_3_VERSION
    unsigned long long SSL_OP_NO_TICKET, SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_COMPRESSION
    unsigned long long SSL_OP_CIPHER_SERVER_PREFERENCE, SSL_OP_IGNORE_UNEXPECTED_EOF
    unsigned int X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
    long X509_V_OK

    const SSL_METHOD *TLS_server_method()
    const SSL_METHOD *TLS_client_method()
    SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
    void SSL_CTX_free(SSL_CTX *context)
    unsigned long long SSL_CTX_set_options(SSL_CTX *context, unsigned long long options)
    long SSL_CTX_set_mode(SSL_CTX *context, long mode)
    long SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode)
    int SSL_CTX_set_num_tickets(SSL_CTX *context, size_t count)
    int SSL_CTX_set_min_proto_version(SSL_CTX *context, int version)
    int SSL_CTX_set_cipher_list(SSL_CTX *context, const char *ciphers)
    void SSL_CTX_set_default_passwd_cb(SSL_CTX *context, PasswordCallback ask)
    void SSL_CTX_set_verify(SSL_CTX *context, int mode, VerifyCallback callback)
    int SSL_CTX_use_certificate_chain_file(SSL_CTX *context, const char *file)
    int SSL_CTX_use_PrivateKey_file(SSL_CTX *context, const char *file, int form)
    int SSL_CTX_check_private_key(const SSL_CTX *context)
    int SSL_CTX_load_verify_file(SSL_CTX *context, const char *file)

    SSL *SSL_new(SSL_CTX *context)
    void SSL_free(SSL *session)
    void SSL_set_accept_state(SSL *session)
    void SSL_set_connect_state(SSL *session)
    void SSL_set_bio(SSL *session, BIO *incoming, BIO *outgoing)
    long SSL_set_tlsext_host_name(SSL *session, const char *name)
    int SSL_set1_host(SSL *session, const char *name)
    void SSL_set_hostflags(SSL *session, unsigned int flags)
    X509_VERIFY_PARAM *SSL_get0_param(SSL *session)
    int SSL_do_handshake(SSL *session)
    int SSL_read_ex(SSL *session, void *data, size_t room, size_t *size)
    int SSL_write_ex(SSL *session, const void *data, size_t size, size_t *written)
    int SSL_pending(const SSL *session)
    int SSL_shutdown(SSL *session)
    int SSL_get_error(const SSL *session, int result)
    long SSL_get_verify_result(const SSL *session)
    X509 *SSL_get1_peer_certificate(const SSL *session)

cdef extern from "openssl/x509v3.h" nogil:
    int X509_VERIFY_PARAM_set1_ip_asc(X509_VERIFY_PARAM *rules, const char *address)
    const char *X509_verify_cert_error_string(long number)
    int i2d_X509(X509 *certificate, unsigned char **out)
    void X509_free(X509 *certificate)

cdef extern from "openssl/bio.h" nogil:
    const BIO_METHOD *BIO_s_mem()
    BIO *BIO_new(const BIO_METHOD *method)
    void BIO_free(BIO *bio)
    int BIO_read(BIO *bio, void *data, int room)
    int BIO_write(BIO *bio, const void *data, int size)
    size_t BIO_ctrl_pending(BIO *bio)

cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()
    unsigned long ERR_peek_last_error()
    const char *ERR_reason_error_string(unsigned long number)
