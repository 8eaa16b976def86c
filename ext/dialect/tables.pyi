from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from switch.dialect.terminal_says import TerminalSays
from switch.wire.spec import Spec

class MacTable(TypedDict):
    algorithm: int
    padding: int
    form: int
    size: int
    fields: Sequence[int] | None
    kinds: Iterable[int]

class DialectTables:
    name: str
    spec: Spec
    mti_version: int
    code_size: int
    code_set: str
    natural_key_count: int
    mac_algorithm: int
    mac_padding: int
    mac_form: int
    mac_size: int
    mac_all_up_to: bool
    mac_field_count: int
    mac_kinds: int
    @property
    def original_field(self) -> int: ...
    @property
    def reference_field(self) -> int: ...
    partial_reversed: bool
    replacement_field: int
    serial_number_field: int
    says: TerminalSays | None
    def __init__(
        self,
        *,
        name: str,
        spec: Spec,
        mti_version: int,
        code_set: str,
        codes: Sequence[str],
        reasons: Mapping[str, int],
        accepted: Mapping[int, str],
        kinds: Sequence[tuple[int, int, Sequence[tuple[int, int, str]]]],
        kind_codes: Sequence[str],
        entry_modes: tuple[int, Sequence[str], Sequence[tuple[str, int]]],
        natural_key: Sequence[tuple[int, int, int]],
        mac: MacTable,
        unkept: Iterable[int],
        original: tuple[int, Sequence[tuple[int, int, int, int]]],
        reference: tuple[int, Sequence[tuple[int, int, int, int]]],
        partial_mark: tuple[int, int, str, str] = (0, 0, "", ""),
        partial_reversed: bool = True,
        replacement_field: int = 0,
        serial_number_field: int = 0,
        says: TerminalSays | None = None,
        sign_in: tuple[
            tuple[int, int, int], Sequence[tuple[str, Sequence[int], int, bool, bool]], tuple[int, int]
        ] = ...,
        tracks: tuple[tuple[int, int], str, str, Sequence[int]] = ...,
    ) -> None: ...
    def kind_of(self, message: bytes) -> int:
        """Kind of a message of this dialect; ``ScanError`` when it cannot be read."""
    def code_of(self, reason: int) -> str: ...
    def reason_of(self, code: str) -> int: ...
    def answer_code_of(self, issuer: DialectTables, code: str) -> str: ...
    def accepted_code_of(self, mti: int) -> str: ...
    def mti_of(self, kind: int) -> int: ...
    def processing_code_of(self, kind: int) -> str: ...
    def kind_code_of(self, kind: int) -> str: ...
    def entry_mode_of(self, terminal: DialectTables, request: bytes) -> str: ...
    def mac_field_in(self, message: bytes) -> int: ...
    def original_data_of(
        self, original: bytes, room: int = 128, date: str | None = None, by_reference: bool = False
    ) -> str: ...

def traits_of(kind: int) -> tuple[int, bool, bool, bool, int, tuple[int, ...]]:
    """The traits of a kind, as the hot path has them."""

def answer_mti_of(mti: int) -> int: ...
def repeat_mti_of(mti: int) -> int: ...
