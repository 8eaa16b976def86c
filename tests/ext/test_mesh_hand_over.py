"""Rings handed over between processes: what is taken, what is refused, and that nothing stays open."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import tempfile
from contextlib import contextmanager

import pytest

from switch.mesh import hand_over
from switch.mesh.descriptors import CONTROL_BYTES, SEALS, DescriptorError, new_event, new_ring
from switch.mesh.hand_over import MAGIC, HandOverError, offer, take
from tests.ext.mesh_peer import RING, peer_process, receive, send
from tests.ext.test_mesh_ring import held

MESSAGE = struct.pack("<8sIIQQ", MAGIC, 1, 0, RING, RING)


@pytest.fixture(autouse=True)
def nothing_is_held():
    before = held()
    yield
    assert held() == before


@contextmanager
def sockets(kind=socket.SOCK_SEQPACKET):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs:
        theirs.settimeout(10)
        yield ours, theirs


def memory(size=CONTROL_BYTES + RING, seals=SEALS):
    made = os.memfd_create("another", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(made, size)
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, seals)
    return made


def read_only():
    made = new_ring(RING)
    again = os.open(f"/proc/self/fd/{made}", os.O_RDONLY)
    os.close(made)
    return again


def plain_file():
    with tempfile.TemporaryFile() as file:
        file.truncate(CONTROL_BYTES + RING)
        return os.dup(file.fileno())


def other_seals():
    """A file of a file system that cannot seal; or a pipe's end."""
    end, other = os.pipe()
    os.close(other)
    return end


def waiting_event():
    return os.eventfd(0, os.EFD_CLOEXEC)


def refusal(message, descriptors, kind=socket.SOCK_SEQPACKET):
    """What is said to a hand-over of these, which are closed here."""
    with sockets(kind) as (ours, theirs):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        ours.sendmsg([message], ancillary)
        for descriptor in descriptors:
            os.close(descriptor)
        with pytest.raises(HandOverError) as caught:
            take(theirs)
    return str(caught.value).removeprefix("hand-over of rings: ")


class TestHandOver:
    @pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
    @pytest.mark.parametrize("size", [RING, 1 << 20])
    def test_two_ends(self, kind, size):
        with sockets(kind) as (ours, theirs):
            first = offer(ours, size)
            second = take(theirs)
            assert second.outgoing.size == second.incoming.size == size
            first.outgoing.put(b"there")
            second.outgoing.put(b"and back")
            assert (second.incoming.get(), first.incoming.get()) == (b"there", b"and back")
            assert first.fileno() != second.fileno()
            first.close()
            second.close()

    def test_nothing_is_inherited_by_children(self):
        with sockets() as (ours, theirs):
            first = offer(ours, RING)
            second = take(theirs)
            assert not os.get_inheritable(first.fileno())
            assert not os.get_inheritable(second.fileno())
            first.close()
            second.close()

    def test_with_another_process(self):
        with peer_process("echo", 5) as (connection, _):
            pair = offer(connection, 1 << 18)
            send(pair, b"hello")
            pair.wake_peer()
            assert receive(pair) == b"hello"
            pair.close()

    def test_nothing_has_come_yet(self):
        with sockets() as (_, theirs):
            theirs.setblocking(False)
            with pytest.raises(BlockingIOError):
                take(theirs)

    @pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
    def test_a_peer_that_is_gone(self, kind):
        with sockets(kind) as (ours, theirs):
            ours.close()
            with pytest.raises(ConnectionError):
                take(theirs)
            with pytest.raises(ConnectionError):
                offer(theirs, RING)

    def test_a_size_that_is_none(self):
        with sockets() as (ours, _), pytest.raises(DescriptorError):
            offer(ours, 100_000)

    @pytest.mark.parametrize("failing", [0, 1, 2, 3])
    def test_no_more_descriptors(self, monkeypatch, failing):
        left = [True] * failing

        def limited(make):
            def made(*arguments):
                if not left:
                    raise OSError("too many open files")
                left.pop()
                return make(*arguments)

            return made

        monkeypatch.setattr(hand_over, "new_ring", limited(new_ring))
        monkeypatch.setattr(hand_over, "new_event", limited(new_event))
        with sockets() as (ours, _), pytest.raises(OSError, match="too many"):
            offer(ours, RING)

    def test_another_user(self, monkeypatch):
        with sockets() as (ours, theirs):
            first = offer(ours, RING)
            monkeypatch.setattr(os, "geteuid", lambda: 4711)
            with pytest.raises(HandOverError, match="needed a process of user 4711, got one of "):
                take(theirs)
            first.close()


class TestRefusals:
    def good(self):
        return [new_ring(RING), new_ring(RING), new_event(), new_event()]

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (MESSAGE[:-1], "needed a message of 32 bytes, got 31"),
            (MESSAGE + b"x", "needed a message of 32 bytes, got 33"),
            (b"ASWJRNL1" + MESSAGE[8:], "this is another message"),
            (MESSAGE[:12] + b"\1" + MESSAGE[13:], "this is another message"),
            (MESSAGE[:8] + b"\2" + MESSAGE[9:], "needed version 1, got 2"),
            (struct.pack("<8sIIQQ", MAGIC, 1, 0, RING, 2 * RING), "needed rings of (65536, 131072) bytes, as it says"),
        ],
    )
    @pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
    def test_messages(self, message, words, kind):
        assert refusal(message, self.good(), kind).startswith(words)

    @pytest.mark.parametrize("count", [0, 1, 3, 5, 20])
    def test_counts(self, count):
        words = refusal(MESSAGE, [new_event() for _ in range(count)])
        assert words == f"needed 4 descriptors, got {count if count < 4 else '4 or more'}"

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: memory(seals=fcntl.F_SEAL_SHRINK), "ring: needed the seals 0x7 and none against writing, got 0x2"),
            (lambda: memory(seals=SEALS | fcntl.F_SEAL_WRITE), "ring: needed the seals 0x7 and none against"),
            (lambda: memory(size=CONTROL_BYTES + RING + 4096), "ring: needed a power of two"),
            (lambda: memory(size=RING), "ring: needed a power of two from 65536 to 67108864 bytes, got 0"),
            (lambda: memory(size=0), "ring: needed a power of two from 65536 to 67108864 bytes, got -65536"),
            (lambda: memory(size=1 << 40), "ring: needed a power of two"),
            (read_only, "ring: needed memory that can be read and written"),
            (plain_file, "ring: needed"),
            (other_seals, "ring: needed memory that can be sealed"),
            (new_event, "ring: needed memory that can be sealed"),
        ],
    )
    @pytest.mark.parametrize("place", [0, 1])
    def test_memory(self, make, words, place):
        descriptors = self.good()
        os.close(descriptors[place])
        descriptors[place] = make()
        assert refusal(MESSAGE, descriptors).startswith(words)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (waiting_event, "wake-up: needed an eventfd that does not block"),
            (lambda: new_ring(RING), "wake-up: needed an eventfd, got /memfd:authswitch-ring (deleted)"),
            (other_seals, "wake-up: needed an eventfd, got pipe:"),
        ],
    )
    @pytest.mark.parametrize("place", [2, 3])
    def test_events(self, make, words, place):
        descriptors = self.good()
        os.close(descriptors[place])
        descriptors[place] = make()
        assert refusal(MESSAGE, descriptors).startswith(words)

    def test_one_memory_for_both(self):
        ring = new_ring(RING)
        assert refusal(MESSAGE, [ring, os.dup(ring), new_event(), new_event()]) == "both rings are the same memory"

    def test_what_cannot_be_mapped(self, monkeypatch):
        with sockets() as (ours, theirs):
            first = offer(ours, RING)
            monkeypatch.setattr(hand_over, "RingPair", failing)
            with pytest.raises(MemoryError):
                take(theirs)
            with pytest.raises(MemoryError):
                offer(ours, RING)
            first.close()


def failing(*_):
    raise MemoryError
