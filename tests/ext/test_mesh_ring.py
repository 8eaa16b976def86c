"""Rings beside a model, between real processes, and with a peer that lies or dies."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
from mmap import mmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.mesh.descriptors import CONTROL_BYTES, DescriptorError, new_event, new_ring
from switch.mesh.hand_over import offer, take
from switch.mesh.ring import RingMemory, RingPair, RingReader, RingWriter
from tests.ext.mesh_peer import HEAD, RING, TAIL, payload, peer_process, receive, second_look, send, wait

READER_SLEEPS, WRITER_WAITS = 256, 384
LIES = (1, RING, RING + 1, 2**32, 2**63, 2**64 - RING, 2**64 - RING - 1, 2**64 - 1)


def is_readable(pair):
    poll = select.poll()
    poll.register(pair, select.POLLIN)
    return bool(poll.poll(0))


def held():
    """Descriptors of this process, and rings that it has mapped."""
    maps = Path("/proc/self/maps").read_text()
    return len(list(Path("/proc/self/fd").iterdir())), maps.count("authswitch-ring")


@pytest.fixture(autouse=True)
def nothing_is_held(request):
    before = held()
    yield
    request.node.funcargs.clear()
    assert held() == before


@pytest.fixture
def pairs():
    """Both ends of a connection, in one process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        first = offer(ours, RING)
        second = take(theirs)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def watched(pairs):
    """One ring, its writer, its reader, and its memory as a third one sees it."""
    memory = new_ring(RING)
    mapped = RingMemory(memory)
    with mmap(memory, CONTROL_BYTES + RING) as view:
        os.close(memory)
        yield RingWriter(mapped), RingReader(mapped), view


class TestRing:
    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, RING + 1)), max_size=60),
        st.sampled_from((1 << 16, 1 << 17)),
    )
    @settings(max_examples=60, deadline=None)
    def test_as_a_queue_of_bytes(self, steps, size):
        memory = new_ring(size)
        try:
            mapped = RingMemory(memory)
        finally:
            os.close(memory)
        writer, reader = RingWriter(mapped), RingReader(mapped)
        source = bytes(range(251)) * 600
        model = b""
        written = 0
        for writes, count in steps:
            if writes:
                data = source[written % 251 :][:count]
                assert writer.put(data) is (len(model) + count <= size)
                if len(model) + count <= size:
                    model += data
                    written += count
            else:
                assert reader.get(count) == model[:count]
                model = model[count:]
        assert reader.get() == model
        assert (writer.fault, reader.fault) == (0, 0)

    def test_what_is_read_lies_in_a_row_wherever_it_lies_in_the_ring(self, watched):
        writer, reader, _ = watched
        for start in range(0, RING, 4099):
            assert writer.put(bytes(start))
            assert len(reader.get()) == start
            assert writer.put(b"abc" * (RING // 3))
            assert reader.get() == b"abc" * (RING // 3)

    def test_more_than_the_ring_has_never_finds_room(self, watched):
        writer, reader, _ = watched
        assert not writer.put(bytes(RING + 1))
        assert writer.put(bytes(RING))
        assert not writer.put(b"x")
        assert len(reader.get(1)) == 1
        assert writer.put(b"x")
        assert not writer.put(b"x")

    def test_what_was_read_is_wiped(self, watched):
        writer, reader, view = watched
        for _ in range(3):
            writer.put(b"6225000000000014=3012" * 2000)
            assert b"6225000000000014" in view[CONTROL_BYTES:]
            assert len(reader.get()) == 42_000
            assert not any(view[CONTROL_BYTES:])

    @pytest.mark.parametrize("size", [0, 1, 1 << 15, (1 << 16) + 1, 3 << 15, 1 << 27, -1])
    def test_sizes(self, size):
        with pytest.raises(DescriptorError, match="needed a power of two from 65536 to 67108864 bytes, got"):
            new_ring(size)

    def test_the_largest(self):
        memory = new_ring(1 << 26)
        try:
            mapped = RingMemory(memory)
            writer, reader = RingWriter(mapped), RingReader(mapped)
            assert writer.put(b"x" * (1 << 26))
            assert reader.get() == b"x" * (1 << 26)
        finally:
            os.close(memory)
            del mapped, writer, reader


class TestWaking:
    def test_only_who_may_sleep_is_woken_and_once(self, pairs):
        first, second = pairs
        first.outgoing.put(b"one")
        first.wake_peer()
        assert not is_readable(second), "it has not said that it sleeps"
        assert not second.may_sleep(), "something is there"
        second.incoming.get()
        assert second.may_sleep()
        first.wake_peer()
        assert not is_readable(second), "there is nothing new"
        first.outgoing.put(b"two")
        first.outgoing.put(b"three")
        assert not is_readable(second), "the turn has not ended"
        first.wake_peer()
        assert is_readable(second)
        second.drain()
        second.drain()
        assert not is_readable(second)
        first.outgoing.put(b"four")
        first.wake_peer()
        assert not is_readable(second), "it was woken already, and has not said that it sleeps again"
        assert second.incoming.get() == b"twothreefour"
        assert second.may_sleep()
        second.awake()
        first.outgoing.put(b"five")
        first.wake_peer()
        assert not is_readable(second), "it has said that it looks"

    def test_who_waits_for_room_is_woken_when_there_is_some(self, pairs):
        first, second = pairs
        assert first.outgoing.put(bytes(RING))
        second.incoming.get(10)
        second.wake_peer()
        assert not is_readable(first), "nobody waits"
        assert not first.outgoing.put(bytes(11))
        second.wake_peer()
        assert not is_readable(first), "nothing was read since"
        second.incoming.get(10)
        second.wake_peer()
        assert is_readable(first)
        assert first.outgoing.put(bytes(20))

    def test_a_full_count_of_wake_ups_is_one(self):
        event, peer_event = new_event(), new_event()
        memories = [new_ring(RING) for _ in range(2)]
        pair = RingPair(*memories, event, peer_event)
        seen = os.dup(memories[0])
        for memory in memories:
            os.close(memory)
        with mmap(seen, CONTROL_BYTES) as view:
            struct.pack_into("<I", view, READER_SLEEPS, 1)
        os.close(seen)
        os.eventfd_write(peer_event, 2**64 - 2)
        pair.outgoing.put(b"x")
        pair.wake_peer()
        assert os.eventfd_read(peer_event) == 2**64 - 2
        pair.close()

    def test_by_edge_no_read_is_needed(self, pairs):
        first, second = pairs
        with select.epoll() as epoll:
            epoll.register(second, select.EPOLLIN | select.EPOLLET)
            for _ in range(3):
                assert second.may_sleep()
                first.outgoing.put(b"x")
                first.wake_peer()
                assert epoll.poll(0) == [(second.fileno(), select.EPOLLIN)]
                assert epoll.poll(0) == []
                assert second.incoming.get() == b"x"


class TestLies:
    @pytest.mark.parametrize("lie", LIES)
    @pytest.mark.parametrize("before", [0, 1000])
    def test_a_writer_s_position(self, watched, before, lie):
        """Whatever it is: bytes that are in the ring, or a fault, from which nothing leads back."""
        writer, reader, view = watched
        writer.put(bytes(before + 5))
        assert len(reader.get(before)) == before
        head = (before + 5 + lie) % 2**64
        struct.pack_into("<Q", view, HEAD, head)
        size = (head - before) % 2**64
        data = reader.get()
        if size <= RING and head >= before + 5:
            assert len(data) == size
            return
        assert (data, reader.fault) == (b"", 1)
        struct.pack_into("<Q", view, HEAD, before + 5)
        assert (reader.get(), reader.fault) == (b"", 1)

    @pytest.mark.parametrize("lie", LIES)
    def test_a_reader_s_position(self, watched, lie):
        writer, reader, view = watched
        writer.put(bytes(RING))
        reader.get(100)
        assert writer.put(bytes(50))
        tail = (100 + lie) % 2**64
        struct.pack_into("<Q", view, TAIL, tail)
        room = writer.put(bytes(RING))
        if 100 <= tail <= RING + 50:
            assert room is (tail >= RING + 50)
            assert writer.fault == 0
            return
        assert not room
        assert writer.fault == 1
        struct.pack_into("<Q", view, TAIL, 100)
        assert not writer.put(b"x")

    def test_a_position_that_goes_back(self, watched):
        writer, reader, view = watched
        writer.put(bytes(1000))
        reader.get(10)
        struct.pack_into("<Q", view, HEAD, 999)
        assert (reader.get(), reader.fault) == (b"", 1)
        writer.put(bytes(RING - 1000))
        assert writer.put(bytes(5))
        struct.pack_into("<Q", view, TAIL, 9)
        assert not writer.put(bytes(100))
        assert writer.fault == 1

    def test_a_fault_is_said_by_the_pair(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, second_look() as memories:
            liar = offer(ours, RING)
            pair = take(theirs)
        with mmap(memories[0], CONTROL_BYTES) as view:
            struct.pack_into("<Q", view, HEAD, RING + 1)
            assert pair.may_sleep(), "who waits for it is not kept awake"
            assert pair.fault == "incoming ring: the peer's position cannot be"
        assert liar.fault == ""
        for memory in memories:
            os.close(memory)
        liar.close()
        pair.close()
        assert pair.fault == "incoming ring: closed"

    def test_flags_of_any_value(self, watched):
        writer, reader, view = watched
        for place in (READER_SLEEPS, WRITER_WAITS):
            for value in (1, 0xFFFFFFFF, 0x80000000):
                struct.pack_into("<I", view, place, value)
                assert writer.put(b"x")
                assert reader.get() == b"x"

    def test_one_that_lies_all_the_time(self):
        """No read outside the ring whatever is written there, and when; the process would die of it."""
        sizes, faults = set(), set()
        with peer_process("lie", 500_000) as (connection, process):
            _, (memory,), _, _ = socket.recv_fds(connection, 16, 1)
            mapped = RingMemory(memory)
            os.close(memory)
            assert process.stdout.readline() == "lying\n"
            while not select.select([connection], [], [], 0)[0]:
                for _ in range(200):
                    writer, reader = RingWriter(mapped), RingReader(mapped)
                    for _ in range(3):
                        sizes.add(len(reader.get()))
                        writer.put(b"x" * 30_000)
                    faults.add((writer.fault, reader.fault))
        assert max(sizes) <= RING
        assert len(sizes) > 2
        assert (1, 1) in faults


class TestProcesses:
    @pytest.mark.parametrize(("count", "size_max"), [(1_000_000, RING), (10_000, 3001)])
    def test_records_of_any_size(self, count, size_max):
        """All of them, in their order, none changed; the second reader is slow."""
        with peer_process("write", count) as (connection, process):
            pair = offer(connection, RING)
            assert process.stdout.readline() == "full\n"
            kept = b""
            number = 0
            while number < count:
                kept += receive(pair, size_max)
                at = 0
                while len(kept) - at >= 8:
                    expected = payload(number)
                    if len(kept) - at < len(expected):
                        break
                    assert kept.startswith(expected, at)
                    at += len(expected)
                    number += 1
                kept = kept[at:]
            assert kept == b""
            pair.close()

    def test_both_ways_at_once(self):
        data = b"".join(map(payload, range(2000)))
        with peer_process("echo", len(data)) as (connection, _):
            pair = offer(connection, RING)
            back = b""
            for at in range(0, len(data), 5000):
                while not pair.outgoing.put(data[at : at + 5000]):
                    pair.wake_peer()
                    back += pair.incoming.get()
                    pair.wake_peer()
                    if pair.may_sleep():
                        wait(pair)
                pair.wake_peer()
            while len(back) < len(data):
                back += receive(pair)
            assert back == data
            pair.close()

    def test_a_peer_that_dies(self):
        """What it had committed is there, nothing else; and its end is seen."""
        count = 7
        sent = b"".join(map(payload, range(count)))
        assert len(sent) < RING
        with peer_process("die", count) as (connection, process):
            pair = offer(connection, RING)
            assert connection.recv(1) == b""
            assert process.wait() == -signal.SIGKILL
            assert receive(pair) == sent
            assert pair.incoming.get() == b""
            send(pair, b"for nobody")
            pair.wake_peer()
            pair.close()

    def test_an_end_that_is_closed(self, pairs):
        first, second = pairs
        first.outgoing.put(b"left behind")
        first.close()
        first.close()
        assert first.fileno() == -1
        assert not first.outgoing.put(b"x")
        assert first.incoming.get() == b""
        assert first.may_sleep()
        first.awake()
        first.wake_peer()
        first.drain()
        assert second.incoming.get() == b"left behind"
        second.outgoing.put(b"x")
        second.wake_peer()
