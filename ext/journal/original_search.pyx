"""Finds originals in the journal: which transaction is meant, and what has become of it.

It reads beside whoever writes, in a thread of its own. What it knows of a segment that is sealed is in an index beside
it (``placing``); the segment that is being written is read on before each look-up.
"""

import contextlib

cimport cython
from libc.string cimport memcpy
from switch.base.calendar cimport date_of
from switch.base.siphash cimport SipKey
from switch.journal.original_index cimport key_of_card, key_of_number, key_of_position, key_of_reference, key_of_rrn
from switch.journal.record_time cimport elapsed_of
from switch.journal.records cimport (
    FLAG_APPROVED, RECORD_ADVICE, RECORD_CANCELLED, RECORD_CLAIM, RECORD_CLAIM_STATE, RECORD_CLOSED, RECORD_INTENT,
    RECORD_OUTCOME, RECORD_REFERS, RECORD_REVERSAL, RECORD_REVERSED,
)
from switch.journal.replay cimport Segment
from switch.machine.claims cimport CLAIM_GONE, CLAIM_OPEN, CLAIM_STANDS, KeptClaim, SaidState, is_claim
from switch.machine.original_reference cimport LIKE_NOT, describe_request, likeness
from switch.machine.originals cimport VOIDS, Choice
from switch.machine.saf_store cimport takes_back

from switch.journal.replay import JournalDamaged

cdef enum:
    PAN_ROOM = 20
    OPENED_MAX = 1_024        # transactions of one key that are read, the newest: STANs begin anew, daily or more often
    CANDIDATES_MAX = 64       # of these, those that may be meant and are looked at closely
    REFERENCES_MAX = 512      # requests that refer to others, that are looked at for one look-up
    PROBES_MAX = 65_536       # times that the index of a segment is searched for them: some tenths of a second
    NOT_KNOWN = -1

DAY_US = 86_400_000_000


@cython.final
cdef class Names(Visitor):

    cdef int take_names(self, dict links, dict listeners, dict numbers) except -1:
        self.links = links
        return 0

    cdef int take_clock(self, str boot, int64_t offset_ns, int64_t elapsed_ns) except -1:
        self.elapsed_ns = elapsed_ns
        return 0


@cython.final
cdef class Picker(Visitor):

    cdef int take(self, const Record *record) except -1:
        if self.number == 0 and not self.is_found:
            self.is_found = True
            self.record = record[0]
            self.message = (<const char *>record.message)[:record.message_size] if record.message != NULL else b""
            self.record.message = NULL
        elif self.number:
            self.number -= 1
        return 0


cdef bint _undoes(const Record *record, int64_t position) noexcept nogil:
    """Whether a record takes back what begins at a position: by a reversal, or by an advice that is never sent."""
    if record.head.type == RECORD_REVERSAL:
        return record.reversal.original == position
    return (record.head.type == RECORD_CANCELLED and record.cancelled.original == position
            and takes_back(record.cancelled.cause))


@cython.final
cdef class Finder:
    """The journal of one directory. Not for use by two threads at once.

    Args:
        disk: The directory, or another hold on it.
        wrapping_keys: As ``JournalReader`` takes them.
        days: How far back an original is looked for.
        files: Keep the indexes of sealed segments in files beside them, instead of in memory.
        probes: How often indexes are searched, in one look-up, for what refers to originals.
    """

    def __init__(self, Disk disk not None, bytes wrapping_keys not None, *, double days, bint files=True,
                 uint32_t probes=PROBES_MAX):
        self.reader = JournalReader(disk, wrapping_keys)
        self.files = files
        self.probes = probes
        self.reach_us = <int64_t>(days * DAY_US)
        memcpy(&self._key, <const char *>self.reader.index_secret, sizeof(SipKey))
        self._indexes = []
        self._names = {}
        self._unreadable = set()
        self.refresh()

    # --- what it knows --------------------------------------------------------------------------------------------

    @property
    def position(self):
        """Of the last record that it has read."""
        return (<SegmentIndex>self._indexes[-1]).next_position - 1 if self._indexes else 0

    @property
    def damaged(self):
        """Segments that are there and could not be read."""
        return len(self._unreadable)

    @property
    def unindexed(self):
        """Sealed segments within reach whose index is not made yet."""
        return sum([not self._is_complete(number) for number in range(self._first, len(self._indexes) - 1)])

    def refresh(self):
        """See which segments there are, and read on in the last one.

        Raises:
            OSError: The directory or the last segment cannot be read.
            JournalDamaged: A segment's head, or a whole batch of the last segment, cannot be read.
        """
        cdef SegmentIndex index
        cdef dict known = {(<SegmentIndex>index).segment.name: index for index in self._indexes}
        cdef Segment segment
        self.reader.look_again()
        self._indexes = []
        for segment in self.reader.segments:
            index = known.get(segment.name)
            if index is None:
                index = SegmentIndex(self.reader, segment)
                if self.files:
                    index.open_file()
            self._indexes.append(index)
        self._names = {name: names for name, names in self._names.items() if name in known}
        self._unreadable &= {segment.name for segment in self.reader.segments}
        self._find_reach()
        if self._indexes:
            # The last one is being written. What others lack of theirs is read when it is needed.
            self._read_on(self._indexes[-1])

    def index_one(self):
        """Make the index of one sealed segment within reach, the newest that has none; whether there was one.

        Raises:
            OSError: A segment cannot be read, or the disk does not take an index: that stays in memory.
            JournalDamaged: A segment cannot be read.
        """
        cdef int number
        for number in range(len(self._indexes) - 2, self._first - 1, -1):
            if not self._is_complete(number):
                self._index(number)
                return True
        for number in range(len(self._indexes) - 1):
            if self._lacks_file(number):
                (<SegmentIndex>self._indexes[number]).write_file()
                return True
        return False

    cdef int _find_reach(self) except -1:
        """See which is the first segment in which an original may stand."""
        cdef int number
        cdef int64_t begun_ns, newest_ns = NOT_KNOWN
        self._first = 0
        for number in range(len(self._indexes) - 1, -1, -1):
            begun_ns = self._begun_ns(self._indexes[number])
            if begun_ns == NOT_KNOWN:
                continue
            if newest_ns == NOT_KNOWN:
                newest_ns = begun_ns
            elif begun_ns < newest_ns - self.reach_us * 1000:
                self._first = number
                break
        return 0

    cdef int64_t _begun_ns(self, SegmentIndex index) except? -1:
        """When a segment begins, by the journal's own time: a clock that is set puts nothing out of reach."""
        cdef Names names
        try:
            names = self._names_of(index)
        except (OSError, JournalDamaged):
            return NOT_KNOWN
        # A version before wrote down no time but the wall clock's.
        return names.elapsed_ns if names.elapsed_ns > 0 else index.segment.created_us * 1000

    def _is_complete(self, int number):
        """Whether the index of a sealed segment holds all of it."""
        cdef SegmentIndex index = self._indexes[number]
        return (index.segment.name in self._unreadable or number + 1 < len(self._indexes) and index.next_position
                == (<SegmentIndex>self._indexes[number + 1]).segment.first_position)

    def _lacks_file(self, int number):
        """Whether a disk did not take the index of a segment that is known."""
        cdef SegmentIndex index = self._indexes[number]
        return (self.files and not index.is_filed and index.segment.name not in self._unreadable
                and self._is_complete(number))

    def _read_on(self, SegmentIndex index not None):
        if index.segment.name in self._unreadable:
            return
        try:
            index.read_on()
        except JournalDamaged:
            self._unreadable.add(index.segment.name)
            raise

    def _index(self, int number):
        """Read a sealed segment to its end, and keep its index: in memory, where the disk does not take it."""
        cdef SegmentIndex index = self._indexes[number]
        if index.is_filed:
            # Of what stood here before, such as the files that a copy of the journal was put back over.
            index.forget_file()
        self._read_on(index)
        if not self._is_complete(number) and index.segment.name not in self._unreadable:
            # Something in it cannot be read. What stands before that is found all the same.
            self._unreadable.add(index.segment.name)
        elif self._lacks_file(number):
            with contextlib.suppress(OSError):
                index.write_file()

    cdef list _places_of(self, int number, uint64_t key):
        """Where the records with a key stand in a segment; its index is made anew where its file is not what it was."""
        cdef SegmentIndex index = self._indexes[number]
        if index.is_filed:
            try:
                return index.places_of(key)
            except OSError:
                index.forget_file()
                self._index(number)
        return index.places_of(key)

    # --- looking --------------------------------------------------------------------------------------------------

    def find(self, Wanted wanted not None, int64_t local_offset_s=0):
        """The original that is wanted, with all that the journal knows of it; None when there is none, or more than one
        may be meant, or (``is_cut_off``) more than is looked at. Where it is a claim, ``wanted`` knows it afterwards.

        Args:
            wanted: What is asked; the journal must have been read (``refresh``) up to its ``asked_at``.
            local_offset_s: Of the acquirer's time zone, for dates without a time.

        Raises:
            OSError: A file cannot be read.
            JournalDamaged: A record that is wanted cannot be read.
        """
        self._offset_s = local_offset_s
        self._index_from(self._first)
        if wanted.said is not None:
            self._begin_look_up()
            wanted.kept = self._claim_at((<SaidState>wanted.said).body.position)
            return None
        return self._look_for(wanted)

    def became_of(self, int64_t position, int kind):
        """What became of a request: a state, as of claims, and the part that was approved, 0 for all or nothing. It is
        open where nobody knows, as where a part of the journal cannot be read.

        Args:
            position: Where it begins.
            kind: Of what it does.

        Raises:
            OSError: A file cannot be read.
            JournalDamaged: A record that is wanted cannot be read.
        """
        cdef int first = max(self._segment_of(position), 0)
        cdef int64_t part
        self._index_from(first)
        self._begin_look_up()
        part = self._standing_part(position, kind, first)
        if self._is_cut or self._is_damaged_from(first):
            return CLAIM_OPEN, 0
        if part < 0:
            return CLAIM_GONE, 0
        if self._is_decided:
            return CLAIM_STANDS, part
        return CLAIM_OPEN, 0

    def _index_from(self, int first):
        """Make the indexes of sealed segments that are wanted, and not made yet."""
        for number in range(first, len(self._indexes) - 1):
            if not self._is_complete(number):
                self._index(number)

    cdef void _begin_look_up(self) noexcept:
        self._references_left = REFERENCES_MAX
        self._probes_left = self.probes
        self._is_void_loose = False
        self._is_cut = False
        self.is_cut_off = False

    cdef object _look_for(self, Wanted wanted):
        cdef const Naming *naming = &wanted.naming
        cdef SegmentIndex index
        cdef Choice choice = Choice()
        cdef Candidate candidate
        cdef Original original
        cdef uint8_t pan[PAN_ROOM]
        cdef int like, number
        cdef list keys = [key_of_number(&self._key, naming.terminal, naming.stan)]
        cdef set seen = set()
        cdef int first = self._first
        cdef uint32_t opened, left
        self._begin_look_up()
        if naming.rrn[0]:
            keys.append(key_of_rrn(&self._key, naming.rrn))
        if not naming.says and naming.is_whole and naming.pan_digits and naming.amount_minor >= 0:
            keys.append(key_of_card(&self._key, naming.terminal, naming.pan, naming.pan_digits, naming.amount_minor))
        for key in keys:
            opened, left = OPENED_MAX, CANDIDATES_MAX
            for number in range(len(self._indexes) - 1, first - 1, -1):
                index = self._indexes[number]
                for offset, record in reversed(self._places_of(number, key)):
                    if (number, offset, record) in seen:
                        continue
                    if opened == 0 or left == 0:
                        self.is_cut_off = True
                        break
                    opened -= 1
                    seen.add((number, offset, record))
                    original = self._open(index, offset, record)
                    if original is None or naming.elapsed_ns - original.elapsed_ns > self.reach_us * 1000:
                        continue
                    self._describe(original, naming, pan, &candidate)
                    # Whatever part of it was approved, it cannot be meant: it is not looked at closely, nor counted.
                    candidate.approved_minor = naming.amount_minor
                    if likeness(naming, &candidate) == LIKE_NOT:
                        continue
                    left -= 1
                    self._complete(original, number)
                    candidate.approved_minor = original.approved_minor
                    like = likeness(naming, &candidate)
                    if like != LIKE_NOT:
                        if not naming.is_whole:
                            self._count_references(original, number)
                        choice.offer(original, like, original.stands(), original.position)
        # Of the same sort there may be another one among what was not looked at.
        original = None if self.is_cut_off and not choice.is_exact() else choice.chosen()
        if original is not None and naming.is_whole:
            self._add_ties(original)
        if original is not None:
            original.is_torn = self.position < wanted.asked_at or self._is_damaged_from(
                self._segment_of(original.position))
        return original

    cdef bint _is_damaged_from(self, int first) except -1:
        """Whether a segment from this one on could not be read."""
        return any([(<SegmentIndex>self._indexes[number]).segment.name in self._unreadable
                    for number in range(max(first, 0), len(self._indexes))])

    cdef void _describe(self, Original original, const Naming *naming, uint8_t *pan, Candidate *candidate) noexcept:
        """What an original is to be compared by; its card number in digits is kept at ``pan``."""
        describe_request(&original.request, pan, candidate)
        candidate.rrn = original.rrn
        candidate.date = date_of(original.wall_us // 1_000_000 + self._offset_s)
        candidate.age_s = (naming.elapsed_ns - original.elapsed_ns) // 1_000_000_000

    cdef int _add_ties(self, Original original) except -1:
        """Add what a reversal has to know of its original: what refers to it, and what it has undone itself."""
        cdef Original undone, whole
        self._count_references(original, self._segment_of(original.position))
        if not VOIDS >> original.request.kind & 1:
            return 0
        undone = original.referred_to = self._original_at(original.request.refers_to)
        if undone is not None:
            whole = undone.referred_to = self._original_at(undone.request.refers_to)
            if whole is not None:
                self._count_references(whole, self._segment_of(whole.position))
        return 0

    cdef int _segment_of(self, int64_t position):
        """The number of the segment in which a position stands; -1 where that is not there any more."""
        cdef int number = len(self._indexes) - 1
        while number >= 0 and (<SegmentIndex>self._indexes[number]).segment.first_position > position:
            number -= 1
        return number

    cdef Original _original_at(self, int64_t position):
        """What begins at a position, with what became of it; None where there is nothing, or not any more."""
        cdef int number = self._segment_of(position) if position and not is_claim(position) else -1
        cdef Original original
        if number < 0:
            return None
        offset, record = self.reader.place_of((<SegmentIndex>self._indexes[number]).segment, position)
        original = self._open(self._indexes[number], offset, record)
        if original is not None:
            self._complete(original, number)
        return original

    cdef Original _open(self, SegmentIndex index, uint64_t offset, uint32_t number):
        """The transaction that begins with a record; None when it is no INTENT or ADVICE."""
        cdef Picker picker = self._pick(index, offset, number)
        cdef Record *record = &picker.record
        cdef Original original
        if not picker.is_found or record.head.type not in (RECORD_INTENT, RECORD_ADVICE):
            return None
        original = Original.__new__(Original)
        original.request = record.request
        original.position = record.position
        original.wall_us = record.head.wall_us
        original.elapsed_ns = elapsed_of(&record.head, self._names_of(index).elapsed_ns)
        if original.elapsed_ns < 0:          # of a version that wrote down no time but the wall clock's
            original.elapsed_ns = record.head.wall_us * 1000
        original.message = picker.message
        original.is_advice = record.head.type == RECORD_ADVICE
        if original.is_advice:
            memcpy(original.rrn, record.advice.rrn, sizeof(original.rrn))
            memcpy(original.authorization_code, record.advice.authorization_code, 6)
        else:
            memcpy(original.rrn, record.intent.rrn, sizeof(original.rrn))
        original.link = self._names_of(index).links.get(
            record.advice.link if original.is_advice else record.intent.link, "")
        return original

    def _pick(self, SegmentIndex index not None, uint64_t offset, uint32_t number):
        cdef Picker picker = Picker()
        picker.number = number
        self.reader.read_at(index.segment, offset, picker)
        return picker

    cdef Names _names_of(self, SegmentIndex index):
        """What a segment begins with."""
        cdef Names names = self._names.get(index.segment.name)
        if names is None:
            names = Names.__new__(Names)
            names.links = {}
            self.reader.read_names_of(index.segment, names)
            self._names[index.segment.name] = names
        return names

    cdef int _complete(self, Original original, int first) except -1:
        """Add what became of it."""
        cdef Picker picker
        cdef Record *record
        for picker in self._records_of(key_of_position(&self._key, original.position), first):
            record = &picker.record
            if record.head.type == RECORD_OUTCOME and record.outcome.intent == original.position:
                original.has_ended = True
                original.is_approved = record.outcome.flags & FLAG_APPROVED != 0
                original.approved_minor = record.approved_minor
                memcpy(original.authorization_code, record.outcome.authorization_code, 6)
            elif _undoes(record, original.position):
                original.is_taken_back = True
            elif ((record.head.type == RECORD_REVERSED and record.reversed.original == original.position)
                    or (record.head.type == RECORD_CLOSED and record.closed.original == original.position)):
                original.is_unbooked = original.is_advice       # it was declined, or an operator has given it up
            elif record.head.type == RECORD_REFERS and record.refers.request == original.position:
                original.request.refers_to = record.refers.refers_to
        return 0

    cdef int _count_references(self, Original original, int first) except -1:
        """Add what refers to it, and stands; or that it is too much to look at."""
        cdef Picker picker
        cdef Record *record
        cdef int64_t part
        for picker in self._references_to(original.position, first):
            record = &picker.record
            if record.head.type in (RECORD_INTENT, RECORD_ADVICE) and record.request.refers_to == original.position:
                part = self._standing_part(record.position, record.request.kind, picker.segment)
                if part >= 0:
                    original.count(record.request.kind, record.request.amount_minor, part)
                    original.is_undecided |= not self._is_decided
            elif record.head.type == RECORD_CLAIM and record.claimed.original == original.position:
                part = self._standing_claim(record.position, picker.segment)
                if part >= 0:
                    original.count(record.claim.kind, record.claim.amount_minor, part)
                    original.is_undecided |= not self._is_decided
        original.is_crowded = self._is_cut
        return 0

    cdef int64_t _standing_part(self, int64_t position, int kind, int first) except -2:
        """Of something that refers to an original: the part of it that was approved, 0 for all of it, or -1 where it
        was declined or undone. What has not ended may yet be approved, and a void that has not, be declined; whether
        it stands after an operator has given up its reversal, only he knows."""
        cdef Picker picker
        cdef Record *record
        cdef int64_t part = 0
        cdef bint is_decided = False
        cdef bint is_gone = False
        for picker in self._bounded_records_of(key_of_position(&self._key, position), first):
            record = &picker.record
            if record.head.type == RECORD_OUTCOME and record.outcome.intent == position:
                is_gone = not record.outcome.flags & FLAG_APPROVED
                part = record.approved_minor
                is_decided = True
            elif _undoes(record, position):
                is_gone = True
            elif record.head.type == RECORD_CLOSED and record.closed.original == position:
                is_gone = is_decided = False
        if is_gone:
            return -1
        if not VOIDS >> kind & 1:
            for picker in self._references_to(position, first):
                if self._undoes_by_void(picker, position):
                    if self._is_decided:
                        return -1
                    is_decided = False
        self._is_decided = is_decided
        return part

    cdef bint _undoes_by_void(self, Picker picker, int64_t position) except -1:
        """Whether a record is of a void of what begins at a position, and that stands or may yet stand."""
        cdef Record *record = &picker.record
        if record.head.type == RECORD_INTENT and record.request.refers_to == position:
            return (VOIDS >> record.request.kind & 1
                    and self._standing_part(record.position, record.request.kind, picker.segment) >= 0)
        if record.head.type == RECORD_CLAIM and record.claimed.original == position:
            self._is_void_loose = record.claimed.undoes == 0
            return VOIDS >> record.claim.kind & 1 and self._standing_claim(record.position, picker.segment) >= 0
        return False

    cdef int64_t _standing_claim(self, int64_t position, int first) except -2:
        """Of a request of another partition: the part of it that was approved, 0 for all of it, or -1 where it is gone;
        what nobody has said anything of is not decided."""
        cdef Picker picker
        cdef int64_t part = 0
        cdef int state = CLAIM_OPEN
        for picker in self._bounded_records_of(key_of_position(&self._key, position), first):
            if picker.record.head.type == RECORD_CLAIM_STATE and picker.record.claim_state.claim == position:
                state = picker.record.claim_state.state
                part = picker.record.claim_state.approved_minor
        self._claim_state = state
        self._is_decided = state != CLAIM_OPEN
        return -1 if state == CLAIM_GONE else part

    cdef KeptClaim _claim_at(self, int64_t position):
        """The CLAIM at a position, with what was said of it; None when it is none, or not there any more."""
        cdef int number = self._segment_of(position)
        cdef Picker picker
        cdef KeptClaim claim
        if number < 0:
            return None
        offset, record = self.reader.place_of((<SegmentIndex>self._indexes[number]).segment, position)
        picker = self._pick(self._indexes[number], offset, record)
        if not picker.is_found or picker.record.head.type != RECORD_CLAIM:
            return None
        claim = KeptClaim.__new__(KeptClaim)
        claim.part = picker.record.claim
        claim.position = claim.written_at = position
        claim.original = picker.record.claimed.original
        claim.undoes = picker.record.claimed.undoes
        claim.wall_us = picker.record.head.wall_us
        claim.elapsed_ns = elapsed_of(&picker.record.head, self._names_of(self._indexes[number]).elapsed_ns)
        claim.approved_minor = max(self._standing_claim(position, number), <int64_t>0)
        claim.state = self._claim_state
        return claim

    def _references_to(self, int64_t position, int first):
        """What refers to a position, from a segment on, as much of it as one look-up may look at."""
        cdef Picker picker
        for picker in self._bounded_records_of(key_of_reference(&self._key, position), first):
            if self._references_left == 0:
                self._is_cut = True
                return
            self._references_left -= 1
            yield picker

    def _bounded_records_of(self, uint64_t key, int first):
        """The records with a key, as far as one look-up may search for them."""
        cdef int number
        for number in range(first, len(self._indexes)):
            if self._probes_left == 0:
                self._is_cut = True
                return
            self._probes_left -= 1
            yield from self._records_in(number, key)

    def _records_of(self, uint64_t key, int first):
        """The records with a key, oldest first, from a segment on."""
        cdef int number
        for number in range(first, len(self._indexes)):
            yield from self._records_in(number, key)

    def _records_in(self, int number, uint64_t key):
        """The records of one segment with a key, oldest first."""
        cdef Picker picker
        for offset, place in self._places_of(number, key):
            picker = self._pick(self._indexes[number], offset, place)
            if picker.is_found:
                picker.segment = number
                yield picker
