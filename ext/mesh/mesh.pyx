"""The other workers of the switch: who owns which partition, and frames that wait for one that is not there."""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from switch.base.stats cimport stats_add
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.machine.terminal_counts cimport share_of
from switch.machine.journal_interface cimport Journal
from switch.machine.state cimport State
from switch.mesh.record_encoder cimport write_journal
from switch.mesh.records cimport MESH_HEAD_BYTES, MeshJournal

cdef enum:
    PLACE_BYTES = 1024
    PLACES = 4096             # for what waits for one worker that is not there; a message has one for each 1,024 bytes
    SHARE_LEAST = 4           # places that a terminal may have, however few are free
    TELL_AGAIN_NS = 50_000_000        # a peer that is told nothing else is told so often how far our journals are
    UNKNOWN_POSITION = -1
    TOLD_NOTHING = -2
    JOURNAL_BYTES = MESH_HEAD_BYTES + sizeof(MeshJournal)

WAITING_MAX = PLACES


@cython.final
cdef class WaitingFrame:
    """Made by ``keep``."""

    def __dealloc__(self):
        if self.headers.at != NULL:
            OPENSSL_cleanse(<void *>self.headers.at, self.headers.size + self.message.size)
            free(<void *>self.headers.at)


cdef WaitingFrame _copied(TerminalChannel channel, uint32_t partition, Span headers, Span message):
    cdef WaitingFrame frame = WaitingFrame.__new__(WaitingFrame)
    cdef uint8_t *copy = <uint8_t *>malloc(headers.size + message.size)
    if copy == NULL:
        return None
    memcpy(copy, headers.at, headers.size)
    memcpy(copy + headers.size, message.at, message.size)
    frame.channel = channel
    frame.partition = partition
    frame.headers.at, frame.headers.size = copy, headers.size
    frame.message.at, frame.message.size = copy + headers.size, message.size
    return frame


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
        self._share_percent = 100
        self._refused = []
        self.heard = JournalsHeard(<uint32_t>len(owners))
        self._told_ns = [0] * len(peers)
        self._told_positions = <int64_t *>malloc((len(peers) * len(owners) + 1) * sizeof(int64_t))
        if self._told_positions == NULL:
            raise MemoryError
        for peer in peers:
            self.tell_nothing(peer)

    def __dealloc__(self):
        free(self._told_positions)

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

    cdef void begin_to_tell(self, Peer peer, uint32_t partition) noexcept:
        """A peer knows of no newer journal of a partition of ours: from now on it is told how far that is durable."""
        self._told_positions[peer.number * len(self._owners) + partition] = UNKNOWN_POSITION
        self._told_ns[peer.number] = 0

    cdef void tell_nothing(self, Peer peer) noexcept:
        """What a peer knows is not known."""
        cdef size_t i, count = len(self._owners)
        for i in range(count):
            self._told_positions[peer.number * count + i] = TOLD_NOTHING

    cdef void tell_journals(self, list states, int64_t now_ns) noexcept:
        """Tell peers how far our journals are durable: with what they are told anyway, or now and then."""
        cdef Peer peer
        cdef State state
        cdef Journal journal
        cdef MeshJournal said
        cdef int64_t *told
        cdef uint8_t *place
        for peer in self.peers:
            if not peer.is_up or (peer._out_size == 0
                                  and now_ns - <int64_t>self._told_ns[peer.number] < <int64_t>TELL_AGAIN_NS):
                continue
            for state in states:
                journal = state.journal
                told = &self._told_positions[peer.number * len(self._owners) + state.partition]
                if journal.epoch == 0 or told[0] == TOLD_NOTHING or told[0] == journal.durable:
                    continue
                said = MeshJournal(state.partition, journal.life, journal.epoch, journal.durable)
                place = NULL if journal.outdated is not None else peer._reserve(JOURNAL_BYTES)
                if place != NULL and peer._wrote(write_journal(place, JOURNAL_BYTES, &said)):
                    told[0] = said.position
                    self._told_ns[peer.number] = now_ns

    cdef Peer owner(self, uint32_t partition):
        """Who owns a partition of somebody else's."""
        return <Peer>self._owners[partition]

    cdef bint give(self, TerminalChannel channel, uint32_t partition, Span headers, Span message):
        """Hand a frame over; False when that cannot be done now.

        What came first goes first: behind frames that wait for a peer its next ones wait, too.
        """
        cdef Peer peer = self.owner(partition)
        return not self.waiting[peer.number] and peer.hand_over(channel, partition, headers, message)

    cdef void share_out(self, TerminalCounts terminals, uint32_t percent):
        """Let one terminal have no more than so many percent of the places that are free."""
        self._terminals = terminals
        self._share_percent = percent

    cdef bint keep(self, TerminalChannel channel, uint32_t partition, uint32_t terminal, Span headers, Span message,
                   int64_t now_ns):
        """Keep a frame of a terminal, by its number in the registry, until it can be handed over; False when too many
        wait, or too many of its own."""
        cdef Peer peer = self.owner(partition)
        cdef uint32_t places = _places_of(message)
        cdef uint32_t free_places = PLACES - peer.kept_places
        cdef uint16_t *held = &self._terminals.of[terminal].kept_places
        cdef uint64_t share = share_of(free_places, self._share_percent, SHARE_LEAST)
        cdef WaitingFrame frame
        if places > free_places or (held[0] and held[0] + places > share):
            return False
        frame = _copied(channel, partition, headers, message)
        if frame is None:
            return False
        frame.terminal = terminal
        frame.until_ns = now_ns + self.patience_ns
        channel.in_flight += 1
        peer.kept_places += places
        held[0] += <uint16_t>places
        (<list>self.waiting[peer.number]).append(frame)
        return True

    cdef void let_go(self, Peer peer, WaitingFrame frame):
        """A frame waits no more; whoever goes on with the list of what does, leaves it out."""
        cdef uint32_t places = _places_of(frame.message)
        frame.channel.in_flight -= 1
        peer.kept_places -= places
        self._terminals.of[frame.terminal].kept_places -= <uint16_t>places


cdef uint32_t _places_of(Span message) noexcept nogil:
    return <uint32_t>max((message.size + PLACE_BYTES - 1) // PLACE_BYTES, <size_t>1)
