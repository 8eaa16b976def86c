"""The duplicate window: what became of each natural key, so that no request is forwarded twice (invariant I4)."""

import secrets

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from switch.transaction cimport TRANSACTION_NONE


@cython.final
cdef class DuplicateWindow:
    """Outcomes by natural key.

    Args:
        room: Outcomes at most, those in flight included.
        stored_bytes: Bytes of stored answers, and of approved requests as they went to their link, at most.
        age_max_seconds: A finished outcome older than this is forgotten.
    """

    def __cinit__(self, uint32_t room, uint64_t stored_bytes, double age_max_seconds):
        if not 1 <= room <= 50_000_000:
            raise ValueError(f"room for outcomes is {room}, must be 1 to 50,000,000")
        cdef uint32_t buckets = 16
        while buckets < room:
            buckets *= 2
        self._entries = <Outcome *>calloc(room, sizeof(Outcome))
        self._order = <uint32_t *>malloc(<size_t>room * sizeof(uint32_t))
        self._buckets = <uint32_t *>malloc(<size_t>buckets * sizeof(uint32_t))
        self._stored = <uint8_t *>malloc(stored_bytes)
        if self._entries == NULL or self._order == NULL or self._buckets == NULL or self._stored == NULL:
            raise MemoryError
        memset(self._buckets, 0xFF, <size_t>buckets * sizeof(uint32_t))
        self._bucket_mask = buckets - 1
        self._stored_room = stored_bytes
        self.room = room
        self.age_max_ns = <int64_t>(age_max_seconds * 1e9)
        secret = secrets.token_bytes(16)
        self._secret[0] = int.from_bytes(secret[:8], "big")
        self._secret[1] = int.from_bytes(secret[8:], "big")

    def __dealloc__(self):
        free(self._entries)
        free(self._order)
        free(self._buckets)
        free(self._stored)

    cdef uint32_t _bucket(self, uint32_t terminal, uint32_t stan, uint32_t message_class) noexcept nogil:
        # Two rounds of a keyed multiply-and-fold: terminals choose their STANs, but must not choose the place.
        cdef uint64_t mixed = ((<uint64_t>terminal << 32) | stan) ^ self._secret[0]
        mixed = (mixed ^ (mixed >> 32)) * (self._secret[1] | 1)
        mixed ^= <uint64_t>message_class << 56
        mixed = (mixed ^ (mixed >> 29)) * <uint64_t>0x9E3779B97F4A7C15
        return <uint32_t>(mixed >> 32) & self._bucket_mask

    cdef uint32_t find(self, const NaturalKey *key) noexcept nogil:
        """The outcome of exactly this natural key, or OUTCOME_NONE."""
        cdef uint32_t number = self._buckets[self._bucket(key.terminal, key.stan, key.message_class)]
        cdef Outcome *entry
        while number != OUTCOME_NONE:
            entry = &self._entries[number]
            if (entry.key.stan == key.stan and entry.key.terminal == key.terminal
                    and entry.key.message_class == key.message_class and entry.key.occasion == key.occasion):
                return number
            number = entry.next_same_hash
        return OUTCOME_NONE

    cdef uint32_t find_named(self, const NaturalKey *key, int64_t named_at, const uint8_t *pan, int pan_digits,
                             bint *others) noexcept nogil:
        """The outcome that a reversal names by terminal, STAN and MTI class, or OUTCOME_NONE.

        Card (``pan``) and moment (``named_at``) must be its own where both sides know them. Of several, as they occur
        where terminals begin their STANs anew, it is the one with the key's date and time or batch, else the newest.
        ``others`` is set when only outcomes of another card or moment have that number.
        """
        cdef uint32_t number = self._buckets[self._bucket(key.terminal, key.stan, key.message_class)]
        cdef uint32_t found = OUTCOME_NONE
        cdef Outcome *entry
        while number != OUTCOME_NONE:
            entry = &self._entries[number]
            if (entry.key.stan == key.stan and entry.key.terminal == key.terminal
                    and entry.key.message_class == key.message_class):
                if (named_at and entry.named_at and named_at != entry.named_at) or (
                        pan_digits and entry.pan_digits
                        and (pan_digits != entry.pan_digits or memcmp(pan, entry.pan, pan_digits) != 0)):
                    others[0] = True
                elif entry.key.occasion == key.occasion:
                    return number
                elif found == OUTCOME_NONE:
                    found = number       # chains are newest first
            number = entry.next_same_hash
        return found

    cdef uint32_t open(self, const NaturalKey *key) noexcept nogil:
        """A new outcome in flight; OUTCOME_NONE when all the room is taken by what must not be forgotten."""
        if self.in_use == self.room:
            if not self._forget_oldest():
                return OUTCOME_NONE
            self.forgotten_early += 1
        cdef uint32_t number = self._free
        cdef Outcome *entry = &self._entries[number]
        # As in the transaction pool: zeroed memory chains itself, each free entry to its neighbour. An entry that was
        # never used is not read before it is written: that would fault twice, and the second time interrupt all
        # processors that run this process.
        if number == self._untouched:
            self._untouched += 1
            self._free = number + 1
        else:
            self._free = number + 1 + entry.next_same_hash
        memset(entry, 0, sizeof(Outcome))
        self._serial += 1
        entry.serial = self._serial
        entry.key = key[0]
        entry.state = OUTCOME_IN_FLIGHT
        entry.transaction = TRANSACTION_NONE
        cdef uint32_t bucket = self._bucket(key.terminal, key.stan, key.message_class)
        entry.next_same_hash = self._buckets[bucket]
        self._buckets[bucket] = number
        self.in_use += 1
        return number

    cdef Outcome *at(self, uint32_t number) noexcept nogil:
        return &self._entries[number]

    cdef int finish(self, uint32_t number, const uint8_t *answer, uint32_t answer_size,
                    const uint8_t *sent, uint32_t sent_size, int64_t now_ns) noexcept nogil:
        """Store the answer of an outcome, and for an approved one the request as its link got it (``sent``).

        Returns 0, or -1 when there is no room for the two together.
        """
        cdef Outcome *entry = &self._entries[number]
        cdef uint32_t size = answer_size + sent_size
        if not self.make_room(size):
            return -1
        cdef uint64_t start = self._start_of(size)
        cdef uint64_t offset = start % self._stored_room
        memcpy(self._stored + offset, answer, answer_size)
        if sent_size:
            memcpy(self._stored + offset + answer_size, sent, sent_size)
        self._stored_end = start + size
        entry.stored_at = start
        entry.answer_size = answer_size
        entry.sent_size = sent_size
        self._append(number, now_ns)
        return 0

    cdef uint64_t _start_of(self, uint64_t size) noexcept nogil:
        """Where the next stored bytes begin: those of one outcome stand together, never around the ring's end."""
        cdef uint64_t offset = self._stored_end % self._stored_room
        if offset + size > self._stored_room:
            return self._stored_end + self._stored_room - offset
        return self._stored_end

    cdef bint make_room(self, uint64_t size) noexcept nogil:
        """Forget old outcomes until ``size`` bytes can be stored; False when what must be kept is in the way."""
        cdef uint64_t end
        if size > self._stored_room:
            return False
        end = self._start_of(size) + size
        while self._order_count and end - self._entries[self._order[self._order_first]].stored_at > self._stored_room:
            if not self._forget_oldest():
                return False
            self.forgotten_early += 1
        return True

    cdef void finish_without_answer(self, uint32_t number, int64_t now_ns) noexcept nogil:
        """Finish an outcome whose answer cannot be stored: a repeat of it is known as one, and that is all."""
        self._entries[number].stored_at = self._stored_end
        self._append(number, now_ns)

    cdef void _append(self, uint32_t number, int64_t now_ns) noexcept nogil:
        cdef Outcome *entry = &self._entries[number]
        entry.finished_ns = now_ns
        entry.state = OUTCOME_FINISHED
        entry.transaction = TRANSACTION_NONE
        self._order[(self._order_first + self._order_count) % self.room] = number
        self._order_count += 1

    cdef void forget(self, uint32_t number) noexcept nogil:
        """Forget an outcome that is in flight, as if its request had not come."""
        self._unlink(number)

    cdef uint32_t will_tell(self, uint32_t number) noexcept nogil:
        """A frame that tells the approval has been queued: until one leaves the outcome is kept, whatever must go. The
        frame keeps the serial that is returned."""
        cdef Outcome *entry = &self._entries[number]
        if entry.queued == 0 and not entry.told:
            self.untold += 1
        entry.queued += 1
        return entry.serial

    cdef bint holds(self, uint32_t number, uint32_t serial) noexcept nogil:
        """Whether an entry still holds the outcome that had this serial. Where not, it had been told before."""
        return self._entries[number].serial == serial and self._entries[number].state != OUTCOME_FREE

    cdef void tell(self, uint32_t number, uint32_t serial) noexcept nogil:
        """A frame that tells the approval has left."""
        cdef Outcome *entry = &self._entries[number]
        if not self.holds(number, serial):
            return
        entry.queued -= 1
        if not entry.told:
            entry.told = True
            self.untold -= 1

    cdef bint fail_to_tell(self, uint32_t number) noexcept nogil:
        """A frame that tells the approval will never leave; True when no other has left or still may."""
        cdef Outcome *entry = &self._entries[number]
        entry.queued -= 1
        if entry.told or entry.queued:
            return False
        self.untold -= 1
        return True

    cdef const uint8_t *answer(self, uint32_t number) noexcept nogil:
        """The stored answer of a finished outcome: ``answer_size`` bytes, the terminal's message without its frame."""
        return self._stored + self._entries[number].stored_at % self._stored_room

    cdef const uint8_t *sent(self, uint32_t number) noexcept nogil:
        """The approved request as its link got it: ``sent_size`` bytes."""
        return self.answer(number) + self._entries[number].answer_size

    cdef void expire(self, int64_t now_ns) noexcept nogil:
        """Forget finished outcomes that are older than the window."""
        while self._order_count:
            if now_ns - self._entries[self._order[self._order_first]].finished_ns <= self.age_max_ns:
                return
            if not self._forget_oldest():
                return

    cdef bint _forget_oldest(self) noexcept nogil:
        """Forget the oldest finished outcome; False when there is none, or its approval has yet to be told."""
        if self._order_count == 0:
            return False
        cdef uint32_t number = self._order[self._order_first]
        if self._entries[number].queued and not self._entries[number].told:
            return False
        self._order_first = (self._order_first + 1) % self.room
        self._order_count -= 1
        self._unlink(number)
        return True

    cdef void _unlink(self, uint32_t number) noexcept nogil:
        cdef Outcome *entry = &self._entries[number]
        cdef uint32_t *place = &self._buckets[self._bucket(entry.key.terminal, entry.key.stan, entry.key.message_class)]
        while place[0] != number:
            place = &self._entries[place[0]].next_same_hash
        place[0] = entry.next_same_hash
        entry.state = OUTCOME_FREE
        entry.next_same_hash = self._free - number - 1
        self._free = number
        self.in_use -= 1
