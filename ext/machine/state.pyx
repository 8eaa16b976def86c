"""What the state machine knows: tables, what is under way, and the moment."""

import secrets

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from switch.base.calendar cimport write_digits
from switch.base.live_counts cimport live
from switch.base.stats cimport stats_add
from switch.machine.journal_interface cimport POSITION_FAILED, POSITION_NEVER
from switch.machine.note_queue cimport NOTE_REQUEST_UNENDED, NOTE_TEXT_BYTES, Note
from switch.machine.numbering cimport NumberBlock
from switch.tables.identifiers cimport TERMINAL_ID_MAX
from switch.wire.translate cimport (
    SLOT_ACQUIRER, SLOT_LOCAL_DATE, SLOT_LOCAL_DATE_TIME, SLOT_LOCAL_TIME, SLOT_MTI, SLOT_SETTLEMENT_DATE,
    SLOT_TRANSMISSION_TIME, fill_slot,
)


@cython.final
cdef class State:
    """The state machine's tables and limits. ``switch.server`` makes one from the configuration.

    Args:
        partition: Its number.
        calendar: The clock; its owner moves it before each event.
        registry, routes, risk: Who may speak, where cards belong, what is refused.
        journal: Where intents and outcomes are written.
        meters: Counters.
        listeners, links: In the configuration's order, which their numbers follow.
        transactions, duplicates, saf, inquiries, claims: Bounded tables.
        numbering: STANs and reference numbers.
        acquirer_id: The acquiring institution's identification code, digits (field 32).
        terminals: What is counted of each terminal.
        notes: What operators should read; delivered between two steps.
        macs: MAC keys as they are computed with.
        seed: Of the choices among links of equal priority; None for one that nobody knows.
    """

    def __cinit__(self):
        live.states += 1
        self.out = <uint8_t *>malloc(SCRATCH_BYTES)
        self.aside = <uint8_t *>malloc(SCRATCH_BYTES)
        self.kept = <uint8_t *>malloc(SCRATCH_BYTES)
        self.opened = <uint8_t *>malloc(SCRATCH_BYTES)
        if self.out == NULL or self.aside == NULL or self.kept == NULL or self.opened == NULL:
            raise MemoryError

    def __init__(self, *, uint32_t partition, Calendar calendar, Registry registry, RouteTable routes, Risk risk,
                 Journal journal, Meters meters, ChannelTable channels not None, list listeners, list links,
                 TransactionTable transactions, DuplicateWindow duplicates, SafStore saf, Inquiries inquiries,
                 Claims claims not None, Numbering numbering, str acquirer_id, TerminalCounts terminals not None,
                 NoteQueue notes not None, MacEngine macs not None, BaseKeys base_keys not None, object seed=None):
        self.partition = partition
        self.calendar = calendar
        self.registry = registry
        self.routes = routes
        self.risk = risk
        self.journal = journal
        journal.attach(calendar, registry)
        self.meters = meters
        self.listeners = listeners
        self.links = links
        self.link_count = <uint32_t>len(links)
        for link in links:
            (<Link>link).holds = numbering.holds
            (<Link>link).late_max = max(1, transactions.room // LATE_SHARES)
        self.transactions = transactions
        self.duplicates = duplicates
        self.saf = saf
        self.inquiries = inquiries
        self.claims = claims
        self.numbering = numbering
        self.acquirer_id = acquirer_id.encode("ascii")
        self.acquirer_text = <const uint8_t *><const char *>self.acquirer_id
        self.acquirer_digits = len(self.acquirer_id)
        self.terminals = terminals
        self.notes = notes
        self.macs = macs
        self.base_keys = base_keys
        self.channels = channels
        self.owner = channels.enroll(duplicates, journal)
        self.unreversed = []
        self.unended = POSITION_NEVER
        self.random_state = (secrets.randbits(64) if seed is None else seed) | 1
        self.fingerprint_secret = secrets.randbits(64) | 1

    def __dealloc__(self):
        live.states -= 1
        free(self.out)
        free(self.aside)
        free(self.kept)
        free(self.opened)

    def use_routes(self, RouteTable routes not None):
        """Send cards by another table from now on: between two messages, of which none keeps a place in it."""
        self.routes = routes

    def use_risk(self, Risk risk not None):
        """Refuse by other rules from now on: between two messages. What was counted is taken back by these, too."""
        self.risk = risk

    def terminal_mac_failures(self):
        """How many requests with a wrong or missing MAC each terminal sent, to whichever partition of the worker: count
        by terminal (field 41)."""
        cdef uint32_t number
        cdef const char *name
        failures = {}
        for number in range(self.registry.terminal_count):
            if self.terminals.of[number].mac_failures:
                name = <const char *>self.registry.terminal(number).id
                failures[name.decode("ascii").rstrip()] = self.terminals.of[number].mac_failures
        return failures

    cdef uint64_t random(self) noexcept nogil:
        # xorshift64*: picks among links of equal priority; no secret depends on it.
        self.random_state ^= self.random_state >> 12
        self.random_state ^= self.random_state << 25
        self.random_state ^= self.random_state >> 27
        return self.random_state * <uint64_t>0x2545F4914F6CDD1D

    cdef void tell(self, NoteEvent event, int place, int64_t first=0, int64_t second=0, int64_t third=0,
                   int64_t fourth=0) noexcept nogil:
        """Note what an operator should read: it is delivered when no step is under way, and changes nothing.

        Args:
            event: Which one; ``note_queue`` says in ``EVENTS`` what place and numbers mean.
            place: The number of its link or listener.
            first, second, third, fourth: Its numbers.
        """
        self.notes.add(event, place, first, second, third, fourth, NULL)

    cdef void tell_of(self, NoteEvent event, int place, const uint8_t *rrn, int64_t first=0, int64_t second=0,
                      int64_t third=0) noexcept nogil:
        """The same of one transaction, whose reference number has 12 bytes."""
        self.notes.add(event, place, first, second, third, 0, rrn)

    cdef int deliver_notes(self) except -1:
        """Call the callback with what was noted; for whoever drives the state machine, between two steps."""
        return 0 if self.notes.is_empty() else self.notes.deliver()

    cdef void tell_fault(self, NoteEvent event, int place, const uint8_t *terminal=NULL,
                         int64_t first=0) noexcept nogil:
        """The same of ``fault``: in a message of, or to, this link or listener; ``terminal`` is whose it is."""
        cdef Note *note = self.notes.add(event, place, first, 0, 0, 0, NULL)
        if note == NULL:
            return
        note.has_fault = True
        note.fault = self.fault
        if terminal != NULL:
            memcpy(note.text, terminal, TERMINAL_ID_MAX)

    cdef void tell_text(self, NoteEvent event, int place, const uint8_t *text, int size,
                        int64_t first, int64_t second=0, int64_t third=0) noexcept nogil:
        """The same with texts that are no secrets, of the sizes that ``EVENTS`` says."""
        cdef Note *note = self.notes.add(event, place, first, second, third, 0, NULL)
        if note != NULL:
            memcpy(note.text, text, min(size, <int>NOTE_TEXT_BYTES))

    cdef void leave_open(self, int64_t intent, int link) noexcept nogil:
        """A request to a link has ended here, and its OUTCOME could not be written: the next start must still find its
        INTENT, and ends it then. ``intent`` is 0 where none was written."""
        if intent == 0:
            return
        self.unended = min(self.unended, intent)
        stats_add(self.meters.stats, self.meters.link[link].unended, 1)
        self.tell(NOTE_REQUEST_UNENDED, link, intent)

    cdef void keep_fault(self, bint of_link) noexcept nogil:
        """The next OUTCOME says ``fault``: in a link's message, or in a listener's."""
        if not self.has_detail:
            memset(&self.detail, 0, sizeof(Detail))
        self.detail.of_link = of_link
        self.detail.fault = self.fault
        self.has_detail = True

    cdef void note_code(self, const uint8_t *code, int size) noexcept nogil:
        """The next OUTCOME says an issuer's response code."""
        memset(&self.detail, 0, sizeof(Detail))
        memcpy(self.detail.code, code, min(<size_t>size, sizeof(self.detail.code)))
        self.has_detail = True

    cdef void note_rule(self, const RuleWords *rule) noexcept nogil:
        """The next OUTCOME says which rule has refused the request."""
        memset(&self.detail, 0, sizeof(Detail))
        self.detail.rule = rule[0]
        self.has_detail = True

    cdef const Detail *take_detail(self) noexcept nogil:
        """What the OUTCOME that is written now says besides; NULL: nothing. Only one says it."""
        if not self.has_detail:
            return NULL
        self.has_detail = False
        return &self.detail

    cdef void reserve_numbers(self) noexcept:
        """Have numbers written down ahead of their use; to be called every few milliseconds."""
        cdef Numbering numbering = self.numbering
        cdef NumberBlock block
        cdef int64_t position
        if numbering.next == 0:
            numbering.begin(self.calendar.wall_us)
        if numbering.wants(self.calendar.wall_s, &block):
            position = self.journal.numbers(&block)
            if position != POSITION_FAILED:
                numbering.ask(&block, position)
        if 0 <= numbering.position <= self.journal.durable:
            numbering.grant(self.calendar.wall_s)

    cdef void enlist(self, Channel channel):
        """A connection stands that this state machine answers on."""
        self.channels.enlist(channel)
        channel.last_heard_ns = self.calendar.now_ns

    cdef void clear_slots(self) noexcept nogil:
        """Empty the computed values but for those that every message may use."""
        memset(&self.slots, 0, sizeof(Slots))
        fill_slot(&self.slots, SLOT_TRANSMISSION_TIME, self.calendar.transmission_time, 10)
        fill_slot(&self.slots, SLOT_LOCAL_TIME, self.calendar.local_time, 6)
        fill_slot(&self.slots, SLOT_LOCAL_DATE, self.calendar.local_date, 4)
        fill_slot(&self.slots, SLOT_SETTLEMENT_DATE, self.calendar.local_date, 4)
        fill_slot(&self.slots, SLOT_LOCAL_DATE_TIME, self.calendar.local_date_time, 12)
        fill_slot(&self.slots, SLOT_ACQUIRER, self.acquirer_text, self.acquirer_digits)

    cdef void set_mti(self, uint32_t mti) noexcept nogil:
        write_digits(self.mti_text, 4, mti)
        fill_slot(&self.slots, SLOT_MTI, self.mti_text, 4)

    cdef int depart(self, Channel channel, const uint8_t *frame, uint32_t size, int64_t position,
                    uint32_t outcome) noexcept:
        """Queue a whole frame on a channel, to leave when the journal is durable up to ``position``; 0 or -1."""
        cdef uint8_t *place = channel.reserve(size)
        if place == NULL:
            return -1
        memcpy(place, frame, size)
        if channel.depart(self.owner, size, <uint64_t>position, outcome, self.calendar.now_ns) != 0:
            return -1
        self.channels.wake(channel)
        return 0
