"""Rings: bytes from one process to another through shared memory, and the pair of them that joins two workers."""

from typing import final

from typing_extensions import Buffer

class RingMemory:
    """A ring's memory, mapped: control, bytes, and the same bytes again.

    Args:
        memory: its descriptor, which stays the caller's and is needed no more.

    Raises:
        DescriptorError: of this no ring can be made.
        OSError: it cannot be mapped.
    """

    size: int
    def __init__(self, memory: int) -> None: ...

@final
class RingWriter:
    """The end of a ring that writes.

    Attributes:
        size: bytes of the ring.
        fault: 0, or why it takes nothing more: 1 the reader's position cannot be, 2 closed.
    """

    size: int
    fault: int
    def __init__(self, memory: RingMemory) -> None: ...
    def put(self, data: Buffer) -> bool:
        """Write bytes, all or none; whether there was room."""

@final
class RingReader:
    """The end of a ring that reads.

    Attributes:
        size: bytes of the ring.
        fault: 0, or why it gives nothing more: 1 the writer's position cannot be, 2 closed.
    """

    size: int
    fault: int
    def __init__(self, memory: RingMemory) -> None: ...
    def get(self, size_max: int = ...) -> bytes:
        """Take bytes, as many as there are; empty when there are none."""

@final
class RingPair:
    """One worker's end of a connection within a node: a ring each way, and an event each side.

    Args:
        outgoing: descriptor of the memory of the ring that is written; it stays the caller's.
        incoming: the same of the ring that is read.
        event: an eventfd that the peer writes to; the pair's own from now on, closed with it.
        peer_event: an eventfd that the peer watches; so is this.

    Raises:
        DescriptorError: of these no rings can be made. Then both events are still the caller's.
        OSError: they cannot be mapped. So they are then.
    """

    outgoing: RingWriter
    incoming: RingReader
    def __init__(self, outgoing: int, incoming: int, event: int, peer_event: int) -> None: ...
    @property
    def fault(self) -> str:
        """What is wrong with the peer, in words; empty while nothing is."""

    def fileno(self) -> int:
        """The event to watch; -1 when closed."""

    def awake(self) -> None:
        """Say that we look by ourselves, at the beginning of a turn."""

    def may_sleep(self) -> bool:
        """Say that we are going to sleep; False when something has come meanwhile, for which nobody will wake us."""

    def wake_peer(self) -> None:
        """Wake the peer, once a turn, if it may sleep and something is there for it, or the room that it waits for."""

    def drain(self) -> None:
        """Make the event unreadable again, for who watches it by level."""

    def close(self) -> None:
        """Unmap both rings and close both events. What comes after finds nothing; a second call does nothing."""
