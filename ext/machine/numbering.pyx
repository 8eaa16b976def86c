"""The switch's own numbers: STANs towards issuers, and the retrieval reference numbers that go with them.

A retrieval reference number is YDDD, the day in UTC by the last digit of its year and its number in the year, and eight
characters that count in base 36. These alone tell two numbers apart, whatever the clock says; the day is for people.
The eight belong to one instance of the switch each: the first 32 have a character of their own, 0 to V, and count in
the seven behind it; 144 more have two, W0 to ZZ, and count in six.

When an instance has used all of them up it begins again, on a later day than any that stands in its numbers so far.
"""

cimport cython
from libc.string cimport memcpy
from switch.base.calendar cimport write_digits
from switch.base.invariant cimport ensure
from switch.machine.stan_holds cimport STANS_A_WORD
from switch.wire.fields cimport RRN_SIZE

cdef extern from "time.h" nogil:
    struct tm:
        int tm_year
        int tm_yday
    ctypedef long time_t
    tm *gmtime_r(const time_t *moment, tm *parts)

cdef enum:
    DAY_SIZE = 4
    BASE = 36
    LONG_INSTANCES = 32               # those with one character of their own
    DAY_SECONDS = 86_400
    NONE = -1
    BLOCK = 1 << 18                   # numbers reserved ahead
    BLOCK_SPENT = 1 << 16             # of them, those that are used up when more are asked for
    CLOCK_US = 1_000                  # of a clock by which a count begins that nothing is known of, for each number

NUMBERS_END = 1 << 62             # far beyond what a clock begins with: nobody gets that far

cdef uint64_t SHORT_SPAN = 2_176_782_336          # 36 ** 6
cdef uint64_t LONG_SPAN = 78_364_164_096          # 36 ** 7
# Earlier versions wrote the hour where the instance and the first character of the count stand now: behind ten short
# spans that character is a letter.
cdef uint64_t LETTERS_FROM = 10 * 2_176_782_336

cdef uint8_t PAIRS[2 * 36 * 36]                   # "00" to "ZZ"


cdef int _fill_pairs() except -1:
    cdef bytes digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    cdef int first, second
    for first in range(BASE):
        for second in range(BASE):
            PAIRS[2 * (BASE * first + second)] = digits[first]
            PAIRS[2 * (BASE * first + second) + 1] = digits[second]
    return 0


_fill_pairs()

INSTANCES_MAX = INSTANCE_COUNT
BLOCK_NUMBERS = BLOCK


cdef int64_t _value_of(const uint8_t *rrn) noexcept nogil:
    """What the eight characters behind the day count; -1 when they are not written as ours are."""
    cdef int64_t value = 0
    cdef int i
    for i in range(DAY_SIZE, RRN_SIZE):
        if 0x30 <= rrn[i] <= 0x39:
            value = value * BASE + (rrn[i] - 0x30)
        elif 0x41 <= rrn[i] <= 0x5A:
            value = value * BASE + (rrn[i] - 0x41 + 10)
        else:
            return -1
    return value


cdef int instance_of(const uint8_t *rrn) noexcept nogil:
    cdef int64_t value = _value_of(rrn)
    if value < 0:
        return -1
    if value < LONG_INSTANCES * <int64_t>LONG_SPAN:
        return <int>(value // <int64_t>LONG_SPAN)
    return LONG_INSTANCES + <int>((value - LONG_INSTANCES * <int64_t>LONG_SPAN) // <int64_t>SHORT_SPAN)


cdef bint is_dated(const uint8_t *rrn) noexcept nogil:
    cdef int day = 0
    cdef int i
    for i in range(<int>DAY_SIZE):
        if not 0x30 <= rrn[i] <= 0x39:
            return False
        if i:
            day = day * 10 + rrn[i] - 0x30
    return 1 <= day <= 366


@cython.final
cdef class Numbering:
    """One count, and what is made of it.

    Args:
        instance: Which of the switches this is, from 0 on.
        instances: How many there are: each has its own part of the STANs, whatever links they share.
    """

    def __cinit__(self, uint16_t instance=0, uint16_t instances=1):
        if not 1 <= instances <= INSTANCE_COUNT or instance >= instances:
            raise ValueError(
                f"instance {instance} of {instances}: needed 0 to {INSTANCE_COUNT - 1}, below their number")
        self.instance = instance
        self.instances = instances
        self.stan_count = (NUMBER_COUNT - 1) // instances
        self.stan_first = 1 + instance * self.stan_count
        self.holds = StanHolds(self.stan_first, self.stan_count)
        if instance < LONG_INSTANCES:
            self._base = instance * LONG_SPAN
            self._span = LONG_SPAN
        else:
            self._base = LONG_INSTANCES * LONG_SPAN + (instance - LONG_INSTANCES) * SHORT_SPAN
            self._span = SHORT_SPAN
        self._granted.instance = instance
        self.ceiling = NUMBERS_END
        self.position = NONE
        self.learned_instance = NONE

    # --- numbers ----------------------------------------------------------------------------------------------------

    cdef uint32_t take(self) noexcept nogil:
        """The STAN of the next number; 0 when none may be given just now."""
        cdef uint32_t stan = self._next_stan
        if self.next >= self.limit:
            return 0
        self.next += 1
        self._next_stan = stan + 1 if stan + 1 < self.stan_first + self.stan_count else self.stan_first
        return stan

    cdef uint32_t take_free(self) noexcept nogil:
        """The same of the next number whose STAN nothing holds; 0 also when each is held."""
        cdef uint32_t stan
        while self.holds.free_count:
            stan = self.take()
            if stan == 0 or not self.holds.is_held(stan):
                return stan
            self._pass_held()
        return 0

    cdef void _pass_held(self) noexcept nogil:
        """Pass over numbers whose STANs are held, as far as whole words of them are: so the free one is found within
        some ten thousand looks, however many are held."""
        cdef uint32_t end = self.stan_first + self.stan_count
        while (self._next_stan % STANS_A_WORD == 0 and self._next_stan + STANS_A_WORD <= end
                and self._left() >= STANS_A_WORD and self.holds.are_all_held(self._next_stan)):
            self.next += STANS_A_WORD
            self._next_stan += STANS_A_WORD
        ensure(self._next_stan <= end and self.next <= self.limit, b"no number is passed over that may not be given")
        if self._next_stan == end:
            self._next_stan = self.stan_first

    cdef uint64_t _left(self) noexcept nogil:
        return self.limit - self.next if self.limit > self.next else 0

    cdef uint32_t last_stan(self) noexcept nogil:
        """The STAN before the next one."""
        return self._next_stan - 1 if self._next_stan > self.stan_first else self.stan_first + self.stan_count - 1

    cdef bint is_spent(self) noexcept nogil:
        """Whether no number may be given just now."""
        return self.next >= self.limit

    cdef void write_rrn(self, uint8_t *rrn) noexcept nogil:
        """Write the reference number, RRN_SIZE characters, of the number that was taken last."""
        cdef uint64_t value = self._base + (self.next - 1) % self._span
        cdef uint64_t rest
        cdef int i
        memcpy(rrn, self._day_text, DAY_SIZE)
        for i in range(RRN_SIZE - 2, DAY_SIZE - 1, -2):
            rest = value // (BASE * BASE)
            memcpy(rrn + i, &PAIRS[2 * (value - BASE * BASE * rest)], 2)
            value = rest

    cdef uint32_t stan_of(self, const uint8_t *rrn) noexcept nogil:
        """The STAN that goes with a reference number of ours; with any other, one that it always goes with. 0 when it
        is written as none of ours is."""
        cdef int64_t value = _value_of(rrn)
        return 0 if value < 0 else self._stan(<uint64_t>value)

    cdef uint32_t _stan(self, uint64_t value) noexcept nogil:
        return self.stan_first + <uint32_t>(value % self.stan_count)

    # --- what is reserved -------------------------------------------------------------------------------------------

    cdef void _start(self, uint64_t number) noexcept nogil:
        self.next = number
        self._next_stan = self._stan(self._base + number % self._span)

    cdef void begin(self, int64_t wall_us) noexcept:
        """Begin where nothing is known of earlier numbers: the clock leads behind those of an earlier life, as long as
        it goes forward and that life gave no more than a thousand a second."""
        cdef uint64_t number = <uint64_t>max(wall_us, 0) // CLOCK_US
        if self._span == LONG_SPAN:
            number = LETTERS_FROM + number % (LONG_SPAN - LETTERS_FROM)
        self._start(max(number % self._span, max(self.next, 1)))
        self.limit = self.next

    cdef void learn_stan(self, uint32_t stan) noexcept nogil:
        """A record of an earlier life tells a STAN, which is the last one so far."""
        self._learned_stan = stan
        self._has_learned_stan = True

    cdef void learn(self, uint64_t reserved_to, int32_t day_max, int32_t day_floor, int instance) noexcept nogil:
        """Numbers below ``reserved_to`` may have been given, under days within these."""
        self._granted.end = max(self._granted.end, reserved_to)
        self._granted.day_max = max(self._granted.day_max, day_max)
        self._granted.day_floor = max(self._granted.day_floor, day_floor)
        self.learned_instance = instance

    cdef int learn_names(self, dict numbers) except -1:
        """The same from what a segment begins with, as ``switch.journal.party_names.read_names`` gives it."""
        if not self._has_learned_stan:
            self._learned_stan = numbers.get("stan", 0)
        if "reserved_to" in numbers:
            self.learn(numbers["reserved_to"], numbers["day_max"], numbers["day_floor"], numbers["instance"])
        return 0

    cdef void go_on(self, int64_t wall_us) noexcept:
        """Begin behind all that was learned; with the STAN behind the last one, so that none comes again before all
        others."""
        cdef uint32_t stan = self._learned_stan
        cdef uint32_t first
        if self._granted.end == 0:
            self.begin(wall_us)
        else:
            self._start(max(self._granted.end, self.next))
        self._granted.end = self.next
        if self.stan_first <= stan < self.stan_first + self.stan_count:
            first = stan + 1 if stan + 1 < self.stan_first + self.stan_count else self.stan_first
            self._start(self.next + (first + self.stan_count - self._next_stan) % self.stan_count)
        self.limit = self.next

    cdef bint wants(self, int64_t wall_s, NumberBlock *block) noexcept nogil:
        """Whether more must be reserved, and what; it is asked for with ``ask`` and given by ``grant``."""
        cdef int32_t day = <int32_t>(wall_s // DAY_SECONDS)
        cdef uint64_t lap_end
        if self.position != NONE or self.next == 0:
            return False
        if self._left() >= BLOCK - BLOCK_SPENT and (self.day == day or day <= self._granted.day_max):
            if self.day != day:
                self._set_day(wall_s)
            return False
        block[0] = self._granted
        self._asked_from = self.next
        block.day_max = max(day, block.day_max)
        lap_end = (self.next // self._span + 1) * self._span
        if self.next + BLOCK > lap_end:
            # What is left of this round is given up, for one that bears later days.
            self._asked_from = lap_end
            block.day_floor = self._granted.day_max + 1
            block.day_max = max(day, block.day_floor)
        block.end = max(min(self._asked_from + BLOCK, self.ceiling), self.limit)
        return block.end > self.limit or block.day_max > self._granted.day_max

    cdef void ask(self, const NumberBlock *block, int64_t position) noexcept nogil:
        """A block is written down, at this position of the journal."""
        ensure(self.position == NONE, b"one block of numbers is asked for at a time")
        ensure(block.end >= self.limit, b"a block of numbers begins behind those that may be given")
        self._asked = block[0]
        self.position = position

    cdef void grant(self, int64_t wall_s) noexcept nogil:
        """What was asked for is durable."""
        ensure(self.position != NONE, b"numbers are granted that were asked for")
        ensure(self._asked.day_max >= self._granted.day_max and self._asked.day_floor >= self._granted.day_floor,
               b"the days of reference numbers never go back")
        self.position = NONE
        self._granted = self._asked
        if self._asked_from > self.next:
            self._start(self._asked_from)
        self.limit = max(self._granted.end, self.limit)
        ensure(self._next_stan >= self.stan_first and self._next_stan - self.stan_first < self.stan_count,
               b"the next STAN is of this instance's part")
        self._set_day(wall_s)

    cdef void newest(self, NumberBlock *block) noexcept nogil:
        """All that is reserved, durable or not."""
        block[0] = self._granted if self.position == NONE else self._asked

    cdef void _set_day(self, int64_t wall_s) noexcept nogil:
        cdef int32_t day = <int32_t>(wall_s // DAY_SECONDS)
        cdef time_t moment
        cdef tm parts
        self.day = max(self._granted.day_floor, min(day, self._granted.day_max))
        moment = <time_t>self.day * DAY_SECONDS
        gmtime_r(&moment, &parts)
        write_digits(self._day_text, 1, parts.tm_year % 10)
        write_digits(self._day_text + 1, 3, parts.tm_yday + 1)

    # --- for Python -------------------------------------------------------------------------------------------------

    @property
    def next_stan(self):
        """The STAN of the next number."""
        return self._next_stan

    @property
    def span(self):
        """How many reference numbers differ in more than the day."""
        return self._span

    def begin_behind(self, uint64_t number):
        """Give no number below this one, whatever the journal says; before anything is reserved."""
        self._start(max(number, self.next))
        self.limit = self.next

    def begin_by_clock(self, int64_t wall_us):
        """Begin, where nothing has told yet where; it is done by itself when the first number is reserved."""
        if self.next == 0:
            self.begin(wall_us)

    def reserve(self, int64_t wall_s):
        """Reserve more where it is needed, without a journal; whether there was need."""
        cdef NumberBlock block
        self.begin_by_clock(wall_s * 1_000_000)
        if not self.wants(wall_s, &block):
            return False
        self.ask(&block, 0)
        self.grant(wall_s)
        return True

    def give(self):
        """Take the next number whose STAN nothing holds, and give the STAN; 0 when there is none just now."""
        return self.take_free()

    def rrn(self):
        """Take a number and give its reference number.

        Raises:
            OverflowError: none may be given just now.
        """
        cdef uint8_t text[RRN_SIZE]
        if self.take() == 0:
            raise OverflowError("no number is reserved")
        self.write_rrn(text)
        return text[:RRN_SIZE].decode("ascii")
