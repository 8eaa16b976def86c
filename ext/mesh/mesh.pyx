"""The other workers of the switch: who owns which partition, and frames that wait for one that is not there."""

cimport cython
from switch.base.stats cimport stats_add

WAITING_MAX = 4096
"""Frames that wait for one worker that is not there, of all terminals together."""

cdef enum:
    WAITING_BYTES_MAX = 4 << 20       # of their messages


@cython.final
cdef class Mesh:
    """What one worker knows of the others.

    Args:
        peers: The others, in the order of their numbers.
        owners: By partition: number of the peer that owns it; None: this worker does.
        patience_ms: How long a frame waits for a worker that is not there.
    """

    def __init__(self, list peers not None, list owners not None, int64_t patience_ms):
        self.peers = peers
        self._owners = [None if number is None else peers[number] for number in owners]
        self.patience_ns = patience_ms * 1_000_000
        self.waiting = [[] for _ in peers]
        self._refused = []

    cdef void count_in(self, Stats stats):
        """Count what is handed over, and what cannot be.

        Raises:
            StatsError: There is no room for the series.
        """
        cdef Peer peer
        self._stats = stats
        for peer in self.peers:
            peer.count_in(stats)
        self._refused = [
            stats.counter(
                "authswitch_mesh_refused_total", "Messages refused because the worker of their partition was away.",
                {"partition": str(partition)})
            for partition in range(len(self._owners))
        ]

    cdef void note_refused(self, uint32_t partition):
        """A frame for this partition can neither be handed over nor wait."""
        stats_add(self._stats, self._refused[partition], 1)

    def waiting_by_peer(self):
        """How many frames wait for each peer, in their order."""
        return [len(waiting) for waiting in self.waiting]

    cdef Peer owner(self, uint32_t partition):
        """Who owns a partition of somebody else's."""
        return <Peer>self._owners[partition]

    cdef bint give(self, TerminalChannel channel, uint32_t partition, Span headers, Span message):
        """Hand a frame over; False when that cannot be done now.

        What came first goes first: behind frames that wait for a peer its next ones wait, too.
        """
        cdef Peer peer = self.owner(partition)
        return not self.waiting[peer.number] and peer.hand_over(channel, partition, headers, message)

    cdef bint keep(self, TerminalChannel channel, uint32_t partition, Span headers, Span message, int64_t now_ns):
        """Keep a frame until it can be handed over; False when too many wait."""
        cdef Peer peer = self.owner(partition)
        cdef list waiting = self.waiting[peer.number]
        if len(waiting) >= WAITING_MAX or peer.kept_bytes + message.size > <size_t>WAITING_BYTES_MAX:
            return False
        channel.in_flight += 1
        peer.kept_bytes += message.size
        waiting.append((channel, partition, headers.at[:headers.size], message.at[:message.size],
                        now_ns + self.patience_ns))
        return True
