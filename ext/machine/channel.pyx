"""One connection as the state machine sees it: an identity, and bytes that wait to leave. No socket."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from switch.base.invariant cimport ensure
from switch.base.live_counts cimport live
from switch.machine.duplicate cimport OUTCOME_NONE

cdef enum:
    BUFFER_FIRST_BYTES = 512
    BUFFER_KEPT_BYTES = 4096          # an emptied buffer above this is given back
    DEPARTURES_FIRST = 8
    OWNER_BITS = 63                   # of an owner's number: two that share one wait for one another


cdef inline bint _may_leave(const Departure *departure) noexcept nogil:
    """Whether the record that a frame needs is durable."""
    return departure.position <= <uint64_t>departure.durable[0]


cdef inline bint _must_wait(const Departure *departure, uint64_t held) noexcept nogil:
    """Whether a frame waits where frames of the owners ``held``, a bit for each, wait before it."""
    return (not _may_leave(departure) or (held >> (departure.owner & OWNER_BITS)) & 1
            or (departure.passes_none and held != 0))


cdef class FrameOwner:

    cdef void has_left(self, Channel channel, const Departure *departure, bint is_known) noexcept:
        """A frame has left; ``is_known``: it was told, else nobody will ever know whether it was."""

    cdef bint is_owed(self, const Departure *departure) noexcept:
        """Whether it matters that a frame never leaves."""
        return False


@cython.final
cdef class StateOwner(FrameOwner):
    """One state machine, with its duplicate window and its journal."""

    def __init__(self, uint32_t number, DuplicateWindow outcomes not None, Journal journal not None):
        self.number = number
        self.outcomes = outcomes
        self.journal = journal
        self.durable = &journal.durable
        self.is_here = True

    cdef void has_left(self, Channel channel, const Departure *departure, bint is_known) noexcept:
        if departure.outcome != OUTCOME_NONE:
            self.outcomes.tell(departure.outcome, departure.serial)
        if departure.position and channel.is_of_terminal and is_known:
            self.journal.delivered(<int64_t>departure.position)

    cdef bint is_owed(self, const Departure *departure) noexcept:
        return departure.outcome != OUTCOME_NONE and self.outcomes.holds(departure.outcome, departure.serial)


cdef class Channel:
    """A connection without its socket. The I/O layer and the simulator hang their own upon ``hang_up``."""

    def __cinit__(self):
        self.slot = 0
        self.generation = 0
        self.is_open = False
        live.channels += 1

    def __dealloc__(self):
        live.channels -= 1
        live.output_bytes -= self._room
        free(self._out)
        free(self._departures)

    @property
    def waiting_bytes(self):
        """Bytes in the output buffer, whether they may leave yet or not."""
        return self._size

    cdef uint8_t *reserve(self, uint32_t room) noexcept:
        """Room for one frame at the end of the buffer; NULL when memory is short. Nothing is queued by it."""
        cdef uint32_t wanted = self._size + room
        cdef uint32_t grown
        cdef uint8_t *buffer
        if wanted > self._room:
            grown = self._room * 2 if self._room else BUFFER_FIRST_BYTES
            if grown < wanted:
                grown = wanted
            buffer = <uint8_t *>realloc(self._out, grown)
            if buffer == NULL:
                return NULL
            live.output_bytes += grown - self._room
            self._out = buffer
            self._room = grown
        return self._out + self._size

    cdef int depart(self, FrameOwner owner, uint32_t size, uint64_t position, uint32_t outcome,
                    int64_t now_ns) noexcept:
        """Queue the ``size`` bytes that were written at ``reserve``'s place; 0, or -1 when memory is short."""
        cdef Departure *departures
        cdef uint32_t room
        if self._departure_first + self._departure_count == self._departure_room:
            if self._departure_first > self._departure_room // 2:
                memmove(self._departures, self._departures + self._departure_first,
                        self._departure_count * sizeof(Departure))
                self._departure_first = 0
            else:
                room = self._departure_room * 2 if self._departure_room else DEPARTURES_FIRST
                departures = <Departure *>realloc(self._departures, room * sizeof(Departure))
                if departures == NULL:
                    return -1
                ensure(self._size <= self._room, b"frames that wait lie within their buffer")
                self._departures = departures
                self._departure_room = room
        self._size += size
        cdef Departure *departure = &self._departures[self._departure_first + self._departure_count]
        departure.position = position
        departure.end = self._size
        departure.owner = owner.number
        departure.durable = owner.durable
        departure.outcome = outcome
        departure.since_ns = now_ns
        departure.passes_none = False
        if outcome != OUTCOME_NONE:
            departure.serial = (<StateOwner>owner).outcomes.will_tell(outcome)
        if self._departure_count == 0:
            self.waiting_since_ns = now_ns
        self._departure_count += 1
        self.departed += 1
        departure.number = self.departed
        return 0

    cdef void stay_behind(self) noexcept:
        """Let the newest frame pass none: it says that no request comes after it."""
        ensure(self._departure_count > 0, b"a frame that stays behind has been queued")
        self._departures[self._departure_first + self._departure_count - 1].passes_none = True

    cdef bint withdraw(self, uint64_t number) noexcept:
        """Take a frame back, by the number that ``departed`` had when it was queued; False when it has left."""
        cdef uint32_t place = self._place_of(number)
        cdef uint32_t start, size, i
        cdef Departure *departure
        ensure(number <= self.departed, b"a frame that is withdrawn has departed")
        if place == self._departure_count:
            return False
        start = self._start_of(place)
        if start < self._left:
            return False
        departure = &self._departures[self._departure_first + place]
        ensure(start <= departure.end and departure.end <= self._size, b"a frame lies within its buffer")
        size = departure.end - start
        memmove(self._out + start, self._out + departure.end, self._size - departure.end)
        self._size -= size
        for i in range(place, self._departure_count):
            self._departures[self._departure_first + i].end -= size
        return True

    cdef uint32_t _place_of(self, uint64_t number) noexcept:
        """Where in the queue the frame with a number stands; behind its end when it has left."""
        cdef uint64_t gone = self.departed - self._departure_count
        cdef uint32_t place
        ensure(self._departure_count <= self.departed, b"no more frames wait than ever departed")
        if number > gone and self._departures[self._departure_first + (number - gone - 1)].number == number:
            return <uint32_t>(number - gone - 1)
        for place in range(self._departure_count):
            if self._departures[self._departure_first + place].number == number:
                return place
        return self._departure_count

    cdef uint32_t _start_of(self, uint32_t place) noexcept:
        """Offset in the buffer where a frame of the queue begins."""
        return self._departures[self._departure_first + place - 1].end if place else 0

    cdef bint waits_for_journal(self) noexcept:
        """Whether the oldest output may not leave yet, its record not being durable; else the peer does not read."""
        return self._departure_count > 0 and not _may_leave(&self._departures[self._departure_first])

    cdef const uint8_t *next_output(self, uint32_t *size) noexcept:
        """The bytes that may leave and have not: those of frames whose journal positions are durable."""
        cdef uint32_t end = self._left
        cdef uint32_t place = 0
        cdef Departure *departure
        while place < self._departure_count:
            departure = &self._departures[self._departure_first + place]
            if not _may_leave(departure):
                if len(self.owners) == 1 or not self._bring_forward(place):
                    break
                continue
            end = departure.end
            place += 1
        size[0] = end - self._left if end > self._left else 0
        return self._out + self._left

    cdef bint _bring_forward(self, uint32_t first) noexcept:
        """Let frames that may leave pass the one at the place ``first``, which must wait for the journal of its state
        machine, and those like it: a disk that stands still holds up nobody else's frames. Frames of one state machine
        keep their order. False where none may pass, or memory is short."""
        cdef Departure *queue = self._departures + self._departure_first
        cdef uint32_t start = self._start_of(first)
        cdef uint32_t count = self._departure_count - first
        cdef uint64_t held = 0                    # bit n: frames of owner n wait
        cdef uint32_t passing = 0
        cdef uint32_t ready_end = start
        cdef uint32_t waiting_size = 0
        cdef uint32_t waiting = 0
        cdef uint32_t begin = start
        cdef uint32_t size, i
        cdef Departure departure
        cdef uint8_t *aside
        cdef Departure *aside_queue
        ensure(start >= self._left, b"a frame that must wait has not begun to leave")
        for i in range(first, self._departure_count):
            if _must_wait(&queue[i], held):
                held |= <uint64_t>1 << (queue[i].owner & OWNER_BITS)
            else:
                passing += 1
        if passing == 0:
            return False
        aside = <uint8_t *>malloc(count * sizeof(Departure) + self._size - start)
        if aside == NULL:
            return False
        aside_queue = <Departure *>aside
        aside += count * sizeof(Departure)
        held = 0
        for i in range(first, self._departure_count):
            departure = queue[i]
            size = departure.end - begin
            if _must_wait(&departure, held):
                held |= <uint64_t>1 << (departure.owner & OWNER_BITS)
                memcpy(aside + waiting_size, self._out + begin, size)
                waiting_size += size
                aside_queue[waiting] = departure
                aside_queue[waiting].end = waiting_size
                waiting += 1
            else:
                memmove(self._out + ready_end, self._out + begin, size)
                ready_end += size
                queue[i - waiting] = departure
                queue[i - waiting].end = ready_end
            begin = departure.end
        memcpy(self._out + ready_end, aside, waiting_size)
        for i in range(waiting):
            aside_queue[i].end += ready_end
            queue[first + passing + i] = aside_queue[i]
        free(<void *>aside_queue)
        ensure(ready_end + waiting_size == self._size, b"no byte is lost when frames pass others")
        self.waiting_since_ns = queue[0].since_ns
        return True

    cdef const uint8_t *next_frame(self, uint32_t *size) noexcept:
        """The first frame that may leave and has not, whole; NULL when there is none. For who carries frames one by
        one, each followed by ``note_left`` of its size."""
        cdef uint32_t ready
        cdef const uint8_t *output = self.next_output(&ready)
        cdef uint32_t place = 0
        size[0] = 0
        if ready == 0:
            return NULL
        while self._departures[self._departure_first + place].end <= self._left:
            place += 1
        size[0] = self._departures[self._departure_first + place].end - self._left
        return output

    cdef uint32_t waiting_frames(self) noexcept:
        """Frames that have not left, or are not settled."""
        return self._departure_count

    cdef bint has_more_to_send(self) noexcept:
        """Whether bytes have not left yet, be it that they must wait for the journal."""
        return self._size > self._left

    cdef void note_left(self, uint32_t size) noexcept:
        """So many more bytes have left; their frames are kept, and their approvals untold, until ``settle``."""
        ensure(size <= self._size - self._left, b"no more bytes leave than waited")
        self._left += size

    cdef void settle(self) noexcept:
        """Drop the frames that have left whole: what they said is told."""
        self.settle_some(self._departure_count, True)

    cdef void settle_some(self, uint32_t most, bint is_known) noexcept:
        """The same of the first ``most`` of them; where not ``is_known``, nobody will ever know whether it was told."""
        cdef uint32_t count = 0
        cdef uint32_t released = 0
        cdef uint32_t i
        cdef Departure *departure
        cdef FrameOwner owner
        while count < self._departure_count and count < most:
            departure = &self._departures[self._departure_first + count]
            if departure.end > self._left:
                break
            owner = <FrameOwner>self.owners[departure.owner]
            if owner.is_here:                 # nearly all are: this call is bound when it is compiled
                (<StateOwner>owner).has_left(self, departure, is_known)
            else:
                owner.has_left(self, departure, is_known)
            released = departure.end
            count += 1
        if count == 0:
            return
        self._departure_first += count
        self._departure_count -= count
        self._size -= released
        self._left -= released
        if self._departure_count == 0:
            ensure(self._size == 0 and self._left == 0, b"no bytes are left when all frames have")
            self._departure_first = 0
            self.waiting_since_ns = 0
            self._give_back()
        else:
            self.waiting_since_ns = self._departures[self._departure_first].since_ns
            memmove(self._out, self._out + released, self._size)
            for i in range(self._departure_count):
                ensure(self._departures[self._departure_first + i].end >= released, b"frames stand in their order")
                self._departures[self._departure_first + i].end -= released

    cdef bytes take(self):
        """The bytes that may leave, as one object, and as good as gone; None when there are none."""
        cdef uint32_t size
        cdef const uint8_t *output = self.next_output(&size)
        cdef bytes taken = PyBytes_FromStringAndSize(<const char *>output, size) if size else None
        self.note_left(size)
        self.settle()
        return taken

    cdef uint32_t next_undelivered(self, uint32_t *owner) noexcept:
        """Drop frames that have not left up to one that told of an approval, and give its outcome, and the number of
        the state machine in whose duplicate window that is; OUTCOME_NONE at the end."""
        cdef Departure *departure
        cdef FrameOwner teller
        while self._departure_count:
            ensure(self._departure_first < self._departure_room, b"a departure lies within its array")
            departure = &self._departures[self._departure_first]
            self._departure_first += 1
            self._departure_count -= 1
            teller = <FrameOwner>self.owners[departure.owner]
            if teller.is_owed(departure):
                owner[0] = departure.owner
                return departure.outcome
        self._departure_first = 0
        self._size = 0
        self._left = 0
        return OUTCOME_NONE

    cdef void _give_back(self) noexcept:
        if self._room > BUFFER_KEPT_BYTES:
            free(self._out)
            live.output_bytes -= self._room
            self._out = NULL
            self._room = 0

    cdef void hang_up(self, str reason) noexcept:
        """Ask the owner to close the connection once its output has left."""
        self.is_leaving = True
        if self.owner is not None:
            self.owner.hang_up(reason)
