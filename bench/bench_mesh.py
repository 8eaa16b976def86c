"""Records of the mesh beside the same in plain Python: 64 frames of terminals with 238 bytes of message each."""

from __future__ import annotations

import struct

import pytest

from switch.mesh.record_values import encode_record

RECORDS = 64
FRAME = struct.Struct("<IBBHIIII")
STREAM = encode_record(
    "terminal_frame", slot=1, generation=2, partition=3, headers=b"\x60\0\1\0\2", message=bytes(range(238))
) * RECORDS  # fmt: skip


def python_records(stream):
    """What a plain Python program does: a struct, and slices by its sizes."""
    records = []
    at = 0
    while at < len(stream):
        size, _, _, partition, slot, generation, headers_size, message_size = FRAME.unpack_from(stream, at)
        message_at = at + FRAME.size + headers_size
        headers = stream[at + FRAME.size : message_at]
        records.append((slot, generation, partition, headers, stream[message_at : message_at + message_size]))
        at += size
    return records


@pytest.mark.benchmark(group="mesh: 64 records read")
class TestRead:
    def test_in_place(self, benchmark, steps):
        assert benchmark(steps.read_records, STREAM, 1) == RECORDS

    def test_plain_python(self, benchmark):
        assert len(benchmark(python_records, STREAM)) == RECORDS
