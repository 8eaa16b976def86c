"""A peer on another machine: chunks of any size are heard whole, and what waits for its transport leaves later."""

from __future__ import annotations

import asyncio

import pytest

from switch.io.connection import Reactor
from switch.io.node_link import NodeLink
from switch.mesh.record_values import decode_record
from tests.ext.mesh_records import written
from tests.ext.mesh_world import Pair

OUTPUT_BYTES_MAX = 1 << 16
CHUNK_BYTES = 1 << 16


class Far:
    """What was written to the other side."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.pair = Pair()
        self.pair.part()
        self.peer = self.pair.first.peer
        self.said, self.lost = b"", []
        self.link = NodeLink(
            Reactor(self.pair.first.engine, self.loop, OUTPUT_BYTES_MAX), self.peer, self.write, self.lost.append
        )
        self.link.start()
        self.said = b""

    def write(self, data):
        self.said += data

    def tokens(self, kind):
        """What the records of a kind say."""
        found, at = [], 0
        while (record := decode_record(memoryview(self.said)[at:])) is not None:
            at += record[2]
            if record[0] == kind:
                found.append(record[1]["token"])
        assert at == len(self.said)
        return found


@pytest.fixture
def far():
    one = Far()
    yield one
    one.link.stop()
    one.loop.close()


@pytest.mark.parametrize("beyond", [-1, 0, 1, 3 * CHUNK_BYTES])
def test_a_chunk_of_any_size_is_heard_whole(far, beyond):
    size = len(written("ping", {"token": 0}))
    count = (CHUNK_BYTES + beyond) // size + 1
    said = b"".join(written("ping", {"token": number}) for number in range(count))
    cut = CHUNK_BYTES + beyond
    far.link.receive(said[:cut])
    far.link.receive(said[cut:])
    assert far.tokens("pong") == list(range(count))
    assert far.lost == []


def test_nothing_is_written_while_the_transport_takes_nothing_and_all_of_it_then(far):
    far.link.pause()
    for token in range(3):
        far.link.receive(written("ping", {"token": token}))
    assert far.said == b""
    far.link.resume()
    assert far.tokens("pong") == [0, 1, 2]


def test_who_does_not_read_is_given_up(far):
    far.link.pause()
    while far.peer.fault is None:
        far.link.receive(written("ping", {"token": 0}) * 4_096)
    far.loop.run_until_complete(asyncio.sleep(0, None))
    assert far.lost == ["it does not read"]
