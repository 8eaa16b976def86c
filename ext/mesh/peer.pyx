"""Another worker of the switch, as this one knows it: what was said to it, and what it has said."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, memset
from switch.base.invariant cimport ensure
from switch.base.stats cimport stats_add
from switch.machine.channel cimport Departure
from switch.machine.duplicate cimport OUTCOME_NONE
from switch.machine.link_connections cimport LINK_DOWN, LINK_UP, PHASE_READY
from switch.machine.listener cimport Listener
from switch.mesh.record_encoder cimport (
    write_answer, write_counted, write_counts_taken, write_handled, write_hang_up, write_link_frame,
    write_link_send, write_link_state, write_outstanding, write_ping, write_terminal_closed, write_terminal_frame,
    write_terminal_open, write_told,
)
from switch.mesh.records cimport (
    MESH_COUNTED, MESH_NAME_BYTES_MAX, MESH_OUTSTANDING, MESH_PEER_BYTES_MAX, MESH_REASON_BYTES_MAX, answer_bytes,
    link_frame_bytes, link_send_bytes, terminal_frame_bytes,
)
from switch.tables.count_log cimport CountLog
from switch.tables.stand_in cimport StandIn

cdef enum:
    SHORT_RECORD_BYTES = 512          # the longest of those without a message
    OUTPUT_FIRST_BYTES = 65536
    VIEWS_FIRST = 64
    UNSAID_FIRST = 64
    GUEST_SLOTS_MAX = 1 << 20         # of one peer's connections

cdef int64_t NEEDS_NO_JOURNAL = INT64_MAX

SERIES = (
    ("frames", "authswitch_mesh_frames_total", "Terminals' messages handed over to the worker that decides them."),
    ("answers", "authswitch_mesh_answers_total", "Answers that it gave for terminals here."),
    ("ends", "authswitch_mesh_connection_ends_total", "Connections to it that have ended."),
    ("counts_lost", "authswitch_mesh_counts_lost_total",
     "Counts of risk control and stand-in that it will never hear of: it was away for too long."),
)


@cython.final
cdef class PeerOwner(FrameOwner):
    """Owns the answers that a peer sends to our terminals, and the frames that it sends on our links."""

    cdef void has_left(self, Channel channel, const Departure *departure, bint is_known) noexcept:
        # What it gave before the connection was lost it knows no more.
        if channel.is_of_terminal and departure.position == self.peer._connections:
            self.peer._note_told(channel)


@cython.final
cdef class Guest(TerminalChannel):
    """A terminal whose connection is a peer's."""

    cdef void hang_up(self, str reason) noexcept:
        self.is_leaving = True
        if self.reason is None:
            self.reason = reason
        self.front._channels.wake(self)

    cdef bint flush(self) noexcept:
        """Give the peer what may leave, and say what was looked at; whether that was all."""
        cdef uint32_t size, in_flight
        cdef const uint8_t *frame
        cdef uint8_t *place
        cdef Span whole
        while True:
            frame = self.next_frame(&size)
            if frame == NULL:
                break
            place = self.front._find_room(answer_bytes(size))
            if place == NULL:
                return False
            whole.at, whole.size = frame, size
            if not self.front._wrote(write_answer(place, answer_bytes(size), &self.origin, whole)):
                return False
            self.note_left(size)
            self.answers += 1
        # Who has an answer on its way here has a request under way, whatever else.
        in_flight = self.in_flight + (1 if self.has_more_to_send() else 0)
        # The front end counts a frame as under way from when it gave it: that it was looked at alone is no news.
        if self.handled - self._said_handled != <uint64_t>in_flight - self._said_in_flight:
            place = self.front._reserve(SHORT_RECORD_BYTES)
            if place == NULL:
                return False
            size = SHORT_RECORD_BYTES
            if not self.front._wrote(write_handled(place, size, &self.origin, self.handled, in_flight)):
                return False
            self._said_handled = self.handled
            self._said_in_flight = in_flight
        if self.reason is not None and not self._has_said_reason and not self.has_more_to_send():
            self._say_reason()
        return not self.has_more_to_send()

    def _say_reason(self):
        cdef bytes text = self.reason.encode()[:MESH_REASON_BYTES_MAX]
        cdef uint8_t *place = self.front._reserve(SHORT_RECORD_BYTES)
        cdef Span said
        said.at, said.size = <const uint8_t *><const char *>text, len(text)
        if place != NULL:
            self._has_said_reason = self.front._wrote(write_hang_up(place, SHORT_RECORD_BYTES, &self.origin, said))

    cdef int take_told(self, uint64_t told) noexcept:
        """So many of the answers have left, it is said; -1 when that cannot be."""
        if not self.told <= told <= self.answers:
            return -1
        self.settle_some(<uint32_t>(told - self.told), True)
        self.told = told
        return 0


@cython.final
cdef class ElsewhereLink(LinkChannel):
    """Connections of a link that a peer has."""

    cdef bint flush(self) noexcept:
        """Give the peer what may leave; whether that was all."""
        cdef uint32_t size
        cdef const uint8_t *frame
        cdef uint8_t *place
        cdef Span whole
        while True:
            frame = self.next_frame(&size)
            if frame == NULL:
                return not self.has_more_to_send()
            place = self.holder._find_room(link_send_bytes(size))
            if place == NULL:
                return False
            whole.at, whole.size = frame, size
            if not self.holder._wrote(write_link_send(place, link_send_bytes(size), self.connections.number, whole)):
                return False
            self.note_left(size)
            self.settle()

    cdef void hang_up(self, str reason) noexcept:
        """There is nothing to close."""


@cython.final
cdef class Peer:
    """One other worker.

    Args:
        number: Among the peers of this worker.
        name: For operators.
        channels: The connections of this worker.
        link_connections: Those of each link, in order of the configuration.
    """

    def __cinit__(self):
        self._views = NULL

    def __init__(self, uint32_t number, str name not None, ChannelTable channels not None, list link_connections):
        cdef LinkConnections connections
        cdef ElsewhereLink link
        self.number = number
        self.name = name
        self._channels = channels
        self._guests = []
        self.is_lent = True
        self._link_connections = link_connections
        self._said_connections = <uint32_t *>calloc(len(link_connections) + 1, sizeof(uint32_t))
        if self._said_connections == NULL:
            raise MemoryError
        self.owner = PeerOwner()
        self.owner.peer = self
        self.owner.durable = &NEEDS_NO_JOURNAL
        channels.enroll_other(self.owner)
        self.links = []
        for connections in link_connections:
            link = ElsewhereLink(connections)
            link.holder = self
            link.is_elsewhere = True
            link.phase = PHASE_READY
            channels.enlist(link)
            self.links.append(link)

    def __dealloc__(self):
        free(self._views)
        free(self._unsaid)
        free(self._out)
        free(self._said_connections)

    def share_counts(self, PeerCounts counts not None):
        """It is on another node: tell it what is counted here, and hear what is counted there."""
        self.counts = counts

    cdef void count_in(self, Stats stats):
        """Count what is said from now on.

        Raises:
            StatsError: There is no room for its series.
        """
        self._stats = stats
        self._meters = {field: stats.counter(name, help, {"worker": self.name}) for field, name, help in SERIES}

    # --- what is said ---------------------------------------------------------------------------------------------

    cdef bint has_room(self, size_t size) noexcept nogil:
        """Whether a record with a message of somebody else's may wait to leave besides what waits already."""
        if self.is_up and self._out_size + size <= <size_t>PEER_OUTPUT_BYTES_MAX:
            return True
        self.is_full = self.is_up
        return False

    cdef uint8_t *_reserve(self, size_t size) noexcept:
        """Room for a record behind what waits; NULL when there is none, or the peer is not there."""
        cdef size_t wanted = self._out_size + size
        cdef size_t grown
        cdef uint8_t *buffer
        if not self.is_up:
            return NULL
        if wanted > <size_t>(PEER_OUTPUT_BYTES_MAX + PEER_SPARE_BYTES):
            self.fail("it does not read")
            return NULL
        if wanted > self._out_room:
            grown = max(2 * self._out_room, max(wanted, <size_t>OUTPUT_FIRST_BYTES))
            buffer = <uint8_t *>realloc(self._out, grown)
            if buffer == NULL:
                self.fail("there is no memory for what it must be told")
                return NULL
            self._out = buffer
            self._out_room = grown
        return self._out + self._out_size

    cdef uint8_t *_find_room(self, size_t size) noexcept:
        """The same for a record with a message of somebody else's, which waits where there is none."""
        return self._reserve(size) if self.has_room(size) else NULL

    cdef bint _wrote(self, int size) noexcept:
        """A record was written at ``_reserve``'s place, as its writer says; whether that is so."""
        if size < 0:
            self.fail("what it must be told cannot be written")
            return False
        self._out_size += <size_t>size
        return True

    cdef void fail(self, str why) noexcept:
        """The connection cannot go on: its transport ends it when it looks."""
        if self.fault is None:
            self.fault = why

    cdef void go_up(self) noexcept:
        """Both have said who they are."""
        ensure(not self.is_up, b"a peer comes up once")
        ensure(self._stats is not None, b"a peer is joined before it comes up")
        self.is_up = True
        self._connections += 1
        self.fault = None
        self._out_size = 0
        memset(self._said_connections, 0, len(self._link_connections) * sizeof(uint32_t))
        if self.counts is not None:
            self.counts.begin()

    cdef void go_down(self) noexcept:
        """The connection is gone."""
        if self.is_up:
            stats_add(self._stats, self._meters.ends, 1)
        self.is_up = False

    def take_output(self, size_t most=1 << 62):
        """What is to be sent, as bytes and as good as sent; for transports in Python."""
        cdef size_t size = min(most, self._out_size)
        cdef bytes taken = PyBytes_FromStringAndSize(<const char *>self._out, <Py_ssize_t>size)
        self.note_sent(size)
        return taken

    cdef const uint8_t *output(self, size_t *size) noexcept nogil:
        """What is to be sent."""
        size[0] = self._out_size
        return self._out

    cdef void note_sent(self, size_t size) noexcept nogil:
        """So much of it has been."""
        ensure(size <= self._out_size, b"no more is sent to a peer than waits")
        self._out_size -= size
        memmove(self._out, self._out + size, self._out_size)

    def ping(self):
        """Let it say something, whatever there is to say."""
        cdef uint8_t *place = self._reserve(SHORT_RECORD_BYTES)
        if place != NULL:
            self._wrote(write_ping(place, SHORT_RECORD_BYTES, 0))

    @property
    def waiting_bytes(self):
        """Bytes that wait to be sent."""
        return self._out_size

    # --- as a front end -------------------------------------------------------------------------------------------

    @property
    def under_way(self):
        """Requests of terminals here that it decides, and its answers that have not left to them."""
        return sum([self._views[slot].counted + self._views[slot].answers - self._views[slot].told
                    for slot in range(self._view_count) if self._views[slot].is_open])

    cdef View *_view(self, Channel channel) noexcept:
        """What the peer has to do with one of our connections; NULL when memory is short."""
        cdef uint32_t count
        cdef View *views
        if channel.slot >= self._view_count:
            count = max(2 * self._view_count, max(channel.slot + 1, <uint32_t>VIEWS_FIRST))
            views = <View *>realloc(self._views, count * sizeof(View))
            if views == NULL:
                return NULL
            memset(views + self._view_count, 0, (count - self._view_count) * sizeof(View))
            self._views = views
            self._view_count = count
        return &self._views[channel.slot]

    cdef View *_open_view(self, uint32_t slot, uint32_t generation) noexcept nogil:
        """That of a connection which the peer knows of; NULL where it does not."""
        if slot >= self._view_count:
            return NULL
        if not self._views[slot].is_open or self._views[slot].generation != generation:
            return NULL
        return &self._views[slot]

    cdef bint _introduce(self, TerminalChannel channel, View *view) noexcept:
        """Tell the peer of a connection, before its first frame."""
        cdef MeshTerminal origin
        cdef Span address, name
        cdef uint8_t *place = self._reserve(SHORT_RECORD_BYTES + MESH_NAME_BYTES_MAX)
        if place == NULL:
            return False
        origin.slot, origin.generation = channel.slot, channel.generation
        address.at, address.size = channel.peer, 0
        while address.size < <size_t>MESH_PEER_BYTES_MAX and channel.peer[address.size]:
            address.size += 1
        name.at, name.size = NULL, 0
        if channel.certificate_name is not None:
            name.at, name.size = <const uint8_t *><const char *>channel.certificate_name, len(channel.certificate_name)
        if not self._wrote(write_terminal_open(place, SHORT_RECORD_BYTES + MESH_NAME_BYTES_MAX, &origin,
                                               channel.listener.number, address, name)):
            return False
        memset(view, 0, sizeof(View))
        view.generation = channel.generation
        view.is_open = True
        return True

    cdef bint hand_over(self, TerminalChannel channel, uint16_t partition, Span headers, Span message) noexcept:
        """Give the peer a frame of one of our terminals; False when it cannot be given now."""
        cdef size_t size = terminal_frame_bytes(headers.size, message.size)
        cdef MeshTerminal origin
        cdef View *view
        cdef uint8_t *place
        if not self.has_room(size + SHORT_RECORD_BYTES):
            return False
        view = self._view(channel)
        if view == NULL or not ((view.is_open and view.generation == channel.generation)
                                or self._introduce(channel, view)):
            return False
        origin.slot, origin.generation = channel.slot, channel.generation
        place = self._reserve(size)
        if place == NULL or not self._wrote(write_terminal_frame(place, size, &origin, partition, headers, message)):
            return False
        view.frames += 1
        self._count(channel, view, view.counted + 1)
        stats_add(self._stats, self._meters.frames, 1)
        return True

    cdef void _count(self, Channel channel, View *view, uint32_t in_flight) noexcept:
        """So many requests of a connection are under way at the peer."""
        ensure(channel.in_flight >= view.counted, b"what is under way at a peer is counted")
        channel.in_flight += in_flight - view.counted
        view.counted = in_flight

    cdef void close_terminal(self, Channel channel) noexcept:
        """One of our connections is gone: what it was not told now, it never is."""
        cdef View *view = self._open_view(channel.slot, channel.generation)
        cdef MeshTerminal origin
        cdef uint8_t *place
        if view == NULL:
            return
        view.is_open = False
        origin.slot, origin.generation = channel.slot, channel.generation
        place = self._reserve(SHORT_RECORD_BYTES)
        if place != NULL:
            self._wrote(write_terminal_closed(place, SHORT_RECORD_BYTES, &origin, view.told))

    cdef void take_answer(self, const MeshRecord *record, int64_t now_ns) noexcept:
        """An answer to one of our terminals; it may be gone."""
        cdef Channel channel = self._channels.at(record.terminal.slot, record.terminal.generation)
        cdef View *view = self._open_view(record.terminal.slot, record.terminal.generation)
        cdef uint8_t *place
        stats_add(self._stats, self._meters.answers, 1)
        if channel is None or view == NULL:
            return
        place = channel.reserve(<uint32_t>record.frame.size)
        if place != NULL:
            memcpy(place, record.frame.at, record.frame.size)
            if channel.depart(self.owner, <uint32_t>record.frame.size, self._connections, OUTCOME_NONE, now_ns) == 0:
                view.answers += 1
                self._channels.wake(channel)
                return
        channel.hang_up("answer cannot be queued")

    cdef void take_handled(self, const MeshRecord *record) noexcept:
        """The peer has looked at so many frames of a connection."""
        cdef View *view = self._open_view(record.terminal.slot, record.terminal.generation)
        cdef Channel channel
        if view == NULL:
            return
        if not view.handled <= record.count <= view.frames:
            self.fail("it says that it has looked at more than it was given")
            return
        view.handled = record.count
        channel = self._channels.at(record.terminal.slot, record.terminal.generation)
        self._count(channel, view, <uint32_t>(view.frames - record.count) + record.in_flight)
        self._channels.wake(channel)

    cdef void take_hang_up(self, const MeshRecord *record) noexcept:
        """The peer wants a connection closed once its output has left."""
        if self._open_view(record.terminal.slot, record.terminal.generation) != NULL:
            self._channels.at(record.terminal.slot, record.terminal.generation).hang_up(
                record.reason.at[:record.reason.size].decode("utf-8", "replace"))

    cdef void _note_told(self, Channel channel) noexcept:
        """An answer of the peer's has left."""
        cdef View *view = self._open_view(channel.slot, channel.generation)
        cdef uint32_t room
        cdef uint32_t *slots
        if view == NULL:
            return                            # it came up again since: it does not know any more what this was
        view.told += 1
        if view.is_listed:
            return
        if self._unsaid_count == self._unsaid_room:
            room = max(2 * self._unsaid_room, <uint32_t>UNSAID_FIRST)
            slots = <uint32_t *>realloc(self._unsaid, room * sizeof(uint32_t))
            if slots == NULL:
                return                        # it is said with the next one, or at the end
            self._unsaid = slots
            self._unsaid_room = room
        self._unsaid[self._unsaid_count] = channel.slot
        self._unsaid_count += 1
        view.is_listed = True

    cdef void forget_views(self) noexcept:
        """The peer is gone: nobody knows what becomes of what it was given."""
        cdef uint32_t slot
        cdef Channel channel
        for slot in range(self._view_count):
            if self._views[slot].is_open:
                channel = self._channels.at(slot, self._views[slot].generation)
                self._count(channel, &self._views[slot], 0)
                self._channels.wake(channel)
        memset(self._views, 0, self._view_count * sizeof(View))
        self._unsaid_count = 0

    # --- as an owner ----------------------------------------------------------------------------------------------

    cdef Guest guest(self, const MeshRecord *record):
        """The guest of a record; None, and a fault, when there is none."""
        cdef Guest guest = None
        if record.terminal.slot < <uint32_t>len(self._guests):
            guest = <Guest>self._guests[record.terminal.slot]
        if guest is None or guest.origin.generation != record.terminal.generation:
            self.fail("it speaks of a terminal that it has not told of")
            return None
        return guest

    cdef Guest open_guest(self, const MeshRecord *record, list listeners):
        """A terminal of the peer's; None, and a fault, when it cannot be one."""
        cdef Guest guest
        cdef uint32_t slot = record.terminal.slot
        if record.number >= len(listeners) or slot >= <uint32_t>GUEST_SLOTS_MAX:
            self.fail("it tells of a terminal that cannot be")
            return None
        while slot >= <uint32_t>len(self._guests):
            self._guests.append(None)
        if self._guests[slot] is not None:
            self.fail("it tells twice of one terminal")
            return None
        guest = Guest(<Listener>listeners[record.number])
        guest.stream = None
        guest.is_elsewhere = True
        guest.front = self
        guest.origin = record.terminal
        memcpy(guest.peer, record.peer.at, min(record.peer.size, <size_t>MESH_PEER_BYTES_MAX))
        if record.name.size:
            guest.certificate_name = record.name.at[:record.name.size]
        self._guests[slot] = guest
        return guest

    cdef Guest close_guest(self, const MeshRecord *record):
        """Take a guest out whose connection is gone; None, and a fault, when that cannot be."""
        cdef Guest guest = self.guest(record)
        if guest is None:
            return None
        if guest.take_told(record.count) != 0:
            self.fail("it has told more than it was given")
            return None
        self._guests[record.terminal.slot] = None
        return guest

    cdef list take_guests(self):
        """All guests, when the peer is gone."""
        cdef list guests = [guest for guest in self._guests if guest is not None]
        self._guests = []
        return guests

    # --- of links -------------------------------------------------------------------------------------------------

    cdef bint send_answer_home(self, uint16_t link, Span headers, Span message) noexcept:
        """Give the peer an issuer's answer that a partition of it waits for; False when it cannot be given."""
        cdef size_t size = link_frame_bytes(headers.size, message.size)
        cdef uint8_t *place = self._find_room(size)
        return place != NULL and self._wrote(write_link_frame(place, size, link, headers, message))

    cdef void say_what_is_new(self, uint64_t now_ms) noexcept:
        """Say which answers have left, which of our links' connections are signed on, and what was counted; to be
        called when a turn ends."""
        cdef uint32_t i, count
        cdef View *view
        cdef MeshTerminal origin
        cdef LinkConnections connections
        cdef uint8_t *place
        for i in range(self._unsaid_count):
            view = &self._views[self._unsaid[i]]
            view.is_listed = False
            if view.is_open:
                origin.slot, origin.generation = self._unsaid[i], view.generation
                place = self._reserve(SHORT_RECORD_BYTES)
                if place != NULL:
                    self._wrote(write_told(place, SHORT_RECORD_BYTES, &origin, view.told))
        self._unsaid_count = 0
        for connections in self._link_connections:
            count = <uint32_t>len(connections.channels) if connections.state == LINK_UP and self.is_lent else 0
            if count != self._said_connections[connections.number]:
                place = self._reserve(SHORT_RECORD_BYTES)
                if place != NULL and self._wrote(write_link_state(
                        place, SHORT_RECORD_BYTES, connections.number, LINK_UP if count else LINK_DOWN, count)):
                    self._said_connections[connections.number] = count
        if self.counts is not None:
            self._say_counts(now_ms)
            self._say_outstanding()

    # --- of counts, to another node -------------------------------------------------------------------------------

    cdef void _say_counts(self, uint64_t now_ms) noexcept:
        """Say what was counted since, as far as there is room, and how far the peer was heard."""
        cdef PeerCounts counts = self.counts
        cdef CountLog log = counts.log
        cdef uint8_t *place
        if log is not None and counts.next:
            stats_add(self._stats, self._meters.counts_lost, counts.skip_what_is_gone())
            while counts.next < log.numbers.next:
                place = self._find_room(SHORT_RECORD_BYTES)
                if place == NULL or not self._wrote(write_counted(place, SHORT_RECORD_BYTES, counts.next,
                                                                  log.at(counts.next), now_ms)):
                    return
                counts.next += 1
        if counts.owes_taken:
            place = self._reserve(SHORT_RECORD_BYTES)
            if place != NULL and self._wrote(write_counts_taken(place, SHORT_RECORD_BYTES, counts.heard())):
                counts.owes_taken = False

    cdef void _say_outstanding(self) noexcept:
        """Say what issuers were not told yet of what was approved here, where that is not what was said last."""
        cdef PeerCounts counts = self.counts
        cdef StandIn stand_in
        cdef int32_t currency
        cdef int64_t amount_minor
        cdef uint8_t *place
        cdef int link, limit
        for link in range(<int>len(counts.stand_ins)):
            stand_in = <StandIn>counts.stand_ins[link]
            limit = 0
            while stand_in is not None and stand_in.own_outstanding(limit, &currency, &amount_minor) == 0:
                amount_minor = max(amount_minor, <int64_t>0)
                if amount_minor != counts.said(link, limit)[0]:
                    place = self._reserve(SHORT_RECORD_BYTES)
                    if place == NULL or not self._wrote(write_outstanding(place, SHORT_RECORD_BYTES, <uint16_t>link,
                                                                          currency, amount_minor)):
                        return
                    counts.said(link, limit)[0] = amount_minor
                limit += 1

    cdef void take_count(self, const MeshRecord *record, uint64_t now_ms) noexcept:
        """What a worker of another node says of counts."""
        cdef int taken = 0
        if self.counts is None:
            self.fail("it tells of counts that are counted here")
            return
        if record.type == MESH_COUNTED:
            taken = self.counts.take_counted(record, now_ms)
        elif record.type == MESH_OUTSTANDING:
            taken = self.counts.take_outstanding(record)
        else:
            stats_add(self._stats, self._meters.counts_lost, self.counts.take_place(record.token))
        if taken != 0:
            self.fail("it tells of a count that cannot be")
