"""The layer between sockets and the state machine: one epoll set, one read and one write a loop turn a connection."""

import os
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno
from switch.base.invariant cimport ensure
from switch.base.stats cimport stats_add
from switch.io.follower cimport Follower
from switch.io.sockets cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP,
    MSG_NOSIGNAL, close, epoll_create1, epoll_ctl, epoll_wait, recv, send, unacknowledged_bytes,
)
from switch.machine.listener cimport TerminalChannel
from switch.path.engine cimport PROGRESS_DONE, PROGRESS_MORE

TICK_SECONDS = 0.01
ACKNOWLEDGED_POLL_SECONDS = 0.005
ACKNOWLEDGED_SECONDS_MAX = 3.0
"""How long the kernel of a peer that shut its side may take to acknowledge an answer."""

LINGER_SECONDS = 3.0
"""How long the last output of a connection that is to be closed may take to leave."""


cdef class Reactor:
    """Drives one engine from one event loop: moves its clock, lets its time pass, carries bytes in and out.

    Args:
        engine: The state machine.
        loop: The running event loop.
        output_bytes_max: A connection that leaves more than this unread is cut.

    Raises:
        OSError: no epoll set can be had.
    """

    def __cinit__(self):
        self._epoll = -1

    def __init__(self, Engine engine, object loop, uint64_t output_bytes_max):
        self.engine = engine
        self.loop = loop
        self.output_bytes_max = output_bytes_max
        self._watched = set()
        self._unfinished, self._gated, self._ended, self.followers = [], [], [], []
        self._turn_callback = self.turn
        self._bytes = <uint8_t *>PyMem_Malloc(READ_BYTES)
        self._deciphered = <uint8_t *>PyMem_Malloc(READ_BYTES)
        if self._bytes == NULL or self._deciphered == NULL:
            raise MemoryError
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll < 0:
            raise OSError(errno, os.strerror(errno))
        self.slow_consumers = engine.state.meters.stats.counter(
            "authswitch_slow_consumers_total", "Connections cut because their peer did not read.")

    def __dealloc__(self):
        if self._epoll >= 0:
            close(self._epoll)
        PyMem_Free(self._bytes)
        PyMem_Free(self._deciphered)

    def start(self):
        """Listen to connections, and begin to let time pass."""
        self.loop.add_reader(self._epoll, self._turn_callback)
        self._timer = self.loop.call_later(TICK_SECONDS, self._tick)

    def stop(self):
        """Close what stands, and let no more time pass."""
        cdef Connection connection
        for connection in list(self._watched):
            connection.abort("the switch ends")
        self.end_turn()
        self.engine.state.deliver_notes()
        self.loop.remove_reader(self._epoll)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn(self):
        """Hear those who have something to say, and those who were not finished; then write what may leave."""
        cdef list unfinished = self._unfinished
        cdef Connection connection
        cdef int count, i
        self._turn_is_due = False
        self._is_in_turn = True
        self._unfinished = []
        self.engine.state.calendar.set_from_clock()
        count = epoll_wait(self._epoll, self._events, EVENTS_A_TURN, 0)
        for i in range(count):
            (<Connection>self._events[i].data.ptr).handle(self._events[i].events)
        for connection in unfinished:
            connection.go_on()
        self.end_turn()
        self.engine.state.deliver_notes()

    def _tick(self):
        self._timer = self.loop.call_later(TICK_SECONDS, self._tick)
        self.engine.state.calendar.set_from_clock()
        self.engine.pass_time()
        self.end_turn()
        self.engine.state.deliver_notes()

    cdef void end_turn(self) noexcept:
        """Write what may leave, and close what has ended; nothing is closed before all who were ready were heard."""
        cdef list ended
        cdef Connection connection
        self._is_in_turn = True
        self.flush_dirty()
        while self._ended:
            ended = self._ended
            self._ended = []
            for connection in ended:
                connection.conclude()
            self.flush_dirty()
        self._tell_followers()
        self._is_in_turn = False
        if self._unfinished:
            self.turn_soon()

    cdef void turn_soon(self):
        """See to it that another turn comes, though no socket may ask for one."""
        if not self._is_in_turn and not self._turn_is_due:
            self._turn_is_due = True
            self.loop.call_soon(self._turn_callback)

    def flush(self):
        """Write what may leave now: once for each connection."""
        self.flush_dirty()
        self._tell_followers()

    def flush_gated(self):
        """The journal has become durable further: write what waited for it."""
        channels, self._gated = self._gated, []
        self.engine.flush_gated()
        self.flush_channels(channels)
        self._tell_followers()

    cdef void _tell_followers(self) noexcept:
        cdef Follower follower
        for follower in self.followers:
            follower.end_turn()

    cdef void flush_dirty(self):
        self.engine.kick()
        self.flush_channels(self.engine.take_dirty())

    cdef void flush_channels(self, list channels):
        cdef Channel channel
        cdef Connection connection
        for channel in channels:
            channel.is_dirty = False
            connection = channel.owner
            if connection is None:
                continue
            connection.flush()
            if (channel.has_more_to_send() and connection._output == OUTPUT_FLOWING
                    and not connection._has_ended() and not channel.is_dirty):
                channel.is_dirty = True
                self._gated.append(channel)

    cdef int watch(self, Connection connection) except -1:
        """Have a connection's socket in the epoll set."""
        cdef epoll_event event
        # Edges only: each arrival is told once, and room to write only when the kernel had none.
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        event.data.ptr = <void *>connection
        if epoll_ctl(self._epoll, EPOLL_CTL_ADD, connection._fd, &event) != 0:
            raise OSError(errno, os.strerror(errno))
        self._watched.add(connection)
        return 0

    cdef void forget(self, Connection connection):
        cdef epoll_event event
        epoll_ctl(self._epoll, EPOLL_CTL_DEL, connection._fd, &event)
        self._watched.discard(connection)


cdef class Connection:
    """One socket joined to one channel.

    Args:
        reactor: What drives the engine.
        channel: The state machine's side.
        on_open: Called with the connection when it stands; returns a reason to close it at once, or None.
        on_lost: Called with the connection and the reason when one that stood is gone.
    """

    def __cinit__(self):
        self._fd = -1

    def __init__(self, Reactor reactor, Channel channel, object on_open=None, object on_lost=None):
        self.reactor = reactor
        self.channel = channel
        self._on_open = on_open
        self._on_lost = on_lost

    def __dealloc__(self):
        if self._fd >= 0:
            close(self._fd)

    @property
    def was_open(self):
        """Whether the state machine ever knew this connection; not when it was refused at the door."""
        return self._state == CONNECTION_OPEN or self._state == CONNECTION_CUT

    # --- its beginning --------------------------------------------------------------------------------------------

    def open(self, int fd):
        """Take over a connected, non-blocking socket, of plain TCP.

        Raises:
            OSError: it cannot be watched; it is closed.
        """
        self._take_over(fd)
        self._begin()
        self.reactor.turn_soon()

    def secure(self, int fd, TlsStream tls):
        """Take over a connected, non-blocking socket, and begin the TLS handshake on it.

        Returns:
            A future that is done when the connection is open, or has the ``OSError`` for which the handshake failed.

        Raises:
            OSError: it cannot be watched; it is closed.
        """
        self._take_over(fd)
        self.tls = tls
        handshake = self._handshake = self.reactor.loop.create_future()
        self._state = CONNECTION_SHAKING
        self._expect_input(INPUT_MORE)
        self._go_on_next_turn()
        self.reactor.turn_soon()
        return handshake

    cdef int _take_over(self, int fd) except -1:
        ensure(self._fd < 0 and self._state == CONNECTION_NEW, b"a connection takes one socket")
        self._fd = fd
        try:
            self.reactor.watch(self)
        except OSError:
            close(fd)
            self._fd = -1
            raise
        return 0

    cdef int _begin(self) except -1:
        cdef object refusal = None if self._on_open is None else self._on_open(self)
        if refusal is not None:
            self._cut(refusal)
            return 0
        ensure(self._state == CONNECTION_NEW or self._state == CONNECTION_SHAKING, b"a connection opens once")
        self.channel.owner = self
        self._state = CONNECTION_OPEN
        self.reactor.engine.state.calendar.set_from_clock()
        self.reactor.engine.begin(self.channel)
        return 0

    cdef int _shake_hands(self) except -1:
        cdef object handshake = self._handshake
        cdef bint is_done
        try:
            is_done = self.tls.shake_hands()
        except OSError as error:
            self._send_ciphertext()              # what was wrong, if it listens
            if not handshake.done():
                handshake.set_exception(error)
            self._cut("handshake failed")
            return 0
        self._send_ciphertext()
        # Who spoke last may have reset the connection behind it.
        if is_done and not self._has_ended():
            self._handshake = None
            self._begin()
            if not handshake.done():
                handshake.set_result(None)
        return 0

    # --- what comes in --------------------------------------------------------------------------------------------

    cdef void handle(self, uint32_t events) noexcept:
        """The socket is ready."""
        cdef bint is_idle = self._input == INPUT_NOTHING
        if self._has_ended():
            return
        try:
            if events & EPOLLOUT and self._output == OUTPUT_PAUSED:
                self._output = OUTPUT_FLOWING
                if self._state == CONNECTION_SHAKING:
                    self._send_ciphertext()
                else:
                    self.reactor.engine.state.channels.wake(self.channel)
            if self._input == INPUT_ENDED:
                if events & (EPOLLHUP | EPOLLERR):
                    self._cut("peer was gone before its answer")
            elif events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                self._expect_input(INPUT_LAST if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) else INPUT_MORE)
                if is_idle and self._backlog == BACKLOG_NONE:
                    self._go_on()                # else its turn comes
        except Exception as error:
            self._fail(error)

    cdef void go_on(self) noexcept:
        """Its turn has come, with what was left."""
        if self._has_ended():
            return
        try:
            self._go_on()
        except Exception as error:
            self._fail(error)

    cdef int _go_on(self) except -1:
        if self._backlog == BACKLOG_NONE:
            self._read()
        elif self._closing_reason is not None:
            self._backlog = BACKLOG_NONE         # what it said last is not looked at
        else:
            self._progress(self.reactor.engine.receive(self.channel, NULL, 0))
        if ((self._input == INPUT_MORE or self._input == INPUT_LAST) and self._backlog == BACKLOG_NONE
                and not self._has_ended()):
            self._go_on_next_turn()
        return 0

    cdef int _go_on_next_turn(self) except -1:
        """To be called once a turn: where input is expected or a backlog is for the next turn, and nowhere else."""
        self.reactor._unfinished.append(self)
        return 0

    cdef void _expect_input(self, InputState state) noexcept:
        """Bytes may have come; that they are the last is not forgotten."""
        if self._input != INPUT_LAST:
            self._input = state

    cdef int _read(self) except -1:
        cdef uint8_t *received = self.reactor._bytes
        cdef ssize_t size
        ensure(self._input != INPUT_ENDED and self._backlog == BACKLOG_NONE, b"nothing is read behind the end")
        if self.tls is not None and self._state == CONNECTION_OPEN and self.tls.is_behind():
            return self._decipher()
        size = recv(self._fd, received, READ_BYTES, 0)
        if size > 0:
            # Fewer bytes than there is room for are all that there were.
            if size < READ_BYTES and self._input == INPUT_MORE:
                self._input = INPUT_NOTHING
            if self.tls is None:
                return self._take_in(received, <size_t>size)
            self.tls.feed(received, <int>size)
            if self._state == CONNECTION_SHAKING:
                self._shake_hands()
            return self._decipher() if self._state == CONNECTION_OPEN else 0
        if size == 0:
            return self._end_of_input()
        if errno == EAGAIN:
            self._input = INPUT_NOTHING
            # A client speaks first.
            return self._shake_hands() if self._state == CONNECTION_SHAKING else 0
        return 0 if errno == EINTR else self._cut(os.strerror(errno))

    cdef int _decipher(self) except -1:
        cdef Py_ssize_t size
        try:
            size = self.tls.read(self.reactor._deciphered, READ_BYTES)
        except OSError as error:
            self._send_ciphertext()
            return self._cut(str(error))
        self._send_ciphertext()                  # such as an answer to a change of keys
        if self.tls.is_behind():
            self._expect_input(INPUT_MORE)
        if size:
            self._take_in(self.reactor._deciphered, <size_t>size)
        return self._end_of_input() if self.tls.has_ended else 0

    cdef int _take_in(self, const uint8_t *data, size_t size) except -1:
        if self._closing_reason is not None:
            return 0
        return self._progress(self.reactor.engine.receive(self.channel, data, size))

    cdef int _progress(self, int progress) except -1:
        """Go on with what was read in a later turn, or after an answer; nothing is read meanwhile."""
        if progress == PROGRESS_DONE:
            self._backlog = BACKLOG_NONE
            return 0
        if self.channel.stream.end() != 0:
            return self._cut("more than can be kept")
        if progress == PROGRESS_MORE:
            self._backlog = BACKLOG_NEXT_TURN
            return self._go_on_next_turn()
        self._backlog = BACKLOG_FULL
        return 0

    cdef int _end_of_input(self) except -1:
        """The peer will send no more. A terminal may still wait for answers; a link has nobody left to answer it.

        With TLS there is no half-closed connection: the end of its stream is the end of both.
        """
        if (self._closing_reason is not None or self.tls is not None
                or not isinstance(self.channel, TerminalChannel)
                or (self.channel.in_flight == 0 and self.channel.waiting_bytes == 0)):
            return self._cut("closed by peer")
        self._input = INPUT_ENDED
        return 0

    # --- what goes out --------------------------------------------------------------------------------------------

    cdef void flush(self) noexcept:
        """Write what may leave, and see what follows from its having left."""
        if self._has_ended():
            return                               # what waits in the channel was never told, and its end will say so
        try:
            self._flush()
        except Exception as error:
            self._fail(error)

    cdef int _flush(self) except -1:
        cdef TerminalChannel terminal
        if self._output == OUTPUT_FLOWING:
            if self.tls is None:
                self._send_channel()
            else:
                self._send_enciphered()
        if self._has_ended():
            return 0
        if self._output == OUTPUT_PAUSED:
            if self.channel.waiting_bytes > self.reactor.output_bytes_max:
                stats_add(self.reactor.engine.state.meters.stats, self.reactor.slow_consumers, 1)
                self._cut("peer does not read")
            elif self._closing_reason is not None and self._linger is None:
                self._linger = self.reactor.loop.call_later(LINGER_SECONDS, self.abort, "peer does not read")
            return 0
        if self._closing_reason is not None or self._input == INPUT_ENDED:
            # Requests that were accepted are answered first; each of them ends in time.
            if self.channel.waiting_bytes == 0 and self.channel.in_flight == 0:
                self._finish()
        if self._backlog == BACKLOG_FULL:
            terminal = <TerminalChannel>self.channel
            if terminal.in_flight < terminal.listener.in_flight_max:
                self._backlog = BACKLOG_NEXT_TURN
                self._go_on_next_turn()
                self.reactor.turn_soon()
        return 0

    cdef Py_ssize_t _send(self, const uint8_t *data, size_t size) except -1:
        """Bytes that the kernel took; when it had no room for all, it will say when there is."""
        cdef ssize_t sent
        while True:
            sent = send(self._fd, data, size, MSG_NOSIGNAL)
            if sent >= 0:
                self._output = OUTPUT_FLOWING if <size_t>sent == size else OUTPUT_PAUSED
                return sent
            if errno == EAGAIN:
                self._output = OUTPUT_PAUSED
                return 0
            if errno != EINTR:
                self._cut(os.strerror(errno))
                return 0

    cdef int _send_channel(self) except -1:
        """Write from the channel's own buffer. Only what has left counts as told."""
        cdef uint32_t size
        cdef const uint8_t *output = self.channel.next_output(&size)
        if size:
            self.channel.note_left(<uint32_t>self._send(output, size))
        if self._input != INPUT_ENDED:
            self.channel.settle()
        elif size and not self._has_ended():
            self._await_acknowledgement()
        return 0

    cdef int _send_enciphered(self) except -1:
        """The same through TLS, one record after the other: of one that has left in part nothing can be read."""
        cdef uint32_t size
        cdef const uint8_t *output
        self._send_ciphertext()
        while self._ciphertext is None and not self._has_ended():
            self.channel.settle()
            output = self.channel.next_output(&size)
            if size == 0:
                break
            size = min(size, <uint32_t>TLS_RECORD_BYTES)
            try:
                self.tls.write(output, size)
            except OSError as error:
                return self._cut(str(error))
            self.channel.note_left(size)
            self._send_ciphertext()
        return 0

    cdef int _send_ciphertext(self) except -1:
        cdef const uint8_t *output = self.reactor._bytes
        cdef Py_ssize_t size, sent
        if self._output == OUTPUT_PAUSED:
            return 0
        if self._ciphertext is not None:
            sent = self._send(<const uint8_t *>self._ciphertext, len(self._ciphertext))
            self._ciphertext = self._ciphertext[sent:] if sent < len(self._ciphertext) else None
        while self._ciphertext is None and not self._has_ended():
            size = self.tls.take_output(self.reactor._bytes, READ_BYTES)
            if size == 0:
                break
            sent = self._send(output, size)
            if sent < size:
                self._ciphertext = output[sent:size]
        return 0

    cdef int _await_acknowledgement(self) except -1:
        """Keep what was written to a peer that has shut its side until its kernel acknowledges it.

        Whether it only finished sending or is gone looks the same here, until bytes are sent: the kernel of one that is
        gone answers with a reset. Then the approvals among them were not told, and are reversed as the channel closes.
        """
        self._shown_at = self.reactor.loop.time()
        if self._acknowledgement is None:
            self._look_later()
        return 0

    cdef int _look_later(self) except -1:
        self._acknowledgement = self.reactor.loop.call_later(ACKNOWLEDGED_POLL_SECONDS, self._look_whether_acknowledged)
        return 0

    def _look_whether_acknowledged(self):
        cdef int on_the_way
        self._acknowledgement = None
        if self._has_ended():
            return
        on_the_way = unacknowledged_bytes(self._fd)
        if on_the_way < 0 or self.reactor.loop.time() - self._shown_at > ACKNOWLEDGED_SECONDS_MAX:
            self._cut("peer was gone before its answer")
        elif on_the_way:
            self._look_later()
        else:
            self.channel.settle()
            self.reactor.engine.state.channels.wake(self.channel)
            self.reactor.turn_soon()

    # --- its end --------------------------------------------------------------------------------------------------

    cdef bint _has_ended(self) noexcept:
        """It is closed, or will be when the turn ends."""
        return self._state == CONNECTION_CUT or self._state == CONNECTION_REFUSED

    def hang_up(self, str reason):
        """Close the connection when its requests are answered and its output has left."""
        if self._closing_reason is None:
            self._closing_reason = reason
        if self._output == OUTPUT_PAUSED:
            self._cut(reason)
            return
        self.reactor.engine.state.channels.wake(self.channel)
        self.reactor.turn_soon()

    def abort(self, str reason):
        """Close the connection whatever waits; what it was not told counts as that. One without a socket stays so."""
        self._cut(reason)

    cdef int _finish(self) except -1:
        """All has left."""
        if self.tls is not None:
            self.tls.say_goodbye()
            self._send_ciphertext()
        return self._cut("closed by peer")

    cdef int _cut(self, str reason) except -1:
        if self._closing_reason is None:
            self._closing_reason = reason
        if self._fd >= 0 and not self._has_ended():
            self._state = CONNECTION_CUT if self._state == CONNECTION_OPEN else CONNECTION_REFUSED
            self.reactor._ended.append(self)
            self.reactor.turn_soon()
        return 0

    cdef void _fail(self, object error):
        """A mistake of ours ends this connection, and no other."""
        self.reactor.loop.call_exception_handler({"message": "connection failed", "exception": error})
        self._cut("failed")

    cdef void conclude(self) noexcept:
        """The socket is closed, and everybody told."""
        cdef object handshake = self._handshake
        cdef object on_lost = self._on_lost if handshake is None else None
        ensure(self._has_ended() and self._fd >= 0, b"a connection is closed once, when it has ended")
        self.reactor.forget(self)
        close(self._fd)
        self._fd = -1
        self.tls = None
        self._ciphertext = None
        self._on_open = self._on_lost = self._handshake = None
        try:
            if handshake is not None and not handshake.done():
                handshake.set_exception(ConnectionError(f"the handshake was not finished: {self._closing_reason}"))
            if self._linger is not None:
                self._linger.cancel()
                self._linger = None
            if self.channel.owner is self:
                self.reactor.engine.end(self.channel)
                self.channel.owner = None
            if on_lost is not None:
                on_lost(self, self._closing_reason)
        except Exception as error:
            self._fail(error)
