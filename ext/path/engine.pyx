"""The state machine's door: bytes, connections and the time go in; channels with output come out. No sockets here.

The daemon's I/O layer and the simulator both drive this class: they move the calendar, hand in what arrived, call
``tick`` now and then, and carry away the output of the channels in ``state.channels.dirty``.
"""

cimport cython
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_ECHO_TEST, KIND_SIGN_ON
from switch.machine.link cimport Link
from switch.machine.link_connections cimport LinkConnections, LINK_SUSPENDED, PHASE_READY, PHASE_SIGNING_ON
from switch.machine.listener cimport Listener
from switch.machine.meters cimport Meters
from switch.machine.note_queue cimport NOTE_FRAME_ERROR, NOTE_LINK_FRAME_ERROR
from switch.machine.originals cimport Original, Wanted
from switch.machine.transaction cimport TRANSACTION_NONE
from switch.mesh.peer cimport ElsewhereLink
from switch.path.claim_exchange cimport exchange_claims, greet_peer
from switch.path.dispatch cimport take_link_message, take_request
from switch.path.found_original cimport seek, settle
from switch.path.handing_over cimport give_what_waits
from switch.path.issuer_answer cimport expire
from switch.path.kept_claims cimport oldest_claim_s, take_wanted_claims
from switch.path.mesh_door cimport flush_elsewhere, hear, hear_stream, lose, reverse_undelivered
from switch.path.network cimport (
    answer_key_offer, ask_for_key, begin_link, end_link, hang_up_link, retire_link, send_network, sign_off_link,
    test_doubted_links,
)
from switch.path.original_lookup cimport take_wanted
from switch.path.own_claims cimport take_sought_claims
from switch.saf.delivery cimport send_due
from switch.saf.reversal cimport reverse_unreversed
from switch.saf.room cimport has_saf_room
from switch.wire.framing cimport (
    FRAME_COMPLETE, FRAME_INCOMPLETE, FRAME_KEEP_ALIVE, FRAME_NO_MEMORY, FRAME_PROXY_HEADER, Frame,
)

cdef enum:
    SWEEP_INTERVAL_NS = 250_000_000       # between two rounds in which the limits of all connections are looked at
    SWEEP_SLICE = 1_000                   # connections looked at in one tick
    STALLED_NS = 10_000_000_000           # output that waits longer is given up: approvals reversed, links fail over


cdef str _why_stalled(Channel channel):
    return "journal does not become durable" if channel.waits_for_journal() else "peer does not read"


@cython.final
cdef class Engine:
    """One worker's state machines, which have the connections in common.

    Args:
        partitions: Theirs.
    """

    def __init__(self, Partitions partitions not None):
        self.partitions = partitions
        self.state = partitions.host
        self.channels = self.state.channels
        self._gated_elsewhere = []
        self._next_sweep_ns = 0
        self._next_slot = 0

    def open(self, Channel channel):
        """A connection stands."""
        self.begin(channel)
        self.state.deliver_notes()

    cdef int begin(self, Channel channel) except -1:
        """The same, of a driver that delivers the notes when its turn ends."""
        cdef State state
        for state in self.partitions.states:
            state.reserve_numbers()
        self.state.enlist(channel)
        if isinstance(channel, LinkChannel):
            begin_link(self.state, <LinkChannel>channel)
        else:
            (<TerminalChannel>channel).listener.connections += 1
        return 0

    def close(self, Channel channel):
        """A connection is gone: approvals that it was not told yet are reversed."""
        self.end(channel)
        self.state.deliver_notes()

    cdef void end(self, Channel channel) noexcept:
        """The same, of a driver that delivers the notes when its turn ends."""
        cdef Peer peer
        if not channel.is_open:
            return
        self.channels.delist(channel)
        channel.stream.clear()
        if self.mesh is not None and channel.is_of_terminal:
            for peer in self.mesh.peers:
                peer.close_terminal(channel)
        reverse_undelivered(self.partitions, channel)
        if isinstance(channel, LinkChannel):
            end_link(self.state, <LinkChannel>channel)
        else:
            (<TerminalChannel>channel).listener.connections -= 1

    cdef void kick(self) noexcept:
        """The turn is over: what was written down in it may be made durable."""
        cdef State state
        for state in self.partitions.states:
            state.journal.kick()

    # --- other workers ----------------------------------------------------------------------------------------------

    def join(self, Mesh mesh not None):
        """Work with others from now on.

        Raises:
            StatsError: There is no room to count what they are given.
        """
        mesh.count_in(self.state.meters.stats)
        mesh.share_out(self.state.terminals, self.state.duplicates.share_percent)
        self.mesh = mesh

    def meet(self, Peer peer not None):
        """A connection with a peer stands, and both have said who they are."""
        self.come_up(peer)
        self.state.deliver_notes()

    cdef void come_up(self, Peer peer) noexcept:
        """The same, of a driver that delivers the notes when its turn ends."""
        peer.go_up()
        self.mesh.tell_nothing(peer)
        greet_peer(self.partitions, self.mesh, peer)
        give_what_waits(self.state, self.mesh)

    def hear(self, Peer peer not None, const uint8_t[::1] data not None):
        """A peer has said something; how many bytes of it were whole records. Its ``fault`` says whether to go on."""
        cdef size_t taken = self.hear_peer(peer, &data[0], <size_t>data.shape[0]) if data.shape[0] else 0
        self.state.deliver_notes()
        return taken

    cdef size_t hear_peer(self, Peer peer, const uint8_t *data, size_t size) noexcept:
        return hear(self.partitions, self.mesh, peer, data, size)

    cdef void hear_chunk(self, Peer peer, RecordStream stream, const uint8_t *data, size_t size) noexcept:
        """The same of a chunk of a stream, of which what is not whole is kept."""
        hear_stream(self.partitions, self.mesh, peer, stream, data, size)

    def part(self, Peer peer not None):
        """The connection with a peer is gone."""
        self.lose_peer(peer)
        self.state.deliver_notes()

    cdef void lose_peer(self, Peer peer) noexcept:
        lose(self.partitions, peer)

    def woken(self):
        """Channels with sockets here that have output; what others' have is with their peers when this returns."""
        return self.take_dirty()

    cdef list take_dirty(self):
        cdef list woken, here
        cdef Channel channel
        if self.mesh is None:
            return self.channels.take_dirty()
        here = []
        while True:
            woken = self.channels.take_dirty()
            if not woken:
                break
            for channel in woken:
                if channel.is_elsewhere:
                    self._flush_elsewhere(channel)
                else:
                    here.append(channel)
        self.settle_peers()
        return here

    cdef void _flush_elsewhere(self, Channel channel):
        channel.is_dirty = False
        if channel.is_open and not flush_elsewhere(channel):
            channel.is_dirty = True
            self._gated_elsewhere.append(channel)

    def flush_waiting(self):
        """A journal has become durable further, or a peer has room again: give peers what waited for it."""
        self.flush_gated()

    cdef void flush_gated(self):
        cdef list gated = self._gated_elsewhere
        cdef Channel channel
        if gated:
            self._gated_elsewhere = []
            for channel in gated:
                self._flush_elsewhere(channel)
        if self.mesh is not None:
            self.mesh.tell_journals(self.partitions.states, self.state.calendar.now_ns)

    cdef void settle_peers(self) noexcept:
        """Let each peer know what has left, and which links are up."""
        cdef Peer peer
        for peer in self.mesh.peers:
            if peer.is_up:
                peer.say_what_is_new(<uint64_t>(self.state.calendar.now_ns // 1_000_000))

    # --- frames -----------------------------------------------------------------------------------------------------

    def feed(self, Channel channel, bytes data):
        """Hand in what arrived; a ``Progress`` (0 done, 1 more, 2 full). For callers in Python.

        What is left of ``data`` is kept: go on with ``feed(channel, b"")``.
        """
        cdef const uint8_t *start = data
        cdef Frame frame
        cdef int progress = self.receive(channel, start, len(data))
        if progress != PROGRESS_DONE and channel.stream.end() != 0:
            frame.position = 0
            frame.needed = len(data)
            frame.available = 0
            self._refuse_frame(channel, FRAME_NO_MEMORY, &frame)
        self.state.deliver_notes()
        return progress

    def take(self, Channel channel):
        """The output that may leave a channel now, as bytes; None when there is none."""
        channel.is_dirty = False
        return channel.take()

    def offer(self, Channel channel):
        """The output that may leave a channel now, as bytes that have not left; ``note_left`` says how many did. For
        callers in Python whose peers do not take all at once."""
        cdef uint32_t size
        cdef const uint8_t *output = channel.next_output(&size)
        channel.is_dirty = False
        return (<const char *>output)[:size] if size else b""

    def note_left(self, Channel channel, uint32_t size):
        """So many bytes of what was offered have left."""
        channel.note_left(size)
        channel.settle()

    cdef int receive(self, Channel channel, const uint8_t *data, size_t size):
        """Take what arrived on a channel; ``data`` must stay until PROGRESS_DONE. A ``Progress``."""
        cdef int progress
        if channel.is_leaving or not channel.is_open:
            return PROGRESS_DONE
        channel.last_heard_ns = self.state.calendar.now_ns
        if size:
            channel.stream.begin(data, size)
        progress = self._receive(channel)
        if channel.is_leaving:
            channel.stream.clear()
            return PROGRESS_DONE
        return progress

    cdef int _receive(self, Channel channel):
        """Handle the frames that are there."""
        cdef TerminalChannel terminal = <TerminalChannel>channel if isinstance(channel, TerminalChannel) else None
        cdef Frame frame
        cdef int status = FRAME_INCOMPLETE
        cdef int _
        for _ in range(FRAMES_A_TURN):
            if channel.is_leaving:
                return PROGRESS_DONE
            if terminal is not None and terminal.in_flight >= terminal.listener.in_flight_max:
                return PROGRESS_FULL
            status = channel.stream.next(&frame)
            if status == FRAME_COMPLETE:
                channel.partial_since_ns = 0
                if terminal is not None:
                    terminal.has_spoken = True
                    self.state.notes.speaker = terminal.peer
                    take_request(self.partitions, self.mesh, terminal, &frame)
                    self.state.notes.speaker = NULL
                else:
                    take_link_message(self.partitions, self.mesh, <LinkChannel>channel, &frame)
            elif status == FRAME_KEEP_ALIVE:
                channel.partial_since_ns = 0
                if terminal is not None:
                    terminal.has_spoken = True
                    stats_add(self.state.meters.stats,
                              self.state.meters.listener[terminal.listener.number].keep_alives, 1)
            elif status == FRAME_INCOMPLETE and channel.stream.end() == 0:
                self._note_partial(channel)
                if terminal is not None and self._is_proxy_header(terminal):
                    frame.needed = frame.available = 0
                    self._refuse_frame(channel, FRAME_PROXY_HEADER, &frame)
                return PROGRESS_DONE
            else:
                if status == FRAME_INCOMPLETE:                 # what there is of it could not be kept
                    frame.position = frame.available = 0
                    frame.needed = frame.total
                self._refuse_frame(channel, FRAME_NO_MEMORY if status == FRAME_INCOMPLETE else status, &frame)
                return PROGRESS_DONE
        return PROGRESS_MORE

    cdef void _note_partial(self, Channel channel) noexcept:
        if channel.stream.partial_size() == 0:
            channel.partial_since_ns = 0
        elif channel.partial_since_ns == 0:
            channel.partial_since_ns = self.state.calendar.now_ns

    cdef bint _is_proxy_header(self, TerminalChannel channel) noexcept:
        """Whether what cannot be read is what a load balancer sends before the first message."""
        return not channel.has_spoken and channel.stream.begins_with_proxy_header()

    cdef void _refuse_frame(self, Channel channel, int status, const Frame *frame):
        """The stream cannot be read further: there is no telling where the next message would begin."""
        cdef Meters meters = self.state.meters
        cdef Link link
        cdef Listener listener
        cdef TerminalChannel terminal
        if isinstance(channel, LinkChannel):
            link = self.state.link_of(<LinkChannel>channel)
            stats_add(meters.stats, meters.link[link.number].frame_errors, 1)
            self.state.tell(NOTE_LINK_FRAME_ERROR, link.number, status, frame.position, <int64_t>frame.needed,
                            <int64_t>frame.available)
            hang_up_link(self.state, <LinkChannel>channel, "frame cannot be read")
        else:
            terminal = <TerminalChannel>channel
            listener = terminal.listener
            if self._is_proxy_header(terminal):
                status = FRAME_PROXY_HEADER
            stats_add(meters.stats, meters.listener[listener.number].frame_errors, 1)
            self.state.notes.speaker = terminal.peer
            self.state.tell(NOTE_FRAME_ERROR, listener.number, status,
                            0 if status == FRAME_PROXY_HEADER else frame.position, <int64_t>frame.needed,
                            <int64_t>frame.available)
            self.state.notes.speaker = NULL
            channel.hang_up("frame cannot be read")

    def tick(self):
        """Let time pass: time-outs, owed reversals, echo tests, silent connections. Call every few milliseconds."""
        self.pass_time()
        self.state.deliver_notes()

    cdef void pass_time(self) noexcept:
        """The same, of a driver that delivers the notes when its turn ends."""
        cdef State state
        for state in self.partitions.states:
            self._pass_time_of(state)
        exchange_claims(self.partitions, self.mesh)
        test_doubted_links(self.state)
        if self.mesh is not None:
            give_what_waits(self.state, self.mesh)
            self.mesh.tell_journals(self.partitions.states, self.state.calendar.now_ns)
        if self._next_slot == 0 and self.state.calendar.now_ns >= self._next_sweep_ns:
            self._next_sweep_ns = self.state.calendar.now_ns + SWEEP_INTERVAL_NS
            self._sweep()
        elif self._next_slot:
            self._sweep()

    cdef void _pass_time_of(self, State state) noexcept:
        cdef Link link
        if state.journal.outdated is not None:
            return                            # what it owes issuers, and who waits for what, a newer one knows
        state.reserve_numbers()
        if state.unreversed:
            reverse_unreversed(state)
        state.duplicates.expire(state.calendar.now_ns)
        seek(state)
        for link in state.links:
            expire(state, link)
            if link.saf.depth > link.saf.at_issuer:
                send_due(state, link)

    cdef void _sweep(self):
        """Look at the limits of the next connections: so few that no message waits for it, however many there are.

        With a tick every 10 ms a limit is noticed up to 250 ms late, and up to 10 us later for each connection above
        25,000: one second late with 100,000 connections.
        """
        cdef Py_ssize_t end = self._next_slot + SWEEP_SLICE
        cdef object channel
        while self._next_slot < end:
            if self._next_slot >= len(self.channels.by_slot):
                self._next_slot = 0
                return
            channel = self.channels.by_slot[self._next_slot]
            self._next_slot += 1
            if channel is None:
                continue
            if (<Channel>channel).is_elsewhere:
                self._sweep_elsewhere(<Channel>channel)
            elif isinstance(channel, LinkChannel):
                self._sweep_link(<LinkChannel>channel)
            else:
                self._sweep_terminal(<TerminalChannel>channel)

    cdef void _sweep_elsewhere(self, Channel channel):
        """All other limits are looked at where the socket is."""
        if (channel.is_of_terminal and channel.waits_for_journal()
                and self.state.calendar.now_ns - channel.waiting_since_ns > <int64_t>STALLED_NS):
            channel.hang_up(_why_stalled(channel))

    cdef void _sweep_terminal(self, TerminalChannel channel):
        cdef int64_t now_ns = self.state.calendar.now_ns
        cdef Listener listener = channel.listener
        if channel.waiting_since_ns and now_ns - channel.waiting_since_ns > <int64_t>STALLED_NS:
            channel.hang_up(_why_stalled(channel))
        elif channel.partial_since_ns and now_ns - channel.partial_since_ns > listener.partial_timeout_ns:
            channel.hang_up("frame was not finished in time")
        elif not channel.has_spoken and now_ns - channel.last_heard_ns > listener.first_message_timeout_ns:
            channel.hang_up("no message in time")
        elif (listener.idle_timeout_ns and channel.in_flight == 0
                and now_ns - channel.last_heard_ns > listener.idle_timeout_ns):
            channel.hang_up("idle")
        elif self.state.draining and channel.in_flight == 0:
            channel.hang_up("draining")

    cdef void _sweep_link(self, LinkChannel channel):
        cdef int64_t now_ns = self.state.calendar.now_ns
        cdef Link link = self.state.link_of(channel)
        cdef int64_t quiet_ns = now_ns - channel.last_heard_ns
        if (channel.waiting_since_ns and now_ns - channel.waiting_since_ns > <int64_t>STALLED_NS
                and not (self.partitions.count > 1 and channel.waits_for_journal())):    # others have frames on it, too
            hang_up_link(self.state, channel, _why_stalled(channel))
        elif channel.partial_since_ns and now_ns - channel.partial_since_ns > link.partial_timeout_ns:
            hang_up_link(self.state, channel, "frame was not finished in time")
        elif link.idle_timeout_ns and quiet_ns > link.idle_timeout_ns:
            hang_up_link(self.state, channel, "idle")
        elif channel.is_leaving or channel.network_transaction != TRANSACTION_NONE:
            return
        elif channel.retires_ns:
            if now_ns >= channel.retires_ns:
                sign_off_link(self.state, channel)
        elif channel.phase == PHASE_SIGNING_ON:
            send_network(self.state, channel, KIND_SIGN_ON)          # there was no room for it when it was due
        elif channel.phase == PHASE_READY and link.connections.state == LINK_SUSPENDED:
            send_network(self.state, channel, KIND_ECHO_TEST)
        elif channel.phase == PHASE_READY and link.echo_interval_ns and quiet_ns > link.echo_interval_ns:
            send_network(self.state, channel, KIND_ECHO_TEST)

    # --- connections of links -------------------------------------------------------------------------------------

    def retire(self, LinkChannel channel not None):
        """Give a connection nothing new, and sign off on it when what it was given has been answered or timed out."""
        retire_link(self.state, channel)
        self.state.deliver_notes()

    # --- keys ---------------------------------------------------------------------------------------------------

    def ask_for_key(self, LinkConnections connections not None, bytes choice not None):
        """Ask a link's issuer for a key; False when no connection is free for it.

        Args:
            connections: Those of the link.
            choice: Which key, as the dialect says it.
        """
        cdef bint is_asked = ask_for_key(self.state, connections, choice)
        self.state.deliver_notes()
        return is_asked

    def answer_key_offer(self, LinkChannel channel not None, bytes headers not None, bytes message not None,
                         int reason):
        """Answer a key that the issuer sent; whether the answer is on its way.

        Args:
            channel: As the link's key desk was given it, with headers and message.
            headers: Of the message.
            message: Without them.
            reason: Number of the reason; that of ``approved`` where the key was taken up.
        """
        cdef bint is_answered = answer_key_offer(self.state, channel, headers, message, reason)
        self.state.deliver_notes()
        return is_answered

    # --- originals ------------------------------------------------------------------------------------------------

    def take_wanted(self):
        """Originals, and claims, that have to be looked up: each is answered by ``settle``, whatever comes of it."""
        cdef list wanted = []
        cdef State state
        for state in self.partitions.states:
            wanted += take_wanted(state) + take_wanted_claims(state) + take_sought_claims(state)
        return wanted

    def settle(self, Wanted wanted not None, Original original, bint is_certain=True):
        """What a look-up has brought.

        Args:
            wanted: As ``take_wanted`` gave it.
            original: What was found; None: nothing.
            is_certain: Whether nothing means that there is no such original; else it could not be looked up.
        """
        settle(self.partitions.at(wanted.partition), wanted, original, is_certain)
        self.state.deliver_notes()

    # --- drain ----------------------------------------------------------------------------------------------------

    def drain(self):
        """Take no new work; what is in flight is finished. Repeats still get their stored answers."""
        cdef State state
        for state in self.partitions.states:
            state.draining = True

    def abandon_untold(self):
        """Give up terminals that leave answers unread: approvals among these are reversed."""
        for channel in self.terminals():
            if (<Channel>channel).waiting_bytes:
                (<Channel>channel).hang_up("draining")
        self.state.deliver_notes()

    def terminals(self):
        """The connections of terminals that are here."""
        return [channel for channel in self.channels.by_slot
                if isinstance(channel, TerminalChannel) and not (<Channel>channel).is_elsewhere]

    def lend_nothing(self):
        """Let other workers send nothing more on connections of links here; what they sent is still answered."""
        if self.mesh is not None:
            for peer in self.mesh.peers:
                (<Peer>peer).is_lent = False

    @property
    def carried(self):
        """Frames of other workers on connections of links here whose answers may still come in time."""
        cdef ElsewhereLink elsewhere
        cdef Peer peer
        cdef uint64_t count = 0
        if self.mesh is None:
            return 0
        for peer in self.mesh.peers:
            for elsewhere in peer.links:
                if self.state.calendar.now_ns - elsewhere.carried_ns < self.state.link_of(elsewhere).timeout_ns:
                    count += elsewhere.carried
        return count

    def sign_off(self):
        """Say goodbye on every link; each connection hangs up when the issuer has answered, or at its time-out."""
        for channel in list(self.channels.by_slot):
            if isinstance(channel, LinkChannel) and not (<Channel>channel).is_elsewhere:
                sign_off_link(self.state, <LinkChannel>channel)
        self.state.deliver_notes()

    @property
    def in_flight(self):
        """Requests and reversals that wait for an issuer, and requests that wait for their original."""
        return sum([in_flight(state) for state in self.partitions.states])

    @property
    def at_others(self):
        """Requests of terminals here that other workers have or that wait for these, and answers of theirs that have
        not left."""
        if self.mesh is None:
            return 0
        return sum([(<Peer>peer).under_way for peer in self.mesh.peers]) + sum(self.mesh.waiting_by_peer())

    @property
    def owed(self):
        """Reversals that no issuer has acknowledged yet."""
        return sum([(<State>state).saf.in_use for state in self.partitions.states])

    def open_claims(self):
        """Requests of other partitions that refer to an original here, and of which nobody has told what became of
        them: how many, and for how many seconds the oldest one. To be called every few seconds."""
        return (sum([len((<State>state).claims.open) for state in self.partitions.states]),
                max([oldest_claim_s(state) for state in self.partitions.states], default=0))


def full_tables(State state not None):
    """What is full just now in a partition, so that it can accept no payment: names of limits."""
    cdef list full = []
    if state.duplicates.held == state.duplicates.room:
        full.append("duplicate_window_count_max")
    if not has_saf_room(state, 1):
        full.append("reversals_max")
    if state.transactions.in_use == state.transactions.room:
        full.append("transactions_in_flight_max")
    return full


def in_flight(State state not None):
    """The same of one partition."""
    return sum([(<Link>link).waiting.count for link in state.links]) + state.inquiries.waiting.count
