"""Fuzz target of the mesh's records: what a stream of them must and must not lead to, whatever its bytes are."""

from __future__ import annotations

from switch.mesh.record_decoder import MeshRecordError
from switch.mesh.record_values import decode_record, encode_record
from tests.ext.mesh_records import RefusedError, Values, judged


def fuzz_mesh(view: memoryview) -> None:
    """Each verdict is that of the description, where nothing lies behind the bytes; what is read is written again."""
    at = 0
    while True:
        expected: str | tuple[str, Values, int] | None
        try:
            expected = judged(bytes(view[at:]))
        except RefusedError:
            expected = "refused"
        read = verdict(view[at:])
        assert read == expected
        if read is None or isinstance(read, str):
            return
        kind, values, size = read
        if kind != "hang_up" or values["reason"].isascii():
            assert encode_record(kind, size, **values) == view[at : at + size]
        at += size


def verdict(view: memoryview) -> str | tuple[str, Values, int] | None:
    """What the compiled decoder says."""
    try:
        return decode_record(view)
    except MeshRecordError as error:
        assert str(error).startswith("mesh: ")
        return "refused"
