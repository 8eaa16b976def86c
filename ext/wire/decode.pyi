from collections.abc import Mapping
from typing import Any

from switch.wire.spec import Spec

class DecodeError(ValueError):
    msg: str
    s: bytes | bytearray
    doc_dec: dict[str, str]
    doc_enc: dict[str, dict[str, bytes]]
    pos: int
    field: str
    needed: int
    available: int
    fault: str
    def __init__(
        self,
        msg: str,
        s: bytes | bytearray,
        doc_dec: dict[str, str],
        doc_enc: dict[str, dict[str, bytes]],
        pos: int,
        field: str,
        needed: int = 0,
        available: int = 0,
        fault: str = "value",
    ) -> None: ...
    @property
    def safe_message(self) -> str: ...

def decode(
    s: bytes | bytearray, spec: Spec | Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, dict[str, bytes]]]: ...
