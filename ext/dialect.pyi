from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from switch.spec import Spec

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
    original_field: int
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
        sensitive: Iterable[int],
        original_field: int,
        original_parts: Sequence[tuple[int, int, int]],
    ) -> None: ...
