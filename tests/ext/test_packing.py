"""Compression of batches: there and back, and blocks that are none."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switch.journal.compression import packed, unpacked

RECORD = b"0200723A448108C08001166225000000000014000000000000001000" + bytes(40)


@given(st.binary(max_size=600) | st.lists(st.sampled_from([b"ab", b"0200", RECORD, bytes(9)])).map(b"".join))
@example(b"")
@example(RECORD * 700)
@example(bytes(70_000))
def test_there_and_back(data):
    block = packed(data)
    if block is not None:
        assert len(block) < len(data)
        assert unpacked(block, len(data)) == data


def test_alike_records_become_short():
    rows = b"".join(RECORD[:30] + b"%06d" % number + RECORD[36:] for number in range(1000))
    assert len(packed(rows)) < len(rows) // 6


def test_noise_stays_as_it_is():
    assert packed(random.Random(1).randbytes(5000)) is None


@given(st.binary(max_size=200), st.integers(0, 300))
def test_what_is_no_block(data, size):
    try:
        assert len(unpacked(data, size)) == size
    except ValueError as error:
        assert str(error) == f"this is no block of {size} bytes"


def test_cut_and_changed_blocks():
    block = packed(RECORD * 20)
    for end in range(len(block)):
        with pytest.raises(ValueError, match="no block"):
            unpacked(block[:end], len(RECORD) * 20)
    for size in (0, len(RECORD) * 20 - 1, len(RECORD) * 20 + 1):
        with pytest.raises(ValueError, match="no block"):
            unpacked(block, size)
