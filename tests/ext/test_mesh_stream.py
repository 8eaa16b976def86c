"""The records of a TCP connection, however its bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.base.live_counts import live_counts
from switch.mesh.record_decoder import MeshRecordError
from switch.mesh.record_stream import RecordStream
from tests.ext.mesh_records import RECORDS, SAMPLES, written

ALL = [(kind, values, len(written(kind, values))) for kind, values in SAMPLES.items()]
STREAM = b"".join(written(kind, values) for kind, values, _ in ALL)


def test_cut_in_two_at_every_byte():
    for cut in range(len(STREAM) + 1):
        stream = RecordStream()
        found = stream.feed(STREAM[:cut])
        whole = sum(size for _, _, size in found)
        assert stream.kept == cut - whole
        assert found + stream.feed(STREAM[cut:]) == ALL
        assert stream.kept == 0


@given(st.lists(RECORDS, max_size=6), st.integers(1, 700))
def test_chunks_of_one_size(records, step):
    stream = RecordStream()
    data = b"".join(written(kind, values) for kind, values in records)
    found = [record[:2] for at in range(0, len(data), step) for record in stream.feed(data[at : at + step])]
    assert found == records
    assert stream.kept == 0


def test_nothing_is_held_between_records():
    before = live_counts()["frame_bytes"]
    stream = RecordStream()
    stream.feed(STREAM[:-1])
    assert live_counts()["frame_bytes"] > before
    stream.feed(STREAM[-1:])
    assert live_counts()["frame_bytes"] == before


@pytest.mark.parametrize("step", [1, 5, 8, 13, 1000])
def test_a_fault_ends_it_with_what_came_before(step):
    stream = RecordStream()
    data = STREAM + b"\x09" + bytes(40)
    found = []

    def feed_all():
        for at in range(0, len(data), step):
            found.extend(stream.feed(data[at : at + step]))

    with pytest.raises(MeshRecordError, match="record refused at byte 0: needed a size that is a multiple of 8, got 9"):
        feed_all()
    if step <= 8:  # else some came in the same chunk as what is wrong
        assert found == ALL
    assert stream.kept == 0


def test_a_limit_of_its_own():
    longest = max(size for _, _, size in ALL)
    assert RecordStream(longest).feed(STREAM) == ALL
    with pytest.raises(MeshRecordError, match=f"needed at most {longest - 8} bytes, got {longest}"):
        RecordStream(longest - 8).feed(STREAM)
    for size in (7, 65633, 1 << 40):
        with pytest.raises(ValueError, match="record_bytes_max: needed 8 to 65632, got"):
            RecordStream(size)


def test_more_than_a_connection_reads_at_once():
    """The end of a chunk that is too long cannot be kept; one that is read whole needs no room."""
    assert len(RecordStream().feed(STREAM * 300)) == 300 * len(ALL)
    record = written("link_send", {"link": 1, "frame": bytes(65604)})
    stream = RecordStream()
    assert stream.feed(record[:-1]) == []
    assert len(stream.feed(record[-1:] + record + record[:-1])) == 2
    assert len(stream.feed(record[-1:])) == 1
