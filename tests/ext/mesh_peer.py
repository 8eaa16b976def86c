"""The other side of a ring, as a process of its own: ``python -m tests.ext.mesh_peer ROLE SOCKET COUNT``.

``write`` sends records of random sizes; ``lie`` writes positions that cannot be, again and again; ``die`` ends in the
middle of a record; ``echo`` sends back what comes.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

from switch.mesh.descriptors import new_ring
from switch.mesh.hand_over import take
from switch.mesh.ring import RingPair

RING = 1 << 16
HEAD, TAIL = 0, 128
DEADLINE_MS = 60_000
RECORDS_A_TURN = 40
BLOCK = random.Random("block").randbytes(1 << 16)
SIZES = [
    dice.choice((0, dice.randrange(64), dice.randrange(400), dice.randrange(400), dice.randrange(20_000)))
    for dice in [random.Random("sizes")]
    for _ in range(997)
]
"""Of the records, one after the other, again and again."""


def payload(number: int) -> bytes:
    """The record of a number: its size, its number, and bytes that belong to it alone."""
    size = SIZES[number % len(SIZES)]
    at = number * 7 % (len(BLOCK) - size)
    return struct.pack("<II", size, number) + BLOCK[at : at + size]


def wait(pair: RingPair) -> None:
    """Wait until the peer wakes us; a wake-up that is lost is seen by the deadline."""
    poll = select.poll()
    poll.register(pair, select.POLLIN)
    if not poll.poll(DEADLINE_MS):
        raise TimeoutError("nobody woke us")
    pair.drain()


def send(pair: RingPair, data: bytes) -> None:
    """Write, whatever time it takes."""
    while not pair.outgoing.put(data):
        assert not pair.fault
        pair.wake_peer()
        wait(pair)


def receive(pair: RingPair, size_max: int = RING) -> bytes:
    """Read, as soon as there is something."""
    while True:
        pair.awake()
        data = pair.incoming.get(size_max)
        pair.wake_peer()
        if data:
            return data
        assert not pair.fault
        if pair.may_sleep():
            wait(pair)


def write(pair: RingPair, count: int) -> None:
    """Say so when the ring is full for the first time; the reader begins then."""
    number = 0
    while pair.outgoing.put(payload(number)):
        number += 1
    print("full", flush=True)
    for left in range(number, count):
        send(pair, payload(left))
        if left % RECORDS_A_TURN == 0:
            pair.wake_peer()
    pair.wake_peer()
    sys.stdin.read()


def echo(pair: RingPair, count: int) -> None:
    left = count
    while left:
        data = receive(pair)
        send(pair, data)
        pair.wake_peer()
        left -= len(data)
    sys.stdin.read()


def die(pair: RingPair, count: int) -> None:
    for number in range(count):
        send(pair, payload(number))
    pair.wake_peer()
    os.kill(os.getpid(), signal.SIGKILL)


def lie(connection: socket.socket, count: int) -> None:
    """Both positions of one memory, whatever they can be, as fast as it goes."""
    memory = new_ring(RING)
    socket.send_fds(connection, [b"memory"], [memory])
    dice = random.Random("lies")
    values = [dice.choice((dice.randrange(1 << 17), 2**64 - 1 - dice.randrange(9), dice.getrandbits(64)))
              for _ in range(997)]  # fmt: skip
    with mmap(memory, RING) as view:
        print("lying", flush=True)
        for number in range(count):
            struct.pack_into("<Q", view, HEAD, values[number % 997])
            struct.pack_into("<Q", view, TAIL, values[number % 991])
    connection.close()
    sys.stdin.read()


@contextmanager
def second_look() -> Iterator[list[int]]:
    """Keep a descriptor of each memory that is made for a ring meanwhile."""
    from switch.mesh import hand_over

    memories: list[int] = []
    real = hand_over.new_ring

    def new_ring(size: int) -> int:
        memory = real(size)
        memories.append(os.dup(memory))
        return memory

    hand_over.new_ring = new_ring
    try:
        yield memories
    finally:
        hand_over.new_ring = real


@contextmanager
def peer_process(role: str, count: int) -> Iterator[tuple[socket.socket, subprocess.Popen[str]]]:
    """The peer, and our end of the socket to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.ext.mesh_peer", role, str(theirs.fileno()), str(count)]
    root = Path(__file__).parents[2]
    with (
        ours,
        subprocess.Popen(
            command, cwd=root, pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        theirs.close()
        try:
            yield ours, process
            process.stdin.close()
            process.wait(DEADLINE_MS / 1000)
        finally:
            process.kill()


def main() -> None:
    """Take a role on the socket that was inherited."""
    role, descriptor, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection = socket.socket(fileno=descriptor)
    if role == "lie":
        lie(connection, count)
    else:
        {"write": write, "echo": echo, "die": die}[role](take(connection), count)


if __name__ == "__main__":
    main()
