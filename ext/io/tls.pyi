from pathlib import Path

class TlsError(OSError): ...

class TlsContext:
    is_server: bool
    def __init__(
        self,
        *,
        is_server: bool,
        minimum_version: str,
        certificate: Path | None = None,
        private_key: Path | None = None,
        ca: Path | None = None,
        peer_must_prove: bool,
    ) -> None: ...

class TlsStream:
    has_ended: bool
    def __init__(self, context: TlsContext, server_name: str | None = None) -> None: ...
    @property
    def peer_certificate(self) -> bytes | None: ...
