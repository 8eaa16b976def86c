"""The store of what issuers are owed, reversals and advices: kept until acknowledged, sent again with pauses."""

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from switch.base.invariant cimport ensure
from switch.base.live_counts cimport live
from switch.machine.handles cimport TRANSACTION_NONE, handle_in, slot_of
from switch.machine.request_record cimport RequestPart
from switch.machine.terminal_counts cimport TerminalCount

cdef enum:
    JITTER_PART = 8           # of a pause, at most so much longer: one eighth
    BUCKETS_LEAST = 1024
    ADVICES_A_BUCKET = 4      # when the store is full of them
    DUE_A_CALL = 8            # of equal pauses, that get in line again at one time
    STRANGERS_PICK = 4        # one pick in so many is a stranger's first

CAUSES = {
    CAUSE_UNKNOWN: None,
    CAUSE_TIMEOUT: "timeout",
    CAUSE_UNTOLD: "untold",
    CAUSE_TERMINAL: "terminal",
    CAUSE_RESTART: "restart",
    CAUSE_LATE: "late_approval",
    CAUSE_PARTIAL: "partial_approval",
    CAUSE_UNUSABLE: "unusable_answer",
    CAUSE_SETTLED: "settled",
    CAUSE_MISMATCH: "mismatched_answer",
    CAUSE_WITHHELD: "withheld",
}


cdef bint takes_back(int cause) noexcept nogil:
    return cause != CAUSE_SETTLED and cause != CAUSE_WITHHELD


# By ``Sought``: how long it waits until its original is looked up.
cdef int64_t[SOUGHT_END] SOUGHT_PAUSES_NS = [0, 1_000_000_000, 60_000_000_000]


@cython.final
cdef class SafQueue:
    """What one link is owed.

    Args:
        window: Reversals and advices at the issuer at one time, at most.
        pause_ms: Before the second attempt; doubled for each further one.
        pause_max_ms: The longest pause.
        alert_seconds: What is owed for longer than this is overdue.
        horizon_seconds: How long a request that was given up may still be booked by the issuer.
    """

    def __cinit__(self, uint32_t window, double pause_ms, double pause_max_ms, double alert_seconds=3600,
                  double horizon_seconds=0):
        cdef int level, lane
        self.window = window
        self.pause_ns = <int64_t>(pause_ms * 1e6)
        self.pause_max_ns = <int64_t>(pause_max_ms * 1e6)
        self.alert_ns = <int64_t>(alert_seconds * 1e9)
        self.horizon_ns = <int64_t>(horizon_seconds * 1e9)
        for lane in range(READY_LANES):
            self.ready.lane[lane].head = self.ready.lane[lane].tail = SAF_NONE
            self.strangers_ready.lane[lane].head = self.strangers_ready.lane[lane].tail = SAF_NONE
        self.deferred.head = self.deferred.tail = SAF_NONE
        for level in range(SOUGHT_END):
            self.sought[level].head = self.sought[level].tail = SAF_NONE
        for level in range(SAF_LEVELS):
            self.paused[level].head = self.paused[level].tail = SAF_NONE

    cdef ReadyLanes *_next_lanes(self) noexcept nogil:
        """Whose turn it is; NULL when nobody's. Reversals of what is not known here get half of the window at most, and
        the first place in one pick of some: nobody who asks for them holds up those that we owe."""
        cdef bint are_strangers = self.strangers_ready.filled and (
            self.strangers_at_issuer < max(self.window // 2, <uint32_t>1))
        if self.ready.filled == 0 and not are_strangers:
            return NULL
        self._picks += 1
        if self.ready.filled and not (are_strangers and self._picks % STRANGERS_PICK == 0):
            return &self.ready
        return &self.strangers_ready

    cdef int64_t _pause_of(self, uint32_t level) noexcept nogil:
        cdef int64_t pause_ns = self.pause_ns << level
        return pause_ns if pause_ns < self.pause_max_ns else self.pause_max_ns


@cython.final
cdef class SafStore:
    """All that is owed, of every link, in a pool of fixed size.

    Args:
        room: Places.
        terminals: Where what terminals asked for is counted.
    """

    def __cinit__(self, uint32_t room, TerminalCounts terminals not None):
        if not 1 <= room <= 10_000_000:
            raise ValueError(f"room for reversals is {room}, must be 1 to 10,000,000")
        self._advice_mask = BUCKETS_LEAST - 1
        while self._advice_mask < room // ADVICES_A_BUCKET:
            self._advice_mask = 2 * self._advice_mask + 1
        self._pool = <SafEntry *>calloc(room, sizeof(SafEntry))
        self._advice_buckets = <HandleSlot *>calloc(self._advice_mask + 1, sizeof(HandleSlot))
        if self._pool == NULL or self._advice_buckets == NULL:
            raise MemoryError
        self._terminals = terminals
        self.room = room
        self.referring = OpenReferences(room)

    def __dealloc__(self):
        cdef SafHandle number
        if self._pool != NULL:
            for number in range(self.room):
                free(self._pool[number].source)
        free(self._pool)
        free(self._advice_buckets)
        live.reversals -= self.in_use

    cdef SafHandle add(self, SafQueue queue, uint16_t link, uint32_t terminal, bint is_stranger,
                       const uint8_t *source, uint32_t size, int64_t now_ns) noexcept nogil:
        """Store a reversal, ready to be sent; SAF_NONE when the store is full or memory is short."""
        cdef SafHandle number = self._take(queue, link, terminal, is_stranger, source, size, 0, now_ns)
        if number != SAF_NONE and is_stranger:
            queue.strangers += 1
            self.strangers += 1
            self._count(&self._pool[number], 1)
        return number

    cdef SafHandle add_advice(self, SafQueue queue, uint16_t link, uint32_t terminal, const uint8_t *source,
                              uint32_t size, const void *request, uint32_t request_size, int64_t now_ns) noexcept nogil:
        """Store an advice, with what its record says of the terminal's request; as ``add``."""
        cdef SafHandle number = self._take(queue, link, terminal, False, source, size, request_size, now_ns)
        cdef SafEntry *advice
        cdef HandleSlot *bucket
        if number != SAF_NONE:
            advice = &self._pool[number]
            advice.is_advice = True
            advice.request = advice.source + size
            memcpy(advice.request, request, request_size)
            self.refer(number, (<RequestPart *>advice.request).refers_to)
            bucket = self._bucket((<RequestPart *>advice.request).terminal, (<RequestPart *>advice.request).stan)
            advice.next_advice = handle_in(bucket[0])
            bucket[0] = slot_of(number)
            queue.advices += 1
            self.advices += 1
            self._count(advice, 1)
        return number

    cdef uint32_t asked(self, uint32_t terminal) noexcept nogil:
        """How many advices, and reversals of what is not known here, are owed because this terminal asked for them."""
        return self._terminals.of[terminal].owed if terminal < self._terminals.count else 0

    cdef void _count(self, const SafEntry *entry, int more) noexcept nogil:
        cdef TerminalCount *count = &self._terminals.of[entry.terminal]
        if entry.terminal < self._terminals.count:
            ensure(more > 0 or count.owed > 0, b"what a terminal asked for is counted")
            count.owed += <uint32_t>more

    cdef SafHandle _take(self, SafQueue queue, uint16_t link, uint32_t terminal, bint is_stranger,
                         const uint8_t *source, uint32_t size, uint32_t extra, int64_t now_ns) noexcept nogil:
        if self.in_use == self.room:
            return SAF_NONE
        cdef uint8_t *copy = <uint8_t *>malloc(<size_t>size + extra)
        if copy == NULL:
            return SAF_NONE
        memcpy(copy, source, size)
        cdef SafHandle number = self._free
        cdef SafEntry *entry = &self._pool[number]
        ensure(number < self.room and number <= self.top, b"an entry that is free lies within the store")
        ensure(entry.state == SAF_FREE and entry.source == NULL, b"no entry of the store is given out twice")
        self._free = number + 1 + entry.next      # zeroed memory chains itself, as in the transaction pool
        memset(entry, 0, sizeof(SafEntry))
        entry.link = link
        entry.terminal = terminal
        entry.is_stranger = is_stranger
        entry.source = copy
        entry.source_size = size
        entry.stored_ns = now_ns
        entry.followed_by = SAF_NONE
        entry.late_request = TRANSACTION_NONE
        self.in_use += 1
        if number >= self.top:
            self.top = number + 1
        live.reversals += 1
        queue.depth += 1
        self._make_ready(queue, number)
        return number

    cdef SafEntry *at(self, SafHandle number) noexcept nogil:
        ensure(number < self.room, b"an entry's number lies within the store")
        return &self._pool[number]

    cdef SafHandle first_advice(self, const uint8_t *terminal, uint32_t stan) noexcept nogil:
        """The first of the advices, chained by ``next_advice``, among which are all of this terminal's request;
        SAF_NONE when there is none."""
        return handle_in(self._bucket(terminal, stan)[0])

    cdef HandleSlot *_bucket(self, const uint8_t *terminal, uint32_t stan) noexcept nogil:
        cdef uint64_t mixed
        memcpy(&mixed, terminal, sizeof(mixed))
        mixed = (mixed ^ stan * <uint64_t>0x9E3779B97F4A7C15) * <uint64_t>0xD6E8FEB86659FD93
        return self._advice_buckets + (<uint32_t>(mixed >> 32) & self._advice_mask)

    cdef void _unchain(self, SafHandle number) noexcept nogil:
        cdef const RequestPart *request = <const RequestPart *>self._pool[number].request
        ensure(request != NULL, b"an advice has its request")
        cdef HandleSlot *bucket = self._bucket(request.terminal, request.stan)
        cdef SafHandle before = handle_in(bucket[0])
        if before == number:
            bucket[0] = slot_of(self._pool[number].next_advice)
            return
        ensure(before < self.top, b"the bucket of an advice has one")
        while self._pool[before].next_advice != number:
            before = self._pool[before].next_advice
            ensure(before < self.top, b"an advice is in its bucket's chain")
        self._pool[before].next_advice = self._pool[number].next_advice

    cdef SafHandle next_ready(self, SafQueue queue, int64_t now_ns) noexcept nogil:
        """Take the next that may be sent now out of its list; SAF_NONE when none is due or the window is full.

        What is due again gets in line behind what its terminal is owed besides.
        """
        cdef int level
        cdef ReadyLanes *lanes
        if queue.at_issuer >= queue.window:
            return SAF_NONE
        for level in range(SAF_LEVELS):
            self._call_due(queue, &queue.paused[level], now_ns)
        self._call_due(queue, &queue.deferred, now_ns)
        lanes = queue._next_lanes()
        return SAF_NONE if lanes == NULL else self._pop_ready(lanes)

    cdef void _call_due(self, SafQueue queue, SafList *waiting, int64_t now_ns) noexcept nogil:
        """Let the first ones of a list whose time has come get in line."""
        cdef SafHandle number
        cdef int _
        for _ in range(DUE_A_CALL):
            number = waiting.head
            if number == SAF_NONE or self._pool[number].due_ns > now_ns:
                break
            self._unlink(waiting, number)
            self._make_ready(queue, number)

    cdef void at_issuer(self, SafQueue queue, SafHandle number) noexcept nogil:
        """It has been sent."""
        cdef SafEntry *entry = &self._pool[number]
        ensure(number < self.top and entry.state == SAF_READY, b"only an entry that was ready is sent")
        ensure(queue.at_issuer < queue.window, b"a link's window bounds what is at its issuer")
        ensure(queue.at_issuer <= self.all_at_issuer, b"a link's share of what is at issuers is a part of all")
        entry.state = SAF_AT_ISSUER
        entry.attempts += 1
        queue.at_issuer += 1
        self.all_at_issuer += 1
        queue.strangers_at_issuer += entry.is_stranger

    cdef void pause(self, SafQueue queue, SafHandle number, int64_t now_ns, uint64_t random) noexcept nogil:
        """The attempt brought no acknowledgement: wait for the next one.

        The pause is up to an eighth longer by ``random``, so that not all that failed together comes again together.
        What is due later than those behind it in the list holds them up by no more than that.
        """
        cdef int64_t pause_ns
        cdef SafEntry *entry = &self._pool[number]
        cdef uint32_t level = entry.attempts - 1 if entry.attempts else 0
        ensure(number < self.top and (entry.state == SAF_AT_ISSUER or entry.state == SAF_READY),
               b"only an attempt, or what was to be one, is followed by a pause")
        if level >= SAF_LEVELS:
            level = SAF_LEVELS - 1
        if entry.state == SAF_AT_ISSUER:
            self._leave_issuer(queue, entry)
        entry.state = SAF_PAUSED
        entry.level = <uint8_t>level
        pause_ns = queue._pause_of(level)
        entry.due_ns = now_ns + pause_ns + <int64_t>(random % <uint64_t>(pause_ns // JITTER_PART + 1))
        self._append(&queue.paused[level], number)

    cdef void _leave_issuer(self, SafQueue queue, const SafEntry *entry) noexcept nogil:
        ensure(queue.at_issuer > 0 and self.all_at_issuer > 0, b"what was at an issuer is counted")
        ensure(queue.strangers_at_issuer >= entry.is_stranger, b"a stranger that was at an issuer is counted")
        queue.at_issuer -= 1
        self.all_at_issuer -= 1
        queue.strangers_at_issuer -= entry.is_stranger

    cdef bint hasten(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Make one that is paused ready to be sent; whether it was paused."""
        cdef SafEntry *entry = &self._pool[number]
        if entry.state != SAF_PAUSED:
            return False
        self._unlink(&queue.paused[entry.level], number)
        self._make_ready(queue, number)
        return True

    cdef void seek(self, SafQueue queue, SafHandle number, int64_t now_ns, int when) noexcept nogil:
        """Let one that is ready, or whose look-up brought nothing certain, wait until its original was looked up. Those
        that are looked up rarely hold up none of the others."""
        cdef SafEntry *entry = &self._pool[number]
        ensure(when >= 0 and when < SOUGHT_END, b"a look-up has one of the pauses")
        if entry.state == SAF_READY:
            self._unready(queue, number)
        else:
            ensure(entry.state == SAF_SOUGHT and entry.inquiry != 0, b"only what was asked is sought again")
        entry.state = SAF_SOUGHT
        entry.inquiry = 0
        entry.level = <uint8_t>when
        entry.due_ns = now_ns + SOUGHT_PAUSES_NS[when]
        self._append(&queue.sought[entry.level], number)

    cdef SafHandle next_sought(self, SafQueue queue, int64_t now_ns, int64_t durable) noexcept nogil:
        """The one whose original has to be looked up now; SAF_NONE when there is none.

        Args:
            queue: Of its link.
            now_ns: The time.
            durable: The journal position up to which all is on the disk: what it may take back stands before it.
        """
        cdef SafHandle number
        cdef int level
        for level in range(SOUGHT_END):
            number = queue.sought[level].head
            if (number != SAF_NONE and self._pool[number].due_ns <= now_ns
                    and self._pool[number].position <= durable):
                return number
        return SAF_NONE

    cdef void take_sought(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Take one that is looked up now out of its list."""
        ensure(self._pool[number].state == SAF_SOUGHT, b"only what is sought is looked up")
        self._unlink(&queue.sought[self._pool[number].level], number)

    cdef void release(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Its original, of which somebody was asked, is not known: it is sent as its terminal says it."""
        ensure(number < self.top and self._pool[number].state == SAF_SOUGHT, b"only what was sought is released")
        self._make_ready(queue, number)

    cdef void refer(self, SafHandle number, int64_t original) noexcept nogil:
        """What it is of refers to this original: that is not taken back as long as this is owed."""
        ensure(self._pool[number].refers_to == 0, b"an entry refers to one original")
        self._pool[number].refers_to = original
        self.referring.begin(original)

    cdef void defer(self, SafQueue queue, SafHandle number, int64_t now_ns) noexcept nogil:
        """Let one that was to be sent next wait for what refers to its original; it gets in line again soon, so that
        it goes on however that ends."""
        ensure(number < self.top and self._pool[number].state == SAF_READY, b"only what was to be sent is deferred")
        self._pool[number].state = SAF_DEFERRED
        self._pool[number].due_ns = now_ns + DEFERRED_NS
        self._append(&queue.deferred, number)

    cdef void follow(self, SafQueue queue, SafHandle number, SafHandle advice) noexcept nogil:
        """Let a reversal that is ready wait until the advice that it takes back is closed."""
        ensure(number < self.top and self._pool[number].state == SAF_READY, b"only what is ready begins to wait")
        ensure(advice < self.top and self._pool[advice].is_advice and self._pool[advice].state != SAF_FREE,
               b"a reversal waits behind an advice that is owed")
        self._unready(queue, number)
        self._pool[number].state = SAF_BEHIND
        self._pool[advice].followed_by = number

    cdef void remove(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Close one that is not at the issuer and shall never be sent again."""
        cdef SafEntry *entry = &self._pool[number]
        cdef SafHandle advice
        ensure(number < self.top and entry.state != SAF_FREE, b"only what is owed is removed")
        if entry.state == SAF_READY:
            self._unready(queue, number)
        elif entry.state == SAF_PAUSED:
            self._unlink(&queue.paused[entry.level], number)
        elif entry.state == SAF_DEFERRED:
            self._unlink(&queue.deferred, number)
        elif entry.state == SAF_SOUGHT and entry.inquiry == 0:
            self._unlink(&queue.sought[entry.level], number)
        elif entry.state == SAF_BEHIND:
            for advice in range(self.top):
                if self._pool[advice].state != SAF_FREE and self._pool[advice].followed_by == number:
                    self._pool[advice].followed_by = SAF_NONE
        self.close(queue, number)

    cdef void close(self, SafQueue queue, SafHandle number) noexcept nogil:
        """It was acknowledged: nothing is owed any more, and what waited behind it is ready."""
        cdef SafEntry *entry = &self._pool[number]
        ensure(number < self.top and entry.state != SAF_FREE, b"no entry of the store is closed twice")
        ensure(self.in_use > 0 and queue.depth > 0, b"an entry that is closed is counted")
        if entry.state == SAF_AT_ISSUER:
            self._leave_issuer(queue, entry)
        if entry.followed_by != SAF_NONE:
            ensure(entry.followed_by < self.top and self._pool[entry.followed_by].state == SAF_BEHIND,
                   b"what follows an advice waits for it")
            self._make_ready(queue, entry.followed_by)
        self.referring.end(entry.refers_to)
        queue.depth -= 1
        if entry.is_stranger:
            ensure(queue.strangers > 0 and self.strangers > 0, b"a stranger that is closed is counted")
            queue.strangers -= 1
            self.strangers -= 1
            self._count(entry, -1)
        if entry.is_advice:
            self._unchain(number)
            ensure(queue.advices > 0 and self.advices > 0, b"an advice that is closed is counted")
            queue.advices -= 1
            self.advices -= 1
            self._count(entry, -1)
        free(entry.source)
        live.reversals -= 1
        entry.source = NULL
        entry.state = SAF_FREE
        entry.next = self._free - number - 1
        self._free = number
        self.in_use -= 1

    cdef void _make_ready(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Put one at the end of its terminal's lane."""
        cdef SafEntry *entry = &self._pool[number]
        cdef ReadyLanes *lanes = &queue.strangers_ready if entry.is_stranger else &queue.ready
        cdef uint32_t lane = entry.terminal % READY_LANES
        ensure(entry.state != SAF_READY and entry.state != SAF_AT_ISSUER, b"only what waits becomes ready")
        entry.state = SAF_READY
        self._append(&lanes.lane[lane], number)
        lanes.filled |= <uint32_t>1 << lane

    cdef void _unready(self, SafQueue queue, SafHandle number) noexcept nogil:
        """Take one that is ready out of its lane."""
        cdef SafEntry *entry = &self._pool[number]
        cdef ReadyLanes *lanes = &queue.strangers_ready if entry.is_stranger else &queue.ready
        cdef uint32_t lane = entry.terminal % READY_LANES
        ensure(lanes.filled >> lane & 1, b"a lane that has an entry is known as filled")
        self._unlink(&lanes.lane[lane], number)
        if lanes.lane[lane].head == SAF_NONE:
            lanes.filled &= ~(<uint32_t>1 << lane)

    cdef SafHandle _pop_ready(self, ReadyLanes *lanes) noexcept nogil:
        """The first one of the lane that comes next; one is filled."""
        cdef uint32_t lane = lanes.turn
        cdef SafHandle number
        cdef int _
        for _ in range(READY_LANES):
            lane = (lane + 1) % READY_LANES
            if lanes.filled >> lane & 1:
                break
        lanes.turn = lane
        number = lanes.lane[lane].head
        ensure(number < self.top and self._pool[number].state == SAF_READY, b"a filled lane has what is ready")
        self._unlink(&lanes.lane[lane], number)
        if lanes.lane[lane].head == SAF_NONE:
            lanes.filled &= ~(<uint32_t>1 << lane)
        return number

    cdef void _append(self, SafList *entries, SafHandle number) noexcept nogil:
        self._pool[number].next = SAF_NONE
        self._pool[number].previous = entries.tail
        if entries.tail == SAF_NONE:
            ensure(entries.head == SAF_NONE, b"a list of entries without an end is empty")
            entries.head = number
        else:
            ensure(self._pool[entries.tail].next == SAF_NONE, b"no entry follows the end of its list")
            self._pool[entries.tail].next = number
        entries.tail = number

    cdef void _unlink(self, SafList *entries, SafHandle number) noexcept nogil:
        cdef SafHandle next = self._pool[number].next
        cdef SafHandle previous = self._pool[number].previous
        if previous == SAF_NONE:
            ensure(entries.head == number, b"an entry that none precedes is its list's first")
            entries.head = next
        else:
            ensure(self._pool[previous].next == number, b"who precedes an entry points at it")
            self._pool[previous].next = next
        if next == SAF_NONE:
            ensure(entries.tail == number, b"an entry that none follows is its list's last")
            entries.tail = previous
        else:
            ensure(self._pool[next].previous == number, b"who follows an entry points at it")
            self._pool[next].previous = previous
