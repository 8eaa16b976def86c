"""What nodes tell each other of what they have counted: in risk's windows and for stand-in."""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from switch.base.invariant cimport ensure
from switch.mesh.record_decoder cimport counted_by
from switch.tables.count_log cimport COUNTS_KEPT, Counted
from switch.tables.stand_in cimport STAND_IN_LIMITS_MAX


@cython.final
cdef class CountsHeard:
    """How far each worker of other nodes was heard, which outlives the worker of this node that has heard it.

    Args:
        room: How many workers other nodes have.
        is_shared: Whether processes, forked later, share it.
    """

    def __cinit__(self, uint32_t room, bint is_shared=False):
        self.room = room
        if is_shared:
            self._memory = SharedMemory((room + 1) * sizeof(uint64_t))
            self._next = <uint64_t *>self._memory.start
        else:
            self._next = <uint64_t *>calloc(room + 1, sizeof(uint64_t))
        if self._next == NULL:
            raise MemoryError("no memory for what other nodes have told")

    def __dealloc__(self):
        if self._memory is None:
            free(self._next)


@cython.final
cdef class PeerCounts:
    """What a worker of another node is told, and has told.

    Args:
        far: Its number among the workers of other nodes.
        heard: How far these were heard.
        stand_ins: By link, None where it has none.
        risk: Risk control; None: there is none.
        log: What this worker has counted; None: another worker of its node is told that.
    """

    def __init__(self, uint32_t far, CountsHeard heard not None, list stand_ins not None, Risk risk, CountLog log):
        ensure(far < heard.room, b"a worker of another node has a place of its own")
        self.far = far
        self.log = log
        self.stand_ins = stand_ins
        self._risk = risk
        self._heard = heard
        self._said = <int64_t *>calloc(len(stand_ins) * STAND_IN_LIMITS_MAX + 1, sizeof(int64_t))
        if self._said == NULL:
            raise MemoryError("no memory for what another node is told")

    def __dealloc__(self):
        free(self._said)

    def use_risk(self, Risk risk not None):
        """Count what is heard by other rules from now on."""
        self._risk = risk

    cdef void begin(self) noexcept:
        self.next = 0
        self.owes_taken = True
        memset(self._said, 0xFF, len(self.stand_ins) * STAND_IN_LIMITS_MAX * sizeof(int64_t))

    cdef uint64_t heard(self) noexcept:
        return self._heard._next[self.far]

    cdef int take_counted(self, const MeshRecord *record, uint64_t now_ms) noexcept:
        cdef uint64_t expected = self._heard._next[self.far]
        cdef Counted counted
        cdef StandIn stand_in
        self.owes_taken = True
        # Another life of the peer has other numbers.
        if record.token < expected and expected - record.token <= <uint64_t>COUNTS_KEPT:
            return 0
        if counted_by(record, now_ms, &counted) != 0:
            return -1
        if not counted.is_stand_in:
            if self._risk is not None:
                self._risk.hear(&counted, now_ms)
        elif counted.link >= len(self.stand_ins):
            return -1
        else:
            stand_in = <StandIn>self.stand_ins[counted.link]
            if stand_in is not None:
                stand_in.hear(&counted, now_ms)
        # Whoever dies in between lets one be counted twice, never not at all.
        self._heard._next[self.far] = record.token + 1
        return 0

    cdef uint64_t take_place(self, uint64_t next) noexcept:
        if self.log is None:
            return 0
        if self.next == 0:
            # A number of another life says that it has heard nothing of this one.
            self.next = next if self.log.numbers.start <= next <= self.log.numbers.next else self.log.numbers.first
        return self.skip_what_is_gone()

    cdef uint64_t skip_what_is_gone(self) noexcept:
        cdef uint64_t gone = 0
        if self.next and self.next < self.log.numbers.first:
            gone = self.log.numbers.first - self.next
            self.next = self.log.numbers.first
        return gone

    cdef int take_outstanding(self, const MeshRecord *record) noexcept:
        cdef StandIn stand_in
        if record.number >= len(self.stand_ins):
            return -1
        stand_in = <StandIn>self.stand_ins[record.number]
        if stand_in is not None:
            stand_in.hear_outstanding(self.far, <int>record.currency, record.amount_minor)
        return 0

    cdef int64_t *said(self, int link, int limit) noexcept:
        return &self._said[link * STAND_IN_LIMITS_MAX + limit]
