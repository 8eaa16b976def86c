import ssl

class TlsStream:
    has_ended: bool
    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None: ...
    @property
    def peer_certificate(self) -> bytes | None: ...
