"""The duplicate window: what became of each natural key, so that no request is forwarded twice (invariant I4)."""

import secrets

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from switch.base.invariant cimport ensure
from switch.machine.handles cimport SAF_NONE, TRANSACTION_NONE, HandleSlot, handle_in, slot_of
from switch.machine.terminal_counts cimport TerminalCount, share_of


cdef enum:
    SHARE_LEAST = 2           # places that a terminal may hold, however few are free
    BRIEF_SPARE = 1           # for what is refused while all brief ones are in flight
    EXPIRED_A_CALL = 4096     # outcomes that one call forgets, at most: no message waits for it
    STORED_SPARE_BYTES = 1 << 18      # above two messages, of which so many bytes may stay empty before the ring's end


cdef inline uint32_t places_for(uint64_t size) noexcept nogil:
    """Places of an outcome whose stored messages have so many bytes."""
    return <uint32_t>((max(size, <uint64_t>1) + PLACE_BYTES - 1) // PLACE_BYTES)


@cython.final
cdef class DuplicateWindow:
    """Outcomes by natural key.

    Args:
        room: Places, those of outcomes in flight included. One place has 512 bytes for a stored answer and for an
            approved request as it went to its link; what is longer takes several.
        brief_room: Outcomes that no issuer had a part in, at most.
        terminals: Where what terminals hold is counted.
        age_max_seconds: A finished outcome older than this is forgotten.
        share_percent: Of the places that are free, so many percent at most are one terminal's; and so many of
            ``brief_room``. At 100 nothing is kept for others.
    """

    def __cinit__(self, uint32_t room, uint32_t brief_room, TerminalCounts terminals not None, double age_max_seconds,
                  uint32_t share_percent=100):
        cdef uint64_t entries = <uint64_t>room + brief_room + BRIEF_SPARE
        cdef uint32_t buckets = 16
        if not 1 <= room <= 50_000_000 or not 1 <= brief_room <= 50_000_000:
            raise ValueError(f"room for outcomes is {room} and {brief_room}, must be 1 to 50,000,000")
        if not 1 <= share_percent <= 100:
            raise ValueError(f"one terminal's share is {share_percent} percent, must be 1 to 100")
        while buckets < entries:
            buckets *= 2
        self._stored_room = <uint64_t>room * PLACE_BYTES + STORED_SPARE_BYTES
        self._entries = <Outcome *>calloc(entries, sizeof(Outcome))
        self._buckets = <OutcomeHandle *>malloc(<size_t>buckets * sizeof(OutcomeHandle))
        self._stored = <uint8_t *>malloc(self._stored_room)
        if self._entries == NULL or self._buckets == NULL or self._stored == NULL:
            raise MemoryError
        memset(self._buckets, 0xFF, <size_t>buckets * sizeof(OutcomeHandle))
        self._bucket_mask = buckets - 1
        self._terminals = terminals
        self._entry_count = <uint32_t>entries
        self._kept.head = self._kept.tail = self._brief.head = self._brief.tail = OUTCOME_NONE
        self.room = room
        self.brief_room = brief_room
        self.brief_share = max(<uint32_t>1, <uint32_t>(<uint64_t>brief_room * share_percent // 100))
        self.share_percent = share_percent
        self.age_max_ns = <int64_t>(age_max_seconds * 1e9)
        self.referring = OpenReferences(self.room)
        secret = secrets.token_bytes(16)
        self._secret[0] = int.from_bytes(secret[:8], "big")
        self._secret[1] = int.from_bytes(secret[8:], "big")

    def __dealloc__(self):
        free(self._entries)
        free(self._buckets)
        free(self._stored)

    @property
    def brief(self):
        """Outcomes that no issuer had a part in."""
        return self._brief.count

    cdef uint32_t _bucket(self, uint32_t terminal, uint32_t stan, uint32_t message_class) noexcept nogil:
        # Two rounds of a keyed multiply-and-fold: terminals choose their STANs, but must not choose the place.
        cdef uint64_t mixed = ((<uint64_t>terminal << 32) | stan) ^ self._secret[0]
        mixed = (mixed ^ (mixed >> 32)) * (self._secret[1] | 1)
        mixed ^= <uint64_t>message_class << 56
        mixed = (mixed ^ (mixed >> 29)) * <uint64_t>0x9E3779B97F4A7C15
        return <uint32_t>(mixed >> 32) & self._bucket_mask

    cdef OutcomeHandle find(self, const NaturalKey *key) noexcept nogil:
        """The outcome of exactly this natural key, or OUTCOME_NONE."""
        cdef OutcomeHandle number = self._buckets[self._bucket(key.terminal, key.stan, key.message_class)]
        cdef Outcome *entry
        while number != OUTCOME_NONE:
            entry = &self._entries[number]
            if (entry.key.stan == key.stan and entry.key.terminal == key.terminal
                    and entry.key.message_class == key.message_class and entry.key.occasion == key.occasion):
                return number
            number = entry.next_same_hash
        return OUTCOME_NONE

    cdef OutcomeHandle find_like(self, const NaturalKey *key, int64_t named_at, const uint8_t *pan, int pan_digits,
                                 int64_t amount_minor) noexcept nogil:
        """The newest outcome of the key's terminal, STAN and MTI class that differs in none of moment (``named_at``),
        card (``pan``) and amount, as far as both sides know them; OUTCOME_NONE when there is none."""
        cdef OutcomeHandle number = self._buckets[self._bucket(key.terminal, key.stan, key.message_class)]
        cdef Outcome *entry
        while number != OUTCOME_NONE:
            entry = &self._entries[number]
            if (entry.key.stan == key.stan and entry.key.terminal == key.terminal
                    and entry.key.message_class == key.message_class
                    and not (named_at and entry.named_at and named_at != entry.named_at)
                    and not (amount_minor >= 0 and entry.amount_minor >= 0 and amount_minor != entry.amount_minor)
                    and not (pan_digits and entry.pan_digits and (
                        pan_digits != entry.pan_digits or memcmp(pan, entry.pan, pan_digits) != 0))):
                return number             # chains are newest first
            number = entry.next_same_hash
        return OUTCOME_NONE

    cdef OutcomeHandle first_of(self, uint32_t terminal, uint32_t stan, uint32_t message_class) noexcept nogil:
        """The newest of the outcomes, chained by ``next_same_hash``, among which are all of such a request;
        OUTCOME_NONE when there is none."""
        return self._buckets[self._bucket(terminal, stan, message_class)]

    cdef uint32_t touched(self) noexcept nogil:
        """All outcomes have numbers below this; some may be free."""
        return self._untouched

    cdef int admits(self, uint32_t terminal, uint64_t size) noexcept nogil:
        """Whether a terminal's new outcome, with messages of about ``size`` bytes to store, finds its places.

        A terminal may hold a part of what is free, not of all: the more terminals flood, the less each of them gets,
        and something is left for the others.
        """
        cdef uint64_t places = places_for(size)
        cdef uint64_t free_places = self.room - self.held
        cdef uint64_t held = self._terminals.of[terminal].places
        cdef uint64_t share = share_of(free_places, self.share_percent, SHARE_LEAST)
        if places > free_places:
            return ADMISSION_FULL
        if held and held + places > share:
            return ADMISSION_SHARE
        return ADMITTED

    cdef OutcomeHandle open(self, const NaturalKey *key, uint64_t size) noexcept nogil:
        """A new outcome in flight; OUTCOME_NONE when it is not admitted."""
        cdef OutcomeHandle number
        if self.admits(key.terminal, size) != ADMITTED:
            return OUTCOME_NONE
        number = self._take(key)
        self._hold(&self._entries[number], places_for(size))
        return number

    cdef OutcomeHandle open_brief(self, const NaturalKey *key) noexcept nogil:
        """A new outcome that no issuer has a part in: old ones of its terminal go first. There is room for it where
        ``brief_open`` is at most ``brief_room``."""
        cdef OutcomeHandle number
        self._make_room_for_brief(key.terminal)
        number = self._take(key)
        self._entries[number].brief = True
        self.brief_open += 1
        return number

    cdef OutcomeHandle reopen(self, const NaturalKey *key, uint64_t size) noexcept nogil:
        """An outcome of before a restart: where no place is free the oldest makes room, which is counted; OUTCOME_NONE
        when all the room together is too small."""
        cdef uint64_t places = places_for(size)
        cdef OutcomeHandle number
        while places > self.room - self.held:
            if not self._forget_oldest():
                return OUTCOME_NONE
            self.forgotten_early += 1
        number = self._take(key)
        self._hold(&self._entries[number], <uint32_t>places)
        return number

    cdef OutcomeHandle _take(self, const NaturalKey *key) noexcept nogil:
        """An entry for a key, in no list yet."""
        cdef OutcomeHandle number = self._free
        cdef Outcome *entry = &self._entries[number]
        # As in the transaction pool: zeroed memory chains itself, each free entry to its neighbour. An entry that was
        # never used is not read before it is written: that would fault twice, and the second time interrupt all
        # processors that run this process.
        if number == self._untouched:
            ensure(number < self._entry_count, b"a free outcome lies within the window")
            self._untouched += 1
            self._free = number + 1
        else:
            ensure(entry.state == OUTCOME_FREE, b"no outcome is given out twice")
            self._free = number + 1 + entry.next_same_hash
        memset(entry, 0, sizeof(Outcome))
        self._serial += 1
        entry.serial = self._serial
        entry.key = key[0]
        entry.state = OUTCOME_IN_FLIGHT
        entry.transaction = TRANSACTION_NONE
        entry.advice_entry = SAF_NONE
        cdef uint32_t bucket = self._bucket(key.terminal, key.stan, key.message_class)
        entry.next_same_hash = self._buckets[bucket]
        self._buckets[bucket] = number
        self.in_use += 1
        return number

    cdef void _hold(self, Outcome *entry, uint32_t places) noexcept nogil:
        """Take or give back places, until the entry has so many."""
        cdef TerminalCount *terminal = &self._terminals.of[entry.key.terminal]
        ensure(self.held - entry.places + places <= self.room, b"no more places are held than there are")
        self.held += places - entry.places
        terminal.places += places - entry.places
        entry.places = places

    cdef Outcome *at(self, OutcomeHandle number) noexcept nogil:
        ensure(number < self._untouched, b"an outcome's number is of one that was given out")
        return &self._entries[number]

    cdef bint has_room(self, OutcomeHandle number, uint64_t size) noexcept nogil:
        """Whether so many bytes can be stored with an outcome that was opened."""
        return places_for(size) <= self._entries[number].places + self.room - self.held

    cdef int finish(self, OutcomeHandle number, const uint8_t *answer, uint32_t answer_size,
                    const uint8_t *sent, uint32_t sent_size, int64_t now_ns) noexcept nogil:
        """Store the answer of an outcome, and for an approved one the request as its link got it (``sent``).

        Returns 0, or -1 when there is no room for the two together.
        """
        cdef Outcome *entry = &self._entries[number]
        cdef uint32_t size = answer_size + sent_size
        if not self.has_room(number, size):
            return -1
        cdef uint64_t start = self._start_of(size)
        cdef uint64_t offset = start % self._stored_room
        # All bytes fit into the places that are held, and what stays empty before the ring's end into the spare ones.
        ensure(self._kept.count == 0
               or start + size - self._entries[self._kept.head].stored_at <= self._stored_room,
               b"stored bytes end before those of the oldest outcome")
        memcpy(self._stored + offset, answer, answer_size)
        if sent_size:
            memcpy(self._stored + offset + answer_size, sent, sent_size)
        self._stored_end = start + size
        entry.stored_at = start
        entry.answer_size = answer_size
        entry.sent_size = sent_size
        self._hold(entry, places_for(size))
        self._finish(number, &self._kept, now_ns)
        return 0

    cdef uint64_t _start_of(self, uint64_t size) noexcept nogil:
        """Where the next stored bytes begin: those of one outcome stand together, never around the ring's end."""
        cdef uint64_t offset = self._stored_end % self._stored_room
        if offset + size > self._stored_room:
            return self._stored_end + self._stored_room - offset
        return self._stored_end

    cdef void finish_without_answer(self, OutcomeHandle number, int reason, int64_t now_ns) noexcept nogil:
        """Finish an outcome whose answer cannot be stored: a repeat of it is known as one, and is told the reason."""
        ensure(not self._entries[number].brief, b"an outcome that an issuer has a part in is not brief")
        self._entries[number].reason = <uint8_t>reason
        self._entries[number].stored_at = self._stored_end
        self._hold(&self._entries[number], 1)
        self._finish(number, &self._kept, now_ns)

    cdef void finish_brief(self, OutcomeHandle number, int reason, int64_t now_ns) noexcept nogil:
        """Finish an outcome that no issuer had a part in: it gives its places back, and is one of the brief ones."""
        cdef Outcome *entry = &self._entries[number]
        cdef Outcome *newest
        cdef HandleSlot *place = &self._terminals.of[entry.key.terminal].newest_brief
        if entry.brief:
            ensure(self.brief_open > 0, b"a brief outcome that is open is counted")
            self.brief_open -= 1
        else:
            self._make_room_for_brief(entry.key.terminal)
            self._hold(entry, 0)
            entry.brief = True
        entry.reason = <uint8_t>reason
        if place[0] == 0:
            entry.next_own = number
            entry.own_count = 1
        else:
            newest = &self._entries[handle_in(place[0])]
            entry.next_own = newest.next_own
            newest.next_own = number
            entry.own_count = newest.own_count + 1
        place[0] = slot_of(number)
        self._finish(number, &self._brief, now_ns)

    cdef void _make_room_for_brief(self, uint32_t terminal) noexcept nogil:
        """Forget the terminal's oldest brief outcome if it has its share of them, else the oldest of all if there are
        as many as there may be, those in flight included."""
        cdef OutcomeHandle newest = handle_in(self._terminals.of[terminal].newest_brief)
        if newest != OUTCOME_NONE and self._entries[newest].own_count >= self.brief_share:
            self._forget_brief(self._entries[newest].next_own)
            self.brief_forgotten_early += 1
        while self._brief.count and self._brief.count + self.brief_open >= self.brief_room:
            self._forget_brief(self._brief.head)
            self.brief_forgotten_early += 1

    cdef void _forget_brief(self, OutcomeHandle number) noexcept nogil:
        """Forget a brief outcome that is the oldest of its terminal."""
        cdef Outcome *entry = &self._entries[number]
        cdef HandleSlot *place = &self._terminals.of[entry.key.terminal].newest_brief
        cdef Outcome *newest = &self._entries[handle_in(place[0])]
        ensure(place[0] != 0 and entry.brief, b"a brief outcome is its terminal's")
        ensure(newest.next_own == number and newest.own_count > 0, b"the oldest of a terminal is forgotten first")
        if newest.own_count == 1:
            place[0] = 0
        else:
            newest.next_own = entry.next_own
            newest.own_count -= 1
        self._remove(&self._brief, number)
        self._unlink(number)

    cdef void note_asked(self, OutcomeHandle number) noexcept nogil:
        """An issuer is asked: until this has ended it counts as its terminal's, and its original is not taken back."""
        cdef const Outcome *entry = &self._entries[number]
        cdef TerminalCount *terminal = &self._terminals.of[entry.key.terminal]
        ensure(self._entries[number].state == OUTCOME_IN_FLIGHT and not self._entries[number].is_counted,
               b"an issuer is asked once for an outcome in flight")
        self._entries[number].is_counted = True
        terminal.asked += 1
        if entry.refers_to:
            self.referring.begin(entry.refers_to)

    cdef void _note_end(self, Outcome *entry) noexcept nogil:
        cdef TerminalCount *terminal = &self._terminals.of[entry.key.terminal]
        if entry.is_counted:
            entry.is_counted = False
            ensure(terminal.asked > 0, b"a request that an issuer has is counted")
            terminal.asked -= 1
            if entry.refers_to:
                self.referring.end(entry.refers_to)

    cdef void _finish(self, OutcomeHandle number, OutcomeList *finished, int64_t now_ns) noexcept nogil:
        cdef Outcome *entry = &self._entries[number]
        ensure(entry.state == OUTCOME_IN_FLIGHT, b"an outcome is finished once")
        self._note_end(entry)
        entry.finished_ns = now_ns
        entry.state = OUTCOME_FINISHED
        entry.transaction = TRANSACTION_NONE
        entry.next = OUTCOME_NONE
        entry.previous = finished.tail
        if finished.tail == OUTCOME_NONE:
            finished.head = number
        else:
            self._entries[finished.tail].next = number
        finished.tail = number
        finished.count += 1

    cdef void _remove(self, OutcomeList *finished, OutcomeHandle number) noexcept nogil:
        cdef OutcomeHandle next = self._entries[number].next
        cdef OutcomeHandle previous = self._entries[number].previous
        ensure(finished.count > 0 and self._entries[number].state == OUTCOME_FINISHED, b"a list has finished outcomes")
        if previous == OUTCOME_NONE:
            ensure(finished.head == number, b"an outcome that none precedes is its list's first")
            finished.head = next
        else:
            ensure(self._entries[previous].next == number, b"who precedes an outcome points at it")
            self._entries[previous].next = next
        if next == OUTCOME_NONE:
            ensure(finished.tail == number, b"an outcome that none follows is its list's last")
            finished.tail = previous
        else:
            ensure(self._entries[next].previous == number, b"who follows an outcome points at it")
            self._entries[next].previous = previous
        finished.count -= 1

    cdef void forget(self, OutcomeHandle number) noexcept nogil:
        """Forget an outcome that is in flight, as if its request had not come."""
        ensure(self._entries[number].state == OUTCOME_IN_FLIGHT, b"only an outcome in flight is as if it had not come")
        ensure(self._entries[number].queued == 0, b"an outcome in flight was told to nobody")
        ensure(self.brief_open >= self._entries[number].brief, b"a brief outcome that is forgotten is counted")
        self.brief_open -= self._entries[number].brief
        self._note_end(&self._entries[number])
        self._unlink(number)

    cdef uint32_t will_tell(self, OutcomeHandle number) noexcept nogil:
        """A frame that tells the approval has been queued: until one leaves the outcome is kept, whatever must go. The
        frame keeps the serial that is returned."""
        cdef Outcome *entry = &self._entries[number]
        ensure(entry.state == OUTCOME_FINISHED and entry.approved, b"only an approval has to be told")
        if entry.queued == 0 and not entry.told:
            self.untold += 1
        entry.queued += 1
        return entry.serial

    cdef bint holds(self, OutcomeHandle number, uint32_t serial) noexcept nogil:
        """Whether an entry still holds the outcome that had this serial. Where not, it had been told before."""
        return self._entries[number].serial == serial and self._entries[number].state != OUTCOME_FREE

    cdef void tell(self, OutcomeHandle number, uint32_t serial) noexcept nogil:
        """A frame that tells the approval has left."""
        cdef Outcome *entry = &self._entries[number]
        if not self.holds(number, serial):
            return
        ensure(entry.queued > 0, b"a frame that has left was queued")
        entry.queued -= 1
        if not entry.told:
            ensure(self.untold > 0, b"an approval that is told was counted as untold")
            entry.told = True
            self.untold -= 1

    cdef bint fail_to_tell(self, OutcomeHandle number) noexcept nogil:
        """A frame that tells the approval will never leave; True when no other has left or still may."""
        cdef Outcome *entry = &self._entries[number]
        ensure(entry.queued > 0, b"a frame that never leaves was queued")
        entry.queued -= 1
        if entry.told or entry.queued:
            return False
        ensure(self.untold > 0, b"an approval that is never told was counted as untold")
        self.untold -= 1
        return True

    cdef int ties(self, OutcomeHandle number) noexcept nogil:
        """What stands, or may yet stand, because of an approval: it must not be taken back then as if its terminal did
        not know of it. It refers to it; or, where the approval is the void of something, it has taken its place."""
        cdef const Outcome *entry = &self._entries[number]
        cdef const Outcome *undone
        cdef OutcomeHandle begun
        cdef int found
        if not entry.has_ties:
            return TIES_NONE
        found = self._references(entry.intent, 0, 0)
        begun = self.begun_at(entry.refers_to)
        if begun == OUTCOME_NONE:
            return found
        undone = &self._entries[begun]
        return max(found, self._references(undone.refers_to, undone.intent, entry.serial))

    cdef int _references(self, int64_t position, int64_t but, uint32_t after) noexcept nogil:
        """The ties of what refers to a position, besides what begins at ``but``, and came after a serial."""
        cdef const Outcome *other
        cdef int found = TIES_NONE
        cdef OutcomeHandle number
        for number in range(self.touched() if position else 0):
            other = &self._entries[number]
            if (other.state == OUTCOME_FREE or other.refers_to != position or other.serial <= after
                    or (but and other.intent == but) or not stands(other)):
                continue
            if other.state == OUTCOME_FINISHED:
                return TIES_STAND
            found = TIES_OPEN
        return found

    cdef OutcomeHandle begun_at(self, int64_t position) noexcept nogil:
        """The entry whose INTENT or ADVICE stands at a position; OUTCOME_NONE when there is none."""
        cdef OutcomeHandle number
        for number in range(self.touched() if position else 0):
            if self._entries[number].state == OUTCOME_FINISHED and self._entries[number].intent == position:
                return number
        return OUTCOME_NONE

    cdef const uint8_t *answer(self, OutcomeHandle number) noexcept nogil:
        """The stored answer of a finished outcome: ``answer_size`` bytes, the terminal's message without its frame."""
        ensure(self._entries[number].state == OUTCOME_FINISHED, b"an answer that is read is of a finished outcome")
        return self._stored + self._entries[number].stored_at % self._stored_room

    cdef const uint8_t *sent(self, OutcomeHandle number) noexcept nogil:
        """The approved request as its link got it: ``sent_size`` bytes."""
        return self.answer(number) + self._entries[number].answer_size

    cdef void expire(self, int64_t now_ns) noexcept nogil:
        """Forget finished outcomes that are older than the window, some at a time."""
        cdef int _
        for _ in range(EXPIRED_A_CALL):
            if self._kept.count == 0 or now_ns - self._entries[self._kept.head].finished_ns <= self.age_max_ns:
                break
            if not self._forget_oldest():
                break
        for _ in range(EXPIRED_A_CALL):
            if self._brief.count == 0 or now_ns - self._entries[self._brief.head].finished_ns <= self.age_max_ns:
                break
            self._forget_brief(self._brief.head)

    cdef void shift(self, int64_t by_ns) noexcept nogil:
        """Count the time of what is finished from another beginning."""
        self._shift(&self._kept, by_ns)
        self._shift(&self._brief, by_ns)

    cdef void _shift(self, const OutcomeList *finished, int64_t by_ns) noexcept nogil:
        cdef OutcomeHandle number = finished.head
        while number != OUTCOME_NONE:
            self._entries[number].finished_ns += by_ns
            number = self._entries[number].next

    cdef bint _forget_oldest(self) noexcept nogil:
        """Forget the oldest finished outcome; False when there is none, or its approval has yet to be told."""
        cdef OutcomeHandle number = self._kept.head
        if number == OUTCOME_NONE or (self._entries[number].queued and not self._entries[number].told):
            return False
        self._remove(&self._kept, number)
        self._unlink(number)
        return True

    cdef void _unlink(self, OutcomeHandle number) noexcept nogil:
        cdef Outcome *entry = &self._entries[number]
        cdef const NaturalKey *key = &entry.key
        cdef OutcomeHandle *place = &self._buckets[self._bucket(key.terminal, key.stan, key.message_class)]
        ensure(entry.state != OUTCOME_FREE and self.in_use > 0, b"no outcome is forgotten twice")
        ensure(not entry.is_counted, b"an outcome that is forgotten refers to nothing any more")
        while place[0] != number:
            ensure(place[0] < self._untouched, b"an outcome is in its bucket's chain")
            place = &self._entries[place[0]].next_same_hash
        place[0] = entry.next_same_hash
        self._hold(entry, 0)
        entry.state = OUTCOME_FREE
        entry.next_same_hash = self._free - number - 1
        self._free = number
        self.in_use -= 1
