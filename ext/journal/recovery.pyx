"""After a crash or a stop: the journal read back into the state machine's tables, before anybody connects."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from switch.dialect.reasons cimport REASON_ORIGINAL_NOT_FOUND, REASON_TIMEOUT, takes_note
from switch.dialect.tables cimport DialectTables, kind_traits
from switch.journal.carry_forward cimport names_of
from switch.journal.commit cimport JournalFiles
from switch.journal.late_answers cimport KeptRecord, LateAnswers, keep_record
from switch.journal.record_time cimport ELAPSED_SHIFT, elapsed_of
from switch.journal.records cimport (
    ADVICE_STAND_IN, RECORD_ADVICE, RECORD_ATTEMPT, RECORD_BYTES_MAX, RECORD_CANCELLED, RECORD_CLAIM,
    RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_DELIVERED, RECORD_INTENT, RECORD_LATE, RECORD_NUMBERS, RECORD_OUTCOME,
    RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED, RECORD_UNFOUND, ReversedPart, read_record,
)
from switch.journal.restored_outcomes cimport WindowFiller
from switch.journal.segment cimport SegmentWriter
from switch.machine.claims cimport Claims, KeptClaim
from switch.machine.duplicate cimport OUTCOME_NONE, Outcome
from switch.machine.handles cimport HandleSlot, handle_in, slot_of
from switch.machine.journal_interface cimport POSITION_FAILED
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.message_mending cimport Mender
from switch.machine.numbering cimport NumberBlock, Numbering
from switch.machine.request_record cimport TERMINAL_BYTES, RequestPart, unpack_digits
from switch.machine.saf_store cimport (
    CAUSE_RESTART, CAUSE_UNKNOWN, NO_LISTENER, SAF_NONE, SOUGHT_NOW, SafEntry, takes_back,
)
from switch.path.identity cimport terminal_of
from switch.path.own_claims cimport resume_claims
from switch.saf.reversal cimport ReversalOrder, hold_stans, reverse

cdef enum:
    ABSENT = -1
    SLACK_TICKS = 2           # that a record's time may be ahead, for being written in ticks
    US_A_SECOND = 1_000_000
    KINDS_MAX = 64


class RecoveryFailed(Exception):
    """What the journal says is owed cannot be paid by this configuration."""


@cython.final
cdef class Recovery(Visitor):
    """Fills the tables of a state machine whose journal is not begun yet. Replay into it, begin, then ``finish``.

    Args:
        state: Freshly made; its calendar stands at the present moment.
    """

    def __init__(self, State state not None):
        self.state = state
        self._intents = PositionTable()
        self._late = LateAnswers(self._intents, max([(<Link>link).late_ns for link in state.links], default=0))
        self._reversals = PositionTable()
        self._advices = PositionTable()
        self._originals, self._referred = PositionTable(), PositionTable()
        self._refers = PositionTable()
        self._closed = set()
        self._links = []
        self._listeners = []
        self._link_names = []
        self._link_name_at = []
        self._link_numbers = {link.name: link.number for link in state.links}
        self._listener_numbers = {listener.name: listener.number for listener in state.listeners}
        self._copies = Mender(state)
        self._window = WindowFiller(state, self._copies)
        self._now_ns = state.calendar.now_ns
        self._now_us = state.calendar.wall_us

    def __dealloc__(self):
        cdef PositionTable table
        for table in (self._intents, self._reversals):
            if table is not None:
                for position in table.positions():
                    free(<void *>table.get(position))

    # --- reading --------------------------------------------------------------------------------------------------

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        """What numbers mean from here on, and where numbering goes on when nothing later tells."""
        self._links = [ABSENT] * (max(links, default=-1) + 1)
        self._link_name_at = [0] * len(self._links)
        self._listeners = [ABSENT] * (max(listeners, default=-1) + 1)
        for number, name in links.items():
            self._links[number] = self._link_numbers.get(name, ABSENT)
            if name not in self._link_names:
                self._link_names.append(name)
            self._link_name_at[number] = self._link_names.index(name)
        for number, name in listeners.items():
            self._listeners[number] = self._listener_numbers.get(name, ABSENT)
        self.state.numbering.learn_names(numbers)
        return 0

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        self._has_clock = True
        self._boot = boot
        self._offset_ns = offset_ns
        self._elapsed_ns = max(self._elapsed_ns, elapsed_ns)
        return 0

    cdef int take(self, const Record *record) except -1:
        cdef KeptRecord *kept
        cdef int type = record.head.type
        self.records += 1
        self._record_ns = elapsed_of(&record.head, self._elapsed_ns)
        if self._record_ns < 0:              # of a version that wrote down no time but the wall clock's
            self._record_ns = max(self._elapsed_ns, record.head.wall_us * 1000)
        self._elapsed_ns = max(self._elapsed_ns, self._record_ns)
        if record.has_request and record.request.refers_to and type != RECORD_OUTCOME:
            self._referred.put(record.request.refers_to, 1)
            self._refers.put(record.position, <uint64_t>record.request.refers_to)
        if type == RECORD_INTENT:
            self._keep(self._intents, record, record.intent.link, self._number(self._links, record.intent.link),
                       self._number(self._listeners, record.request.listener))
            self.state.numbering.learn_stan(record.intent.stan)
        elif type == RECORD_OUTCOME:
            self._take_outcome(record)
        elif type == RECORD_REVERSAL:
            self._keep(self._reversals, record, record.reversal.link, self._number(self._links, record.reversal.link),
                       self._number(self._listeners, record.reversal.listener)
                       if record.reversal.listener != NO_LISTENER else NO_LISTENER)
            if record.reversal.replaces:
                self._drop(self._reversals, record.reversal.replaces)
            elif record.reversal.stan:
                self.state.numbering.learn_stan(record.reversal.stan)
            if record.reversal.original:
                self._originals.put(record.reversal.original, <uint64_t>record.position)
                self._late.take_reversal(record.position, record.reversal.original)
        elif type == RECORD_ADVICE:
            self._take_advice(record)
        elif type == RECORD_CANCELLED:
            self._drop(self._reversals, record.cancelled.advice)
            if record.cancelled.original and takes_back(record.cancelled.cause):
                self._originals.put(record.cancelled.original, <uint64_t>record.position)
        elif type == RECORD_ATTEMPT:
            kept = <KeptRecord *>self._reversals.get(record.attempt.reversal)
            if kept != NULL:
                kept.attempts = record.attempt.attempts
        elif type == RECORD_REVERSED:
            self._late.end_reversal(<KeptRecord *>self._reversals.get(record.reversed.reversal),
                                    record.reversed.reason != REASON_ORIGINAL_NOT_FOUND)
            if takes_note(record.reversed.reason):
                self._note_booked(&record.reversed)
            self._drop(self._reversals, record.reversed.reversal)
        elif type == RECORD_CLOSED:
            self._late.end_reversal(<KeptRecord *>self._reversals.get(record.closed.reversal), False)
            self._drop(self._reversals, record.closed.reversal)
            self._closed.add(record.closed.original)
        elif type == RECORD_LATE:
            self._late.take(record, <KeptRecord *>self._reversals.get(self._originals.get(record.late.intent)))
        elif type == RECORD_NUMBERS:
            self.state.numbering.learn(record.numbers.reserved_to, record.numbers.day_max, record.numbers.day_floor,
                                       record.numbers.instance)
        elif type == RECORD_UNFOUND:
            kept = <KeptRecord *>self._reversals.get(record.unfound.reversal)
            if kept != NULL:
                kept.unfound = record.unfound.times
        elif type == RECORD_DELIVERED:
            self._window.note_delivered(record)
        elif type in (RECORD_CLAIM, RECORD_CLAIM_STATE):
            self._take_claim(record)
        elif type == RECORD_REFERS:
            self._refers.put(record.refers.request, <uint64_t>record.refers.refers_to)
        return 0

    cdef void _take_claim(self, const Record *record) noexcept:
        cdef Claims claims = self.state.claims
        cdef KeptClaim claim
        if record.head.type == RECORD_CLAIM_STATE:
            claim = claims.kept.get(record.claim_state.claim)
            if claim is not None:
                claims.note(claim, record.claim_state.state, record.claim_state.approved_minor, record.position)
            return
        self._referred.put(record.claimed.original, 1)
        if len(claims.kept) >= claims.room:
            claims.forget_ended(self._record_ns - self.state.duplicates.age_max_ns)
        if len(claims.kept) < claims.room:
            claim = claims.keep(&record.claim, record.position, record.claimed.original, record.claimed.undoes)
            claim.elapsed_ns, claim.wall_us = self._record_ns, record.head.wall_us

    cdef int _take_advice(self, const Record *record) except -1:
        cdef KeptRecord *kept
        cdef KeptRecord *before
        self._keep(self._reversals, record, record.advice.link, self._number(self._links, record.advice.link),
                   self._number(self._listeners, record.request.listener))
        kept = <KeptRecord *>self._reversals.get(record.position)
        kept.attempts = record.advice.attempts
        if record.advice.replaces:
            kept.is_told = True           # its OUTCOME stands before
            before = <KeptRecord *>self._reversals.get(record.advice.replaces)
            if before != NULL:
                kept.outcome = before.outcome
                kept.outcome_serial = before.outcome_serial
            self._drop(self._reversals, record.advice.replaces)
        else:
            self.state.numbering.learn_stan(record.advice.stan)
        return 0

    cdef void _note_booked(self, const ReversedPart *end) noexcept:
        """If what was acknowledged is an advice, then its issuer must find what takes that back."""
        cdef const KeptRecord *advice = <const KeptRecord *>self._reversals.get(end.reversal)
        cdef KeptRecord *reversal = <KeptRecord *>self._reversals.get(self._originals.get(end.original))
        if reversal != NULL:
            reversal.is_unbooked = False
        if (advice != NULL and advice.outcome != OUTCOME_NONE
                and self.state.duplicates.holds(advice.outcome, advice.outcome_serial)):
            self.state.duplicates.at(advice.outcome).unbooked = False

    cdef int _number(self, list numbers, int number) except -2:
        return numbers[number] if 0 <= number < len(numbers) else ABSENT

    cdef int _keep(self, PositionTable table, const Record *record, int64_t link_then, int link,
                   int listener) except -1:
        """Copy a record whose end may come later."""
        cdef KeptRecord *kept = keep_record(record)
        kept.elapsed_ns = self._record_ns
        kept.link = link
        kept.listener = listener
        kept.link_name = self._link_name_at[link_then] if link_then < len(self._link_name_at) else 0
        table.put(record.position, <uint64_t>kept)
        return 0

    cdef void _drop(self, PositionTable table, int64_t position) noexcept:
        free(<void *>table.pop(position))

    cdef int _take_outcome(self, const Record *record) except -1:
        cdef Record intent, advice
        cdef KeptRecord *kept
        self.state.duplicates.expire(self._elapsed_ns)
        if record.outcome.intent == 0:
            self._window.remember(record, &record.request, self._number(self._listeners, record.request.listener),
                                  ABSENT, NULL, 0, self._record_ns)
            return 0
        kept = <KeptRecord *>self._reversals.get(record.outcome.intent)
        if kept != NULL:
            kept.is_told = True
            if read_record(<uint8_t *>kept + sizeof(KeptRecord), kept.size, &advice) > 0:
                kept.outcome = self._window.remember(record, &advice.request, kept.listener, kept.link,
                                                     advice.message, advice.message_size, self._record_ns)
                if kept.outcome != OUTCOME_NONE:
                    self.state.duplicates.at(kept.outcome).unbooked = True
                    kept.outcome_serial = self.state.duplicates.at(kept.outcome).serial
            return 0
        kept = <KeptRecord *>self._intents.pop(record.outcome.intent)
        if kept == NULL:
            return 0                 # its INTENT is older than all that matters
        try:
            if read_record(<uint8_t *>kept + sizeof(KeptRecord), kept.size, &intent) > 0:
                self._window.remember(record, &intent.request, kept.listener, kept.link, intent.message,
                                      intent.message_size, self._record_ns)
        finally:
            self._late.end(record, kept, self._elapsed_ns)
        return 0

    # --- what is owed ---------------------------------------------------------------------------------------------

    cdef int _settle_clock(self, str boot) except -1:
        """Find out how much time went by since the last record.

        Within one start of the machine its clock tells. Else nobody knows: wall clocks may have been set. None is
        counted then, so that nothing is forgotten before its time.
        """
        cdef State state = self.state
        cdef int64_t elapsed_ns = self._elapsed_ns
        cdef int64_t slack_ns = <int64_t>SLACK_TICKS << ELAPSED_SHIFT
        cdef uint32_t before = 0
        if not self._has_clock:
            elapsed_ns = max(elapsed_ns, self._now_us * 1000)
        elif self._boot == boot and boot and self._now_ns + self._offset_ns >= elapsed_ns - slack_ns:
            elapsed_ns = self._now_ns + self._offset_ns
        self._shift_ns = self._now_ns - elapsed_ns
        state.duplicates.shift(self._shift_ns)
        while before != state.duplicates.in_use:
            before = state.duplicates.in_use
            state.duplicates.expire(self._now_ns)
        self.remembered = state.duplicates.in_use
        (<JournalFiles?>state.journal).set_clock(boot, -self._shift_ns)
        return 0

    cdef int64_t _stored_ns(self, const KeptRecord *kept, int64_t wall_us) noexcept:
        """When something was stored that is owed, by the calendar; to the microsecond where the wall clock agrees."""
        cdef int64_t stored_ns = kept.elapsed_ns + self._shift_ns
        cdef int64_t by_wall_ns = self._now_ns - (self._now_us - wall_us) * 1000
        if abs(by_wall_ns - stored_ns) <= (<int64_t>SLACK_TICKS << ELAPSED_SHIFT):
            stored_ns = by_wall_ns
        return min(stored_ns, self._now_ns)

    def begin(self, SegmentWriter writer not None, int64_t next_position, str boot not None):
        """Begin the journal behind what was read; its first segment tells what numbers mean now.

        Args:
            writer: The journal's end.
            next_position: Of the first record to come.
            boot: Which start of which machine the calendar counts from; empty where that is not known.

        Raises:
            OSError: it cannot be written.
            RecoveryFailed: its reference numbers are those of another instance.
        """
        cdef Numbering numbering = self.state.numbering
        cdef NumberBlock block
        cdef bint is_asked
        if numbering.learned_instance not in (-1, numbering.instance):
            raise RecoveryFailed(f"its reference numbers are those of instance {numbering.learned_instance}, and "
                                 f"switch.instance is {numbering.instance}: set it back, or drain this switch until "
                                 "nothing is owed and begin the other instance with a directory of its own")
        self._settle_clock(boot)
        numbering.go_on(self._now_us)
        is_asked = numbering.wants(self._now_us // US_A_SECOND, &block)
        if is_asked:
            numbering.ask(&block, 0)
        writer.low_water = min([next_position] + self._reversals.positions()[:1] + self._intents.positions()[:1]
                               + self._late.owed()[:1])
        writer.begin(next_position, self._now_us, names_of(self.state, <JournalFiles>self.state.journal))
        (<JournalFiles?>self.state.journal).begin(writer, next_position)
        if is_asked:
            numbering.grant(self._now_us // US_A_SECOND)  # it stands at the beginning of the segment, durable

    def finish(self):
        """Resume what is owed, and end what was under way; all of it is durable when this returns.

        Raises:
            RecoveryFailed: the configuration has no place for it, or the journal cannot be written.
        """
        # Advices first, so that a reversal finds the one that it follows: an old one may have been written once more.
        for are_advices in (True, False):
            for position in self._reversals.positions():
                if self._is_advice(position) == are_advices:
                    self._resume(position)
        for position in self._intents.positions():
            self._end(position)
            with nogil:
                pass                     # others may look how far this has come
        for position in self._late.owed():
            self._make_room()
            self._reverse(position, <const KeptRecord *>self._late.ended.get(position))
            self.late += 1
        self._window.complete(self._originals, self._referred, self._refers)
        resume_claims(self.state, self._closed)
        if isinstance(self.state.journal, JournalFiles) and not (<JournalFiles>self.state.journal).commit():
            raise RecoveryFailed(f"the journal cannot be written: {(<JournalFiles>self.state.journal).reason}")

    cdef int _make_room(self) except -1:
        """Commit when the journal's buffer is half full."""
        cdef JournalFiles journal
        if not isinstance(self.state.journal, JournalFiles):
            return 0
        journal = <JournalFiles>self.state.journal
        if journal._open.size + 2 * RECORD_BYTES_MAX > journal.buffer_bytes and not journal.commit():
            raise RecoveryFailed(f"the journal cannot be written: {journal.reason}")
        return 0

    def _link_of(self, int64_t position, int32_t link, uint32_t name_at):
        """The link that a record belongs to."""
        if link < 0:
            name = self._link_names[name_at] if name_at < len(self._link_names) else "of unknown name"
            raise RecoveryFailed(f"link {name} is owed a reversal or an advice (journal position {position}), but the "
                                 "configuration has no such link; bring it back until nothing is owed to it")
        return self.state.links[link]

    cdef bint _is_advice(self, int64_t position) noexcept:
        return (<const KeptRecord *>self._reversals.get(position)).type == RECORD_ADVICE

    cdef int64_t _refers_to(self, const Record *reversal) noexcept:
        """What the original of a REVERSAL refers to; one of a version before does not say it, but its INTENT does."""
        return reversal.reversal_refers_to or <int64_t>self._refers.get(reversal.reversal.original)

    cdef int _resume(self, int64_t position) except -1:
        """A reversal or advice that was not acknowledged goes on, under its own STAN."""
        cdef Record record
        cdef KeptRecord *kept = <KeptRecord *>self._reversals.get(position)
        cdef Link link
        cdef DialectTables tables
        cdef SafEntry *reversal
        cdef const uint8_t *source
        cdef uint32_t source_size, number
        cdef uint64_t behind
        read_record(<uint8_t *>kept + sizeof(KeptRecord), kept.size, &record)
        source_size = record.message_size
        if record.head.type == RECORD_ADVICE and not kept.is_told:
            return self._void(position, record.advice.original or position)
        link = self._link_of(position, kept.link, kept.link_name)
        if record.head.type == RECORD_ADVICE:
            return self._resume_advice(position, kept, link, &record)
        if kept.listener < 0:
            raise RecoveryFailed(f"a reversal (journal position {position}) was written in the dialect of a listener "
                                 "that the configuration has no more; bring it back until nothing is owed")
        tables = link.tables
        if kept.listener != NO_LISTENER:
            tables = (<Listener>self.state.listeners[kept.listener]).tables
        source = self._copies.mended(tables, record.message, &source_size, self.state.aside, False)
        if kept.late_minor:
            source = self._copies.with_part(link.tables, source, source_size, kept.late_minor)
        number = self.state.saf.add(link.saf, link.number,
                                    terminal_of(self.state, tables, source, source_size),
                                    kept.listener != NO_LISTENER, source, source_size,
                                    self._stored_ns(kept, record.head.wall_us))
        if number == SAF_NONE:
            raise RecoveryFailed(f"{self._reversals.count} reversals are owed, and limits.reversals_max is "
                                 f"{self.state.saf.room}")
        reversal = self.state.saf.at(number)
        reversal.attempts = kept.attempts
        reversal.stan = record.reversal.stan
        reversal.position = position
        reversal.original = record.reversal.original
        self.state.saf.refer(number, self._refers_to(&record))
        reversal.listener = <uint16_t>kept.listener
        reversal.cause = record.reversal.cause
        reversal.pan_digits = record.reversal.pan_digits
        unpack_digits(record.reversal.pan, record.reversal.pan_digits, reversal.pan)
        memcpy(reversal.rrn, record.reversal.rrn, sizeof(reversal.rrn))
        memcpy(reversal.authorization_code, record.reversal.authorization_code, sizeof(reversal.authorization_code))
        reversal.resumed = True
        reversal.unfound = kept.unfound
        reversal.is_unbooked = kept.is_unbooked
        reversal.is_approved = kept.is_approved
        hold_stans(self.state, link, reversal)
        if reversal.listener == NO_LISTENER:
            reversal.bookable_until_ns = reversal.stored_ns + link.saf.horizon_ns
        elif reversal.original == 0 and reversal.attempts == 0:
            self.state.saf.seek(link.saf, number, self.state.calendar.now_ns, SOUGHT_NOW)
        behind = self._advices.get(reversal.original) if reversal.original else 0
        if behind:
            self.state.saf.follow(link.saf, number, handle_in(<HandleSlot>behind))
        self.resumed += 1
        return 0

    cdef int _void(self, int64_t position, int64_t original) except -1:
        """An advice without OUTCOME: nobody was told, neither its terminal nor its issuer."""
        self._make_room()
        if self.state.journal.cancelled(position, original, CAUSE_RESTART) == POSITION_FAILED:
            raise RecoveryFailed(f"the end of the advice at journal position {position} cannot be written down")
        return 0

    cdef int _resume_advice(self, int64_t position, const KeptRecord *kept, Link link, const Record *record) except -1:
        cdef State state = self.state
        cdef int64_t stored_ns = self._stored_ns(kept, record.head.wall_us)
        cdef uint8_t pan[20]
        cdef SafEntry *advice
        cdef Outcome *entry
        cdef uint32_t source_size = record.message_size
        cdef const uint8_t *source = self._copies.mended(link.tables, record.message, &source_size, state.aside, False)
        cdef uint32_t terminal = state.registry.find_terminal(record.request.terminal, TERMINAL_BYTES)
        cdef RequestPart request = record.request
        cdef uint32_t number
        request.refers_to = <int64_t>self._refers.get(record.advice.original or position) or record.request.refers_to
        number = state.saf.add_advice(link.saf, link.number, terminal, source, source_size, &request,
                                      sizeof(RequestPart), stored_ns)
        if number == SAF_NONE:
            raise RecoveryFailed(f"{self._reversals.count} reversals and advices are owed, and limits.reversals_max is "
                                 f"{state.saf.room}")
        advice = state.saf.at(number)
        advice.attempts = kept.attempts
        advice.resumed = True
        advice.stan = record.advice.stan
        advice.position = position
        advice.original = record.advice.original or position
        # Of one that was written down once more, what refers to it may stand before all that was read.
        advice.is_referred = record.advice.replaces != 0 or self._referred.get(advice.original) != 0
        advice.listener = NO_LISTENER
        advice.stood_in = (record.advice.flags & ADVICE_STAND_IN) != 0
        advice.kind = record.request.kind
        memcpy(advice.rrn, record.advice.rrn, sizeof(advice.rrn))
        memcpy(advice.authorization_code, record.advice.authorization_code, sizeof(advice.authorization_code))
        link.hold_stan(advice.stan)
        self._advices.put(advice.original, slot_of(number))
        if advice.stood_in:
            advice.kind = kind_traits(record.request.kind).told_as
            if link.stand_in is not None:
                unpack_digits(record.request.pan, record.request.pan_digits, pan)
                link.stand_in.recount(record.request.currency, record.request.amount_minor, pan,
                                      record.request.pan_digits, stored_ns)
        if kept.outcome != OUTCOME_NONE and state.duplicates.holds(kept.outcome, kept.outcome_serial):
            entry = state.duplicates.at(kept.outcome)
            entry.advice_entry = number
            advice.outcome = kept.outcome
            advice.outcome_serial = kept.outcome_serial
        self.resumed += 1
        return 0

    cdef int _reverse(self, int64_t position, const KeptRecord *kept) except -1:
        """Store the reversal of a request whose issuer may have charged it, or has done so late."""
        cdef State state = self.state
        cdef Record record
        cdef uint8_t pan[20]
        cdef const uint8_t *sent
        cdef uint32_t sent_size
        cdef ReversalOrder order
        cdef Link link = self._link_of(position, kept.link, kept.link_name)
        read_record(<uint8_t *>kept + sizeof(KeptRecord), kept.size, &record)
        sent_size = record.message_size
        unpack_digits(record.request.pan, record.request.pan_digits, pan)
        sent = self._copies.mended(link.tables, record.message, &sent_size, state.aside, False)
        if kept.late_cause != CAUSE_UNKNOWN and kept.late_minor:
            sent = self._copies.with_part(link.tables, sent, sent_size, kept.late_minor)
        memset(&order, 0, sizeof(ReversalOrder))
        order.terminal = state.registry.find_terminal(record.request.terminal, TERMINAL_BYTES)
        order.listener = NO_LISTENER
        order.source = sent
        order.source_size = sent_size
        order.pan = pan
        order.pan_digits = record.request.pan_digits
        order.rrn = record.intent.rrn
        order.authorization_code = kept.late_code if kept.late_cause != CAUSE_UNKNOWN else NULL
        order.original = position
        order.refers_to = <int64_t>self._refers.get(position) or record.request.refers_to
        order.cause = kept.late_cause if kept.late_cause != CAUSE_UNKNOWN else CAUSE_RESTART
        if reverse(state, link, &order) == POSITION_FAILED:
            raise RecoveryFailed(f"the reversal of the request at journal position {position} cannot be "
                                 "stored: see limits.reversals_max, and room on the disk")
        return 0

    cdef int _end(self, int64_t position) except -1:
        """A request whose outcome nobody knows: it is reversed if it can be, and ends as a time-out."""
        cdef State state = self.state
        cdef Record record
        cdef Outcome told
        cdef uint32_t number
        cdef Outcome *entry = &told
        cdef KeptRecord *kept = <KeptRecord *>self._intents.get(position)
        self._make_room()
        read_record(<uint8_t *>kept + sizeof(KeptRecord), kept.size, &record)
        memset(&told, 0, sizeof(Outcome))
        if record.request.kind < KINDS_MAX and kind_traits(record.request.kind).reversible:
            told.reversed = True
            if not kept.is_covered or kept.late_cause != CAUSE_UNKNOWN:
                self._reverse(position, kept)
                self.reversed += 1
        number = self._window.open_entry(&record.request, kept.listener, 0, False)
        if number != OUTCOME_NONE:
            entry = state.duplicates.at(number)
            entry.reversed = told.reversed
        entry.intent = position
        entry.link = <uint16_t>max(kept.link, 0)
        memcpy(entry.rrn, record.intent.rrn, sizeof(entry.rrn))
        if number != OUTCOME_NONE:
            state.duplicates.finish_without_answer(number, REASON_TIMEOUT, self._now_ns)
        entry.position = state.journal.outcome(entry, REASON_TIMEOUT, NULL, 0, NULL)
        if entry.position == POSITION_FAILED:
            raise RecoveryFailed(f"the outcome of the request at journal position {position} cannot be written down")
        self.ended += 1
        return 0
