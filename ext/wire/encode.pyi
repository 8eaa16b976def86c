from collections.abc import Mapping
from typing import Any

from switch.wire.spec import Spec

class EncodeError(ValueError):
    msg: str
    doc_dec: dict[str, str]
    doc_enc: dict[str, dict[str, bytes]]
    field: str
    needed: int
    available: int
    fault: str
    def __init__(
        self,
        msg: str,
        doc_dec: dict[str, str],
        doc_enc: dict[str, dict[str, bytes]],
        field: str,
        needed: int = 0,
        available: int = 0,
        fault: str = "unwritable",
    ) -> None: ...
    @property
    def safe_message(self) -> str: ...

def encode(
    doc_dec: dict[str, str], spec: Spec | Mapping[str, Mapping[str, Any]]
) -> tuple[bytearray, dict[str, dict[str, bytes]]]: ...
