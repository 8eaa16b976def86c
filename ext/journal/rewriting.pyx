"""Records of old partitions' journals written into those of new ones, with all that they refer to.

A record goes where its terminal belongs, or what it refers to has gone. It is composed anew: positions are those of the
new journal, links and listeners have its numbers. What refers to a record that was not taken along is left behind.

A void, refund or completion that is parted from its original claims it from now on: a CLAIM, and what became of the
request, stand before it. What was a claim stays one, also where both come together: so it counts once, wherever it is.
"""

from array import array

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.journal.record_time cimport stamp_record
from switch.journal.records cimport (
    DELIVERED_MAX, RECORD_ADVICE, RECORD_ATTEMPT, RECORD_BYTES_MAX, RECORD_CANCELLED, RECORD_CLAIM,
    RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_DELIVERED, RECORD_INTENT, RECORD_LATE, RECORD_NUMBERS, RECORD_OUTCOME,
    RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED, RECORD_RULED, RECORD_UNFOUND, REVERSAL_REFERS, AdvicePart,
    AttemptPart, CancelledPart, ClaimStatePart, ClaimedPart, ClosedPart, DetailPart, IntentPart, LatePart, OutcomePart,
    RecordHead, RefersPart, ReversalPart, ReversedPart, RulePart, RuledPart, UnfoundPart, positions_of, read_record,
    rule_words_size, write_claim, write_claim_state, write_delivered,
)
from switch.journal.survey cimport elapsed_behind
from switch.machine.claims cimport (
    ClaimPart, claim_keeper, claim_position, claim_reference, is_claim, is_final_claim, undone_claim,
)
from switch.machine.partitioning cimport partition_of_id
from switch.machine.request_record cimport TERMINAL_BYTES, RequestPart
from switch.machine.saf_store cimport NO_LISTENER

from switch.journal.party_names import write_names
from switch.machine.partitioning import partition_of

cdef enum:
    BATCH_ROOM = 1 << 19              # records that are sealed together
    OUT_BYTES = 2 * RECORD_BYTES_MAX  # what a record of an earlier format gains is little
    PARTITION_SHIFT = 56
    LEFT_BEHIND = -1

BATCH_BYTES = BATCH_ROOM

cdef uint64_t POSITION_MASK = (<uint64_t>1 << PARTITION_SHIFT) - 1


cdef object _claim_behind(const Record *record):
    """The partition and position of the CLAIM that a record refers to: it was written first. None when it is none."""
    cdef int64_t named = record.request.refers_to if record.has_request else 0
    if record.head.type == RECORD_REFERS:
        named = record.refers.refers_to
    return (claim_keeper(named), claim_position(named)) if is_claim(named) else None


@cython.final
cdef class RawListing(Visitor):
    """Calls back with each record: its own time in nanoseconds, its position, its bytes, what its numbers of links and
    listeners mean, and, in another partition's journal, what stands before it: partition and position, or None. The
    time never goes back.

    Args:
        callback: Is given all of that as a tuple.
    """

    def __init__(self, object callback not None):
        self._callback = callback
        self._elapsed_ns = -1

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self._links, self._listeners = links, listeners
        return 0

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        self._elapsed_ns = max(self._elapsed_ns, elapsed_ns)
        return 0

    cdef int take(self, const Record *record) except -1:
        self._elapsed_ns = elapsed_behind(record, self._elapsed_ns)
        self._callback((self._elapsed_ns, record.position, <bytes>record.data[:record.head.size], self._links,
                        self._listeners, _claim_behind(record)))
        return 0


@cython.final
cdef class NewJournal:
    """The journal of one new partition.

    Args:
        writer: Its end; its batches have room for ``BATCH_BYTES``.
        links: Names of links, by their numbers here.
        listeners: Names of listeners.
        numbers: What is reserved, as ``write_names`` takes it.
        boot: Which start of which machine its own time counts from.
        offset_ns: What is added to the nanoseconds since then.
    """

    def __cinit__(self, SegmentWriter writer not None, *, list links not None, list listeners not None,
                  dict numbers not None, str boot not None, int64_t offset_ns):
        if writer.batch_room < BATCH_ROOM:
            raise ValueError("the writer's batches are too small")
        self.writer = writer
        self.next_position = 1
        self._links, self._listeners = links, listeners
        self._numbers = numbers
        self._boot, self._offset_ns = boot, offset_ns
        self._records = <uint8_t *>malloc(BATCH_ROOM)
        if self._records == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._records != NULL:
            OPENSSL_cleanse(self._records, BATCH_ROOM)
        free(self._records)

    cdef int64_t append(self, uint8_t *record, int64_t elapsed_ns) except -1:
        cdef RecordHead head
        memcpy(&head, record, sizeof(RecordHead))
        # What stands behind a claim may be older, by the time of its own journal, than what went before the claim.
        elapsed_ns = self._elapsed_ns = max(elapsed_ns, self._elapsed_ns)
        if head.size > BATCH_ROOM - self._size:
            self._flush()
        if head.size > BATCH_ROOM:
            raise ValueError(f"a record of {head.size} bytes is too large")
        if self._count == 0:
            self._began_ns, self._began_us = elapsed_ns, head.wall_us
        stamp_record(record, elapsed_ns)
        memcpy(self._records + self._size, record, head.size)
        self._size += head.size
        self._count += 1
        self._wall_us = head.wall_us
        self.next_position += 1
        return self.next_position - 1

    cdef int _flush(self) except -1:
        cdef int64_t first_position = self.next_position - self._count
        cdef bytes names
        cdef int status
        if self._count == 0:
            return 0
        names = write_names(self._links, self._listeners, self._numbers,
                            (self._boot, self._offset_ns, self._began_ns))
        self.writer.low_water = first_position
        if self._has_begun:
            self.writer.set_names(names, <uint32_t>len(names))
        else:
            self.writer.begin(first_position, self._began_us, names)
            self._has_begun = True
        with nogil:
            status = self.writer.write(self._records, self._size, first_position, self._count, self._wall_us)
        if status != 0:
            raise OSError(self.writer.error, self.writer.reason)
        self._size = self._count = 0
        return 0

    def finish(self, int64_t wall_us):
        """Write what is left, and close the last file; nothing is made durable by this.

        Args:
            wall_us: The present time, for a journal without a record.

        Raises:
            OSError: It cannot be written.
        """
        self._flush()
        if not self._has_begun:
            self.writer.low_water = self.next_position
            self.writer.begin(self.next_position, wall_us, write_names(
                self._links, self._listeners, self._numbers, (self._boot, self._offset_ns, max(self._began_ns, 0))))
        self.writer.close()


@cython.final
cdef class OldJournal:
    """Where the records of one old partition have gone: eight bytes for each.

    Args:
        number: The partition's.
        first_position: Of the first one that is taken along.
        next_position: Behind the last one.
    """

    def __init__(self, int number, int64_t first_position, int64_t next_position):
        self.number = number
        self.first_position = first_position
        self._places = array("Q", bytes(8 * max(next_position - first_position, 1)))

    cdef uint64_t place(self, int64_t position) noexcept:
        """Where a record has gone; 0 when it was not taken along, or there is none."""
        cdef int64_t at = position - self.first_position
        return self._places[at] if 0 <= at < self._places.shape[0] else 0

    cdef void put(self, int64_t position, int target, int64_t new_position) noexcept:
        cdef int64_t at = position - self.first_position
        if 0 <= at < self._places.shape[0]:
            self._places[at] = <uint64_t>target << PARTITION_SHIFT | <uint64_t>new_position


@cython.final
cdef class Rewriter:
    """Writes records into new journals, one for each partition to come.

    Args:
        journals: The new ones.
        links: Names of links, by their numbers there.
        listeners: Names of listeners.
        terminal_of: Finds the terminal of a message: by the name of the listener that it came from, or of the link that
            it was made for, one of them None, and its bytes; None where it cannot tell.
        olds: The old journals, by number; filled as they are read.
        became_of: Says what became of a request, by its partition, its position and its kind, as
            ``Finder.became_of`` does.
    """

    def __cinit__(self, list journals not None, *, list links not None, list listeners not None,
                  object terminal_of not None, dict olds not None, object became_of not None):
        self._olds = olds
        self._became_of = became_of
        self._referring = {}
        self._journals = journals
        # What has no name stands behind all that have.
        self._links = {name: number for number, name in enumerate([*links, ""])}
        self._listeners = {name: number for number, name in enumerate([*listeners, ""])}
        self._terminal_of = terminal_of
        self._out = <uint8_t *>malloc(OUT_BYTES)
        if self._out == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._out != NULL:
            OPENSSL_cleanse(self._out, OUT_BYTES)
        free(self._out)

    def take(self, OldJournal old not None, tuple raw not None, int64_t elapsed_ns):
        """Write one record down, into each journal to which it belongs.

        Args:
            old: Where it stood; records come in their order.
            raw: As ``RawListing`` gives it.
            elapsed_ns: When it was written, by the new journals' own time.

        Raises:
            OSError: It cannot be written.
            ValueError: It is no record.
        """
        cdef Record record
        cdef bytes data = raw[2]
        cdef int target
        if read_record(data, len(data), &record) < 0:
            raise ValueError("this is no record")
        record.position = raw[1]
        if record.head.type == RECORD_NUMBERS:
            return                                    # the new journals' beginnings say what is reserved
        if record.head.type == RECORD_DELIVERED:
            self._deliver(old, &record, elapsed_ns)
            return
        target = self._place(old, &record, raw[3], raw[4])
        if record.head.type == RECORD_REFERS and self._claimed(record.refers.refers_to) == 0:
            target = LEFT_BEHIND                      # its CLAIM was
        if target == LEFT_BEHIND:
            self.left += 1
            return
        if record.has_request:
            self._refer(old, target, &record, elapsed_ns)
        self._compose(old, target, &record, raw[3], raw[4])
        old.put(record.position, target, (<NewJournal>self._journals[target]).append(self._out, elapsed_ns))

    # --- where to ---------------------------------------------------------------------------------------------------

    cdef int _place_request(self, const Record *record) noexcept:
        return <int>partition_of_id(record.request.terminal, TERMINAL_BYTES, <uint32_t>len(self._journals))

    cdef int _place(self, OldJournal old, const Record *record, dict links, dict listeners) except -2:
        """The partition that a record belongs to; LEFT_BEHIND when it refers to what was not taken along."""
        cdef int type = record.head.type
        cdef int64_t named = 0
        cdef uint64_t place
        if type == RECORD_INTENT or (type == RECORD_OUTCOME and record.outcome.intent == 0):
            return self._place_request(record)
        if type == RECORD_ADVICE:
            if record.advice.replaces and not (old.place(record.advice.replaces) and old.place(record.advice.original)):
                return LEFT_BEHIND
            return self._place_request(record)
        if type == RECORD_REVERSAL:
            return self._place_reversal(old, record, links, listeners)
        if type == RECORD_OUTCOME:
            named = record.outcome.intent
        elif type == RECORD_ATTEMPT:
            named = record.attempt.reversal
        elif type == RECORD_REVERSED:
            named = record.reversed.reversal
        elif type == RECORD_LATE:
            named = record.late.intent
        elif type == RECORD_CLOSED:
            named = record.closed.reversal
        elif type == RECORD_CANCELLED:
            named = record.cancelled.advice
        elif type == RECORD_UNFOUND:
            named = record.unfound.reversal
        elif type == RECORD_CLAIM:
            named = record.claimed.original
        elif type == RECORD_CLAIM_STATE:
            named = record.claim_state.claim
        elif type == RECORD_REFERS:
            named = record.refers.request
        elif type == RECORD_RULED:
            named = record.ruled.request
        place = old.place(named)
        return <int>(place >> PARTITION_SHIFT) if place else LEFT_BEHIND

    cdef int _place_reversal(self, OldJournal old, const Record *record, dict links, dict listeners) except -2:
        cdef int64_t named = record.reversal.original or record.reversal.replaces
        cdef uint64_t place
        if named:
            place = old.place(named)
            if not place or (record.reversal.replaces and not old.place(record.reversal.replaces)):
                return LEFT_BEHIND
            return <int>(place >> PARTITION_SHIFT)
        is_of_link = record.reversal.listener == NO_LISTENER
        terminal = self._terminal_of(
            None if is_of_link else listeners.get(record.reversal.listener),
            links.get(record.reversal.link) if is_of_link else None,
            <bytes>record.message[:record.message_size])
        if terminal is None:
            self.unplaced += 1
            return LEFT_BEHIND
        return partition_of(terminal, len(self._journals))

    cdef int64_t _reference(self, OldJournal old, int64_t position) noexcept:
        """What a position in the old journal is in the new one, where it stands beside what names it; 0 for none."""
        return <int64_t>(old.place(position) & POSITION_MASK) if position else 0

    # --- what it refers to ------------------------------------------------------------------------------------------

    cdef int _refer(self, OldJournal old, int target, Record *record, int64_t elapsed_ns) except -1:
        """Let a request refer to its original where that stands now: to a claim, unless both stand in one journal."""
        cdef int64_t named = record.request.refers_to
        cdef int64_t begun = record.advice.original if record.head.type == RECORD_ADVICE else 0
        cdef uint64_t place
        begun = begun or record.position
        if (old.number, begun) in self._referring:      # it is written once more
            record.request.refers_to = self._referring[old.number, begun]
            return 0
        if is_claim(named):
            record.request.refers_to = self._claimed(named)
        elif named:
            place = old.place(named)
            if place == 0 or <int>(place >> PARTITION_SHIFT) == target:
                record.request.refers_to = <int64_t>(place & POSITION_MASK)
            elif record.head.type == RECORD_OUTCOME:
                record.request.refers_to = 0            # no issuer was asked
            else:
                record.request.refers_to = self._claim(old, place, record, elapsed_ns)
        if record.request.refers_to:
            self._referring[old.number, begun] = record.request.refers_to
        return 0

    cdef int64_t _claimed(self, int64_t refers_to) noexcept:
        """What a request refers to whose original is another partition's; 0 when its CLAIM is not there: what that was
        of is older than all that was taken along."""
        cdef OldJournal keeper = self._olds.get(claim_keeper(refers_to))
        cdef uint64_t place = 0 if keeper is None else keeper.place(claim_position(refers_to))
        if place == 0:
            return 0
        return claim_reference(<uint32_t>(place >> PARTITION_SHIFT), <int64_t>(place & POSITION_MASK),
                               is_final_claim(refers_to))

    cdef int64_t _claim(self, OldJournal old, uint64_t place, const Record *record, int64_t elapsed_ns) except -1:
        """Let a request claim its original, which is in another partition now: what it refers to."""
        cdef NewJournal keeper = self._journals[place >> PARTITION_SHIFT]
        cdef const RequestPart *request = &record.request
        cdef int64_t original = <int64_t>(place & POSITION_MASK)
        cdef int64_t undoes = self._referring.get((old.number, request.refers_to), 0)
        cdef int64_t position
        cdef ClaimPart part
        state, approved_minor = self._became_of(old.number, record.position, request.kind)
        memset(&part, 0, sizeof(ClaimPart))
        memcpy(part.terminal, request.terminal, TERMINAL_BYTES)
        part.occasion = request.occasion
        part.amount_minor = request.amount_minor
        part.stan = request.stan
        part.partition = partition_of_id(request.terminal, TERMINAL_BYTES, <uint32_t>len(self._journals))
        part.currency = request.currency
        part.message_class = <uint8_t>request.message_class
        part.kind = request.kind
        write_claim(self._out, OUT_BYTES, &part, original, undone_claim(request.kind, undoes),
                    record.head.wall_us)
        position = keeper.append(self._out, elapsed_ns)
        write_claim_state(self._out, OUT_BYTES, position, original, state, approved_minor, record.head.wall_us)
        keeper.append(self._out, elapsed_ns)
        self.claimed += 1
        return claim_reference(<uint32_t>(place >> PARTITION_SHIFT), position, undoes != 0)

    # --- what it becomes --------------------------------------------------------------------------------------------

    cdef void _put(self, const void *part, uint64_t size) noexcept:
        memcpy(self._out + self._size, part, size)
        self._size += <uint32_t>size

    cdef int _compose(self, OldJournal old, int target, Record *record, dict links, dict listeners) except -1:
        cdef int type = record.head.type
        cdef RecordHead head
        self._size = sizeof(RecordHead)
        if record.has_request:
            record.request.listener = <uint16_t>self._listeners[listeners.get(record.request.listener, "")]
        if type == RECORD_INTENT:
            record.intent.link = <uint16_t>self._links[links.get(record.intent.link, "")]
            self._put(&record.request, sizeof(RequestPart))
            self._put(&record.intent, sizeof(IntentPart))
        elif type == RECORD_OUTCOME:
            if record.outcome.intent:
                record.outcome.intent = self._reference(old, record.outcome.intent)
                record.outcome.link = <uint16_t>self._links[links.get(record.outcome.link, "")]
            self._put(&record.outcome, sizeof(OutcomePart))
            self._put(&record.approved_minor, record.outcome.approved_size)
            if record.has_request:
                self._put(&record.request, sizeof(RequestPart))
            if record.has_detail:
                self._put(&record.detail, sizeof(DetailPart))
            if record.has_rule:
                self._put(&record.rule, sizeof(RulePart))
                self._put(record.rule_words, rule_words_size(&record.rule))
        elif type == RECORD_REVERSAL:
            record.reversal.link = <uint16_t>self._links[links.get(record.reversal.link, "")]
            if record.reversal.listener != NO_LISTENER:
                record.reversal.listener = <uint16_t>self._listeners[listeners.get(record.reversal.listener, "")]
            record.reversal_refers_to = self._referring.get((old.number, record.reversal.original), 0)
            record.reversal.flags &= ~REVERSAL_REFERS
            if record.reversal_refers_to:
                record.reversal.flags |= REVERSAL_REFERS
            record.reversal.original = self._reference(old, record.reversal.original)
            record.reversal.replaces = self._reference(old, record.reversal.replaces)
            self._put(&record.reversal, sizeof(ReversalPart))
            if record.reversal_refers_to:
                self._put(&record.reversal_refers_to, sizeof(int64_t))
        elif type == RECORD_ADVICE:
            record.advice.original = self._reference(old, record.advice.original)
            record.advice.replaces = self._reference(old, record.advice.replaces)
            record.advice.link = <uint16_t>self._links[links.get(record.advice.link, "")]
            self._put(&record.request, sizeof(RequestPart))
            self._put(&record.advice, sizeof(AdvicePart))
        elif type == RECORD_ATTEMPT:
            record.attempt.reversal = self._reference(old, record.attempt.reversal)
            self._put(&record.attempt, sizeof(AttemptPart))
        elif type == RECORD_REVERSED:
            record.reversed.reversal = self._reference(old, record.reversed.reversal)
            record.reversed.original = self._reference(old, record.reversed.original)
            self._put(&record.reversed, sizeof(ReversedPart))
        elif type == RECORD_LATE:
            record.late.intent = self._reference(old, record.late.intent)
            self._put(&record.late, sizeof(LatePart))
            self._put(&record.approved_minor, record.late.approved_size)
        elif type == RECORD_CLOSED:
            record.closed.reversal = self._reference(old, record.closed.reversal)
            record.closed.original = self._reference(old, record.closed.original)
            self._put(&record.closed, sizeof(ClosedPart))
        elif type == RECORD_CANCELLED:
            record.cancelled.advice = self._reference(old, record.cancelled.advice)
            record.cancelled.original = self._reference(old, record.cancelled.original)
            self._put(&record.cancelled, sizeof(CancelledPart))
        elif type == RECORD_UNFOUND:
            record.unfound.reversal = self._reference(old, record.unfound.reversal)
            record.unfound.original = self._reference(old, record.unfound.original)
            self._put(&record.unfound, sizeof(UnfoundPart))
        elif type == RECORD_CLAIM:
            record.claim.partition = partition_of_id(record.claim.terminal, TERMINAL_BYTES,
                                                     <uint32_t>len(self._journals))
            record.claimed.undoes = undone_claim(
                record.claim.kind, self._referring.get((old.number, record.claimed.original), 0))
            record.claimed.original = self._reference(old, record.claimed.original)
            self._put(&record.claim, sizeof(ClaimPart))
            self._put(&record.claimed, sizeof(ClaimedPart))
        elif type == RECORD_CLAIM_STATE:
            record.claim_state.claim = self._reference(old, record.claim_state.claim)
            record.claim_state.original = self._reference(old, record.claim_state.original)
            self._put(&record.claim_state, sizeof(ClaimStatePart))
        elif type == RECORD_REFERS:
            record.refers.refers_to = self._claimed(record.refers.refers_to)
            self._referring[old.number, record.refers.request] = record.refers.refers_to
            record.refers.request = self._reference(old, record.refers.request)
            self._put(&record.refers, sizeof(RefersPart))
        elif type == RECORD_RULED:
            record.ruled.request = self._reference(old, record.ruled.request)
            self._put(&record.ruled, sizeof(RuledPart))
            self._put(&record.rule, sizeof(RulePart))
            self._put(record.rule_words, rule_words_size(&record.rule))
        if record.message_size:
            self._put(record.message, record.message_size)
        memset(&head, 0, sizeof(RecordHead))
        head.size = self._size
        head.type = <uint8_t>type
        head.wall_us = record.head.wall_us
        memcpy(self._out, &head, sizeof(RecordHead))
        return 0

    cdef void _deliver(self, OldJournal old, const Record *record, int64_t elapsed_ns) except *:
        """A DELIVERED is parted: each journal gets the positions that have gone there."""
        cdef int64_t positions[DELIVERED_MAX]
        cdef dict parts = {}
        cdef uint64_t place
        cdef uint32_t count
        for position in positions_of(record):
            place = old.place(position)
            if place:
                parts.setdefault(<int>(place >> PARTITION_SHIFT), []).append(place & POSITION_MASK)
            else:
                self.left += 1
        for target, found in parts.items():
            count = 0
            for position in found:
                positions[count] = position
                count += 1
            if write_delivered(self._out, OUT_BYTES, positions, count, record.head.wall_us) < 0:
                raise ValueError("a DELIVERED is too large")
            (<NewJournal>self._journals[target]).append(self._out, elapsed_ns)
