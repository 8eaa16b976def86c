"""The thin layer between sockets and the state machine: asyncio protocols, and one write a loop turn a connection."""

from switch.engine cimport PROGRESS_DONE, PROGRESS_FULL, PROGRESS_MORE
from switch.listener cimport TerminalChannel
from switch.stats cimport stats_add

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, int *value)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    int SOL_SOCKET, SO_ERROR
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)

cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ

TICK_SECONDS = 0.01
ACKNOWLEDGED_POLL_SECONDS = 0.005
ACKNOWLEDGED_SECONDS_MAX = 3.0
"""How long the kernel of a peer that shut its side may take to acknowledge an answer."""

LINGER_SECONDS = 3.0
"""How long the last output of a connection that is to be closed may take to leave."""


cdef class Reactor:
    """Drives one engine from one event loop: moves its clock, lets its time pass, carries its output to transports.

    Args:
        engine: The state machine.
        loop: The running event loop.
        output_bytes_max: A connection that leaves more than this unread is cut.
    """

    def __init__(self, Engine engine, object loop, uint64_t output_bytes_max):
        self.engine = engine
        self.loop = loop
        self.output_bytes_max = output_bytes_max
        self._gated = []
        self._flush_callback = self.flush
        self.slow_consumers = engine.state.meters.stats.counter(
            "authswitch_slow_consumers_total", "Connections cut because their peer did not read.")

    def start(self):
        """Begin to let time pass."""
        self._timer = self.loop.call_later(TICK_SECONDS, self._tick)

    def stop(self):
        """Let no more time pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self):
        self._timer = self.loop.call_later(TICK_SECONDS, self._tick)
        self.engine.state.calendar.set_from_clock()
        self.engine.tick()
        self.flush()

    cdef void flush_soon(self):
        if not self._flush_is_due and self.engine.state.dirty:
            self._flush_is_due = True
            self.loop.call_soon(self._flush_callback)

    def flush(self):
        """Write what may leave now: once for each connection."""
        self._flush_is_due = False
        self.engine.state.journal.kick()
        cdef list channels = self.engine.state.dirty
        if channels:
            self.engine.state.dirty = []
            self.flush_channels(channels)

    def flush_gated(self):
        """The journal has become durable further: write what waited for it."""
        cdef list channels = self._gated
        if channels:
            self._gated = []
            self.flush_channels(channels)

    cdef void flush_channels(self, list channels):
        cdef Channel channel
        cdef Connection connection
        for channel in channels:
            channel.is_dirty = False
            connection = <Connection>channel.owner
            if connection is None:
                continue
            connection.flush()
            if (channel.waiting_bytes and not connection._write_is_paused and not channel.is_dirty
                    and not channel.shown):
                channel.is_dirty = True
                self._gated.append(channel)


cdef class Connection:
    """An asyncio protocol: one socket joined to one channel.

    Args:
        reactor: What drives the engine.
        channel: The state machine's side.
        on_open: Called with the connection when its socket stands; returns a reason to close it at once, or None.
        on_lost: Called with the connection and the reason when it is gone.
    """

    def __init__(self, Reactor reactor, Channel channel, object on_open=None, object on_lost=None):
        self.reactor = reactor
        self.channel = channel
        self._on_open = on_open
        self._on_lost = on_lost

    @property
    def was_open(self):
        """Whether the state machine ever knew this connection; not when it was refused at the door."""
        return self._was_open

    def connection_made(self, object transport):
        """The socket stands."""
        self.transport = transport
        refusal = self._on_open(self) if self._on_open is not None else None
        if refusal is not None:
            self._closing_reason = refusal
            transport.abort()
            return
        # Whatever the kernel does not take at once stays with the channel: only what has left counts as told.
        # (The limit is one byte, since uvloop's TLS takes nothing for reaching a limit of none.)
        transport.set_write_buffer_limits(high=1, low=0)
        self.channel.owner = self
        self._was_open = True
        self.reactor.engine.state.calendar.set_from_clock()
        self.reactor.engine.open(self.channel)
        self.reactor.flush_soon()

    def data_received(self, bytes data):
        """Bytes came in."""
        cdef const unsigned char *start = data
        if self.channel.owner is None or self._closing_reason is not None:
            return
        if self._chunk is not None and self.channel.stream.end() != 0:
            # The transport had more in hand when its reading was paused, more than is kept for one connection.
            self._closing_reason = "more than can be kept"
            self.transport.abort()
            return
        self.reactor.engine.state.calendar.set_from_clock()
        self._chunk = data
        self.carry_on(self.reactor.engine.receive(self.channel, start, len(data)))

    cdef void carry_on(self, int progress):
        """Go on with a chunk now, in a later turn, or after an answer; reading rests meanwhile."""
        if progress == PROGRESS_DONE:
            self._chunk = None
            self._is_full = False
            if self._is_resting:
                self._is_resting = False
                if not self.transport.is_closing():
                    self.transport.resume_reading()
        else:
            if not self._is_resting:
                self._is_resting = True
                self.transport.pause_reading()
            if progress == PROGRESS_MORE:
                self.reactor.loop.call_soon(self._go_on)
            self._is_full = progress == PROGRESS_FULL
        self.reactor.flush_soon()

    def _go_on(self):
        if self.channel.owner is None or self._chunk is None or self._closing_reason is not None:
            return
        self.reactor.engine.state.calendar.set_from_clock()
        self.carry_on(self.reactor.engine.receive(self.channel, NULL, 0))

    cdef void flush(self):
        cdef bytes output
        cdef TerminalChannel terminal
        if self._write_is_paused:
            if self.transport.get_write_buffer_size() + self.channel.waiting_bytes > self.reactor.output_bytes_max:
                stats_add(self.reactor.engine.state.meters.stats, self.reactor.slow_consumers, 1)
                self._closing_reason = "peer does not read"
                self.transport.abort()
            return
        if self.transport.is_closing():
            return                       # what waits in the channel was never told, and its end will say so
        if self._peer_is_done:
            self.flush_to_half_closed()
            return
        output = self.channel.take(<uint64_t>self.reactor.engine.state.journal.durable)
        if output is not None:
            self.transport.write(output)
        if self._closing_reason is not None:
            # Requests that were accepted are answered first; each of them ends in time.
            if self.channel.waiting_bytes == 0 and self.channel.in_flight == 0:
                self.transport.close()
                # The transport would wait for ever for a peer that does not read.
                self._linger = self.reactor.loop.call_later(LINGER_SECONDS, self._cut)
        elif self._is_full:
            terminal = <TerminalChannel>self.channel
            if terminal.in_flight < terminal.listener.in_flight_max:
                self._is_full = False
                self.reactor.loop.call_soon(self._go_on)

    def hang_up(self, str reason):
        """Close the connection when its requests are answered and its output has left."""
        if self._closing_reason is None:
            self._closing_reason = reason
        if self._write_is_paused:
            self.transport.abort()
            return
        if not self.channel.is_dirty:
            self.channel.is_dirty = True
            self.reactor.engine.state.dirty.append(self.channel)
        self.reactor.flush_soon()

    def _cut(self):
        if self.transport is not None:
            self.transport.abort()

    cdef void flush_to_half_closed(self):
        """Write to a peer that has shut its side, and keep the bytes until its kernel acknowledges them.

        Whether it only finished sending or is gone looks the same here, until bytes are sent: the kernel of one that is
        gone answers with a reset. Then the approvals among them were not told, and are reversed as the channel closes.
        """
        cdef bytes output
        if self.channel.shown:
            return
        output = self.channel.peek(<uint64_t>self.reactor.engine.state.journal.durable, &self.channel.shown)
        if output is not None:
            self._shown_at = self.reactor.loop.time()
            self.transport.write(output)
            self.reactor.loop.call_later(ACKNOWLEDGED_POLL_SECONDS, self._look_whether_acknowledged)
        elif self.channel.waiting_bytes == 0 and self.channel.in_flight == 0:
            self.transport.close()

    def _look_whether_acknowledged(self):
        cdef int on_the_way = 0
        cdef int error = 0
        cdef socklen_t size = sizeof(int)
        cdef int fd
        if self.channel.owner is None or self.transport.is_closing():
            return
        fd = self.transport.get_extra_info("socket").fileno()
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 or error != 0
                or ioctl(fd, SIOCOUTQ, &on_the_way) != 0
                or self.reactor.loop.time() - self._shown_at > ACKNOWLEDGED_SECONDS_MAX):
            self._closing_reason = "peer was gone before its answer"
            self.transport.abort()
        elif on_the_way or self.transport.get_write_buffer_size():
            self.reactor.loop.call_later(ACKNOWLEDGED_POLL_SECONDS, self._look_whether_acknowledged)
        else:
            self.channel.take_frames(self.channel.shown)
            self.channel.shown = 0
            self.reactor.engine.state.wake(self.channel)
            self.reactor.flush_soon()

    def eof_received(self):
        """The peer will send no more. A terminal may still wait for answers; a link has nobody left to answer it.

        With TLS there is no half-closed connection: the end of its stream is the end of both.
        """
        if (self._closing_reason is not None or self.channel.owner is None
                or not isinstance(self.channel, TerminalChannel)
                or self.transport.get_extra_info("ssl_object") is not None
                or (self.channel.in_flight == 0 and self.channel.waiting_bytes == 0)):
            return False
        self._peer_is_done = True
        return True

    def pause_writing(self):
        """The transport's buffer is full."""
        self._write_is_paused = True

    def resume_writing(self):
        """The transport's buffer has room again."""
        self._write_is_paused = False
        if self.channel.owner is not None:
            self.reactor.flush_channels([self.channel])          # what still waits for the journal is remembered there

    def connection_lost(self, object error):
        """The socket is gone."""
        reason = self._closing_reason or (str(error) if error is not None else "closed by peer")
        if self.channel.owner is not None:
            self.reactor.engine.state.calendar.set_from_clock()
            self.reactor.engine.close(self.channel)
            self.channel.owner = None
        self._chunk = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        on_lost, self._on_lost, self._on_open = self._on_lost, None, None
        if on_lost is not None:
            on_lost(self, reason)
        self.transport = None
        self.reactor.flush_soon()
