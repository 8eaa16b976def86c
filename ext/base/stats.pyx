"""Counters, gauges and latency histograms in shared memory: registration, and reading for Prometheus."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport getpid

cimport cython
from switch.base.shared_memory cimport LOCK_OF_THE_DEAD, SharedMemory, lock_init, lock_release, lock_take

import json
import re

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

BUCKET_BOUNDS_NS = tuple(
    decade * step // 100
    for decade in (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000)
    for step in (100, 150, 200, 300, 500, 750)
    if 50_000 <= decade * step // 100 <= 30_000_000_000
) + (60_000_000_000,)
"""Upper bounds of the buckets, inclusive, in nanoseconds: 50 microseconds to 60 seconds, six a decade."""

BUCKET_ENDS = [f'{bound_ns / 1e9:g}"}} ' for bound_ns in BUCKET_BOUNDS_NS] + ['+Inf"} ']
"""How the line of each bucket goes on after ``le="``."""

RULES = ("sum", "max", "min")
"""What a gauge shows of its parts, one of each worker."""

PAGE_SIZE = 4096
NAME = re.compile(r"[a-z][a-z0-9_]*")
LABEL = re.compile(r"[a-z][a-z0-9_]*")


cdef enum:
    RULE_SUM
    RULE_MAX
    RULE_MIN
    UNSET = 0xFFFFFFFFFFFFFFFF    # of a worker that says nothing of a gauge whose smallest value counts

cdef extern from *:
    uint64_t load_acquire "__atomic_load_n"(const uint64_t *place, int order) noexcept nogil
    void store_release "__atomic_store_n"(uint64_t *place, uint64_t value, int order) noexcept nogil
    int ACQUIRE "__ATOMIC_ACQUIRE"
    int RELEASE "__ATOMIC_RELEASE"


class StatsError(ValueError):
    """A series that cannot be registered: bad name, another shape than before, too late, or no room left."""


cdef enum:
    LOG_SIZE_BITS = 40

cdef uint64_t LOG_SIZE_MASK = (<uint64_t>1 << LOG_SIZE_BITS) - 1


cdef char *log_half(SeriesLog *log, uint64_t epoch) noexcept nogil:
    """Where the entries of an epoch stand: never where those of the one before do, of which somebody may die."""
    return <char *>(log + 1) + (log.room if epoch & 1 else 0)


cdef uint64_t put_entry(char *place, uint64_t room, tuple series, uint32_t index) except 0:
    """Write down one series; the bytes that it takes."""
    cdef bytes entry = json.dumps((series, index)).encode()
    cdef uint32_t size = <uint32_t>len(entry)
    if size + sizeof(size) > room:
        raise StatsError(f"{series[1]}: no room for the name of another series; raise limits.statistics_bytes")
    memcpy(place, &size, sizeof(size))
    memcpy(place + sizeof(size), <const char *>entry, size)
    return size + sizeof(size)


@cython.final
cdef class _Family:
    """All series of one name."""
    cdef str name
    cdef str kind
    cdef str help
    cdef int rule
    cdef tuple labels
    cdef dict series      # label values -> index
    cdef dict texts       # label values -> as they stand in Prometheus' text form, without braces


@cython.final
cdef class Stats:
    """All series of the daemon, in anonymous shared memory that worker processes inherit.

    Registering a series again gives the same index, in any process. With several workers a new series may be
    registered in any of them, and the others learn of it, also those that are forked later; with one, a new series in
    another process than the first is refused, since the first would not know it.

    Args:
        buffer_size: bytes of one worker's stretch; a counter or gauge takes 8, a histogram 312. At least 1024.
        workers: how many processes write, each to a stretch of its own; 1 to 1024.
    """

    def __cinit__(self, size_t buffer_size, uint32_t workers=1):
        if not 1024 <= buffer_size <= 1 << 30:
            raise StatsError(f"buffer_size: needed 1024 to {1 << 30} bytes, got {buffer_size}")
        if not 1 <= workers <= 1024:
            raise StatsError(f"workers: needed 1 to 1024, got {workers}")
        cdef size_t pages = (buffer_size + <size_t>PAGE_SIZE - 1) // <size_t>PAGE_SIZE
        self._stretch = pages * <size_t>PAGE_SIZE // sizeof(uint64_t)
        self._memory_size = self._stretch * sizeof(uint64_t) * workers
        cdef void *memory = mmap(NULL, self._memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        if memory == MAP_FAILED:
            raise MemoryError(f"no shared memory for statistics: {self._memory_size} bytes")
        self._memory = <uint64_t *>memory
        self.values = self._memory
        self.workers = workers
        self.slots = <uint32_t>(buffer_size // sizeof(uint64_t))
        self.slots_used = STATS_HISTOGRAM_SLOTS
        self._owner = getpid()
        self._families = {}
        self._rules = {}
        self._counters = set()
        self._free = set()
        self._fill_buckets()
        if workers > 1:
            # As many bytes as there are slots: a counter's name and labels take some two hundred, a histogram 39 slots.
            self._log_memory = SharedMemory(sizeof(SeriesLog) + 2 * pages * <size_t>PAGE_SIZE)
            self._log = <SeriesLog *>self._log_memory.start
            self._log.room = pages * <size_t>PAGE_SIZE
            self._log.slots_used = self.slots_used
            lock_init(&self._log.lock)

    def __dealloc__(self):
        if self._memory != NULL:
            munmap(self._memory, self._memory_size)

    def _fill_buckets(self):
        cdef int i, bit
        cdef uint64_t lowest
        if len(BUCKET_BOUNDS_NS) != STATS_BOUNDS:
            raise AssertionError(f"{len(BUCKET_BOUNDS_NS)} bucket bounds, {STATS_BOUNDS} declared")
        for i in range(STATS_BOUNDS):
            self.bounds[i] = <uint64_t>BUCKET_BOUNDS_NS[i]
        self.bounds[STATS_BOUNDS] = <uint64_t>0xFFFFFFFFFFFFFFFF
        for bit in range(64):
            lowest = <uint64_t>1 << bit
            i = 0
            while self.bounds[i] < lowest:
                i += 1
            self.first_bucket[bit] = i

    def use_worker(self, uint32_t worker):
        """Write to the stretch of this worker from now on; called once in each worker process, 0 to workers - 1."""
        if worker >= self.workers:
            raise StatsError(f"worker: needed 0 to {self.workers - 1}, got {worker}")
        self.values = self._memory + worker * self._stretch
        self.worker = worker

    def clear_worker(self, uint32_t worker):
        """Set a worker's gauges to zero, when its process has ended; what its counters counted stays counted."""
        cdef uint32_t index
        cdef _Family family
        if worker >= self.workers:
            raise StatsError(f"worker: needed 0 to {self.workers - 1}, got {worker}")
        self._read_log()
        for family in self._families.values():
            if family.kind == "gauge":
                for index in family.series.values():
                    self._memory[worker * self._stretch + index] = self._unset(family.rule)

    cdef uint64_t _unset(self, int rule) noexcept nogil:
        """What a worker's part of a gauge is as long as it has not been set."""
        return <uint64_t>UNSET if rule == RULE_MIN and self.workers > 1 else 0

    def counter(self, str name, str help, dict labels=None):
        """Register a counter and return its index. ``name`` ends in ``_total``."""
        if not name.endswith("_total"):
            raise StatsError(f"{name}: the name of a counter ends in _total")
        return self._register(("counter", name, help, RULE_SUM, {} if labels is None else labels), 1)

    def gauge(self, str name, str help, dict labels=None, str rule="sum"):
        """Register a gauge and return its index.

        ``rule`` is one of ``RULES``: it shows the sum of the workers' parts, or the largest, or the smallest of those
        that were set.
        """
        if rule not in RULES:
            raise StatsError(f"{name}: rule {rule!r} is not one of {', '.join(RULES)}")
        return self._register(("gauge", name, help, RULES.index(rule), {} if labels is None else labels), 1)

    def histogram(self, str name, str help, dict labels=None):
        """Register a histogram of durations and return its index. ``name`` ends in ``_seconds``."""
        if not name.endswith("_seconds"):
            raise StatsError(f"{name}: the name of a histogram ends in _seconds")
        return self._register(("histogram", name, help, RULE_SUM, {} if labels is None else labels),
                              STATS_HISTOGRAM_SLOTS)

    cdef object _register(self, tuple series, uint32_t needed):
        """The index of a series: of kind, name, help, rule and labels."""
        cdef uint32_t index
        name, labels = series[1], series[4]
        if NAME.fullmatch(name) is None:
            raise StatsError(f"{name!r}: a name is lower-case letters, digits and underscores")
        for label, value in labels.items():
            if LABEL.fullmatch(label) is None or label == "le":
                raise StatsError(f"{name}: label {label!r} is not lower-case letters, digits and underscores, or is le")
            if not isinstance(value, str):
                raise StatsError(f"{name}: label {label} is {type(value).__name__}, needed a string")
        self._read_log()                      # what this process knows another one may have retired
        known = self._known(series)
        if known is not None:
            return known
        if self._log != NULL:
            if lock_take(&self._log.lock) == LOCK_OF_THE_DEAD:
                pass                          # an entry that is not whole does not count
            try:
                self._read_held_log()
                known = self._known(series)
                return self._write_log(series, needed) if known is None else known
            finally:
                lock_release(&self._log.lock)
        if getpid() != self._owner:
            raise StatsError(f"{name}: a new series in a worker process; register it before the workers start")
        if needed == 1 and self._free:
            index = self._free.pop()
        else:
            index = self._take_slots(series, needed, self.slots_used)
            self.slots_used += needed
        self._add_series(series, index)
        return index

    cdef object _known(self, tuple series):
        """The index of a series that this process knows of, else None."""
        cdef _Family family
        kind, name, _, rule, labels = series
        names = tuple(labels)
        family = self._families.get(name)
        if family is None:
            return None
        if (family.kind, family.labels) != (kind, names):
            raise StatsError(
                f"{name}: was registered as a {family.kind} with labels {family.labels}, not as a {kind} with {names}"
            )
        if family.rule != rule:
            raise StatsError(f"{name}: was registered with rule {RULES[family.rule]}, not {RULES[rule]}")
        return family.series.get(tuple(labels.values()))

    cdef int _add_series(self, tuple series, uint32_t index) except -1:
        cdef _Family family
        kind, name, text, rule, labels = series
        family = self._families.get(name)
        if family is None:
            family = _Family.__new__(_Family)
            family.name = name
            family.kind = kind
            family.help = text
            family.rule = rule
            family.labels = tuple(labels)
            family.series = {}
            family.texts = {}
            self._families[name] = family
        values = tuple(labels.values())
        family.series[values] = index
        family.texts[values] = ",".join([f'{label}="{_escaped(value)}"' for label, value in labels.items()])
        if rule != RULE_SUM:
            self._rules[index] = rule
        if kind == "counter":
            self._counters.add(index)
        return 0

    cdef uint32_t _take_slots(self, tuple series, uint32_t needed, uint32_t used) except 0:
        """The index of a series for which there is room behind ``used`` slots."""
        if needed > self.slots - used:
            raise StatsError(
                f"{series[1]}: no room for another {series[0]}: {needed} slots needed, {self.slots - used} of "
                f"{self.slots} left; raise limits.statistics_bytes"
            )
        return used

    cdef uint32_t _write_log(self, tuple series, uint32_t needed) except 0:
        """Register a series for all processes; whoever calls it holds the lock, and has read what stands there."""
        cdef uint32_t worker, index
        cdef uint64_t size = self._log.state & LOG_SIZE_MASK
        cdef bint is_free = needed == 1 and len(self._free) > 0
        index = min(self._free) if is_free else self._take_slots(series, needed, self._log.slots_used)
        size += put_entry(log_half(self._log, self.epoch) + size, self._log.room - size, series, index)
        if is_free or series[3] == RULE_MIN:
            for worker in range(self.workers):
                self._memory[worker * self._stretch + index] = self._unset(series[3])
        if not is_free:
            self._log.slots_used += needed
        store_release(&self._log.state, self.epoch << LOG_SIZE_BITS | size, RELEASE)
        self._read_held_log()
        return index

    cdef int _rewrite_log(self) except -1:
        """Write down the series that are left, into the other half, for all processes; likewise."""
        cdef _Family family
        cdef uint64_t size = 0, epoch = self.epoch + 1
        cdef char *half = log_half(self._log, epoch)
        for family in self._families.values():
            for values, index in family.series.items():
                labels = dict(zip(family.labels, values, strict=True))
                size += put_entry(half + size, self._log.room - size,
                                  (family.kind, family.name, family.help, family.rule, labels), index)
        store_release(&self._log.state, epoch << LOG_SIZE_BITS | size, RELEASE)
        return self._read_held_log()

    cdef int _read_log(self) except -1:
        """Learn of the series that other processes have registered, or retired."""
        if self._log == NULL or load_acquire(&self._log.state, ACQUIRE) == self._log_known:
            return 0
        lock_take(&self._log.lock)            # what a process wrote that died with it counts when it is whole
        try:
            return self._read_held_log()
        finally:
            lock_release(&self._log.lock)

    cdef int _read_held_log(self) except -1:
        """The same for whoever holds the lock."""
        cdef const char *half
        cdef uint64_t state = self._log.state, at = self._log_known & LOG_SIZE_MASK
        cdef uint32_t size
        if state == self._log_known:
            return 0
        if state >> LOG_SIZE_BITS != self.epoch:
            self.epoch = state >> LOG_SIZE_BITS
            self._families, self._rules, self._counters, at = {}, {}, set(), 0
        half = log_half(self._log, self.epoch)
        while at < state & LOG_SIZE_MASK:
            memcpy(&size, half + at, sizeof(size))
            series, index = json.loads(half[at + sizeof(size):at + sizeof(size) + size])
            self._add_series(tuple(series), index)
            at += sizeof(size) + size
        self._log_known = state
        self.slots_used = self._log.slots_used
        if self.epoch:
            self._free = self._unused()
        return 0

    cdef set _unused(self):
        """Slots that no series has: of retired ones, or of one whose process died while it registered it."""
        cdef _Family family
        cdef set slots = set(range(STATS_HISTOGRAM_SLOTS, self.slots_used))
        for family in self._families.values():
            width = STATS_HISTOGRAM_SLOTS if family.kind == "histogram" else 1
            for index in family.series.values():
                slots.difference_update(range(index, index + width))
        return slots

    def look(self):
        """Learn of what other processes have registered and retired; the epoch."""
        self._read_log()
        return self.epoch

    def labels_of(self, str name not None):
        """The labels of each series of a name, in the order in which they were registered."""
        cdef _Family family
        self._read_log()
        family = self._families.get(name)
        return [] if family is None else [dict(zip(family.labels, values, strict=True)) for values in family.series]

    def retire(self, str name not None, list gone not None, dict into not None):
        """Show counters no more: what they have counted is added to another one of their name, and others get their
        room. Who still counts in them must ask for their indices anew when ``epoch`` has gone up."""
        cdef _Family family
        cdef uint32_t target, index, worker
        family = self._families[name]
        target = self._register((family.kind, name, family.help, family.rule, into), 1)
        if self._log != NULL:
            lock_take(&self._log.lock)
        try:
            if self._log != NULL:
                self._read_held_log()
                family = self._families[name]
            for labels in gone:
                values = tuple([labels[label] for label in family.labels])
                if values not in family.series or family.series[values] == target:
                    continue
                index = family.series.pop(values)
                del family.texts[values]
                self._counters.discard(index)
                self._free.add(index)
                for worker in range(self.workers):
                    self._memory[worker * self._stretch + target] += self._memory[worker * self._stretch + index]
                    self._memory[worker * self._stretch + index] = 0
            if self._log != NULL:
                self._rewrite_log()
            else:
                self.epoch += 1
        finally:
            if self._log != NULL:
                lock_release(&self._log.lock)

    cdef uint64_t _total(self, size_t index, int rule) noexcept nogil:
        """What all workers together say."""
        cdef uint64_t total = 0, smallest = <uint64_t>UNSET, part
        cdef uint32_t worker
        for worker in range(self.workers):
            part = self._memory[worker * self._stretch + index]
            if rule == RULE_SUM:
                total += part
            else:
                total = max(total, part)
                smallest = min(smallest, part)
        if rule == RULE_MIN:
            return smallest if smallest != <uint64_t>UNSET else 0
        return total

    cdef int _check(self, uint32_t index, uint32_t size) except -1:
        if index > self.slots_used - size:
            self._read_log()
        if not STATS_HISTOGRAM_SLOTS <= index <= self.slots_used - size:
            raise IndexError(f"no series has index {index}")
        return 0

    def value(self, uint32_t index):
        """The counter or gauge at ``index``, all workers together."""
        self._check(index, 1)
        return self._total(index, self._rules.get(index, RULE_SUM))

    def histogram_value(self, uint32_t index):
        """A histogram as (counts, sum in nanoseconds): one count a bucket of ``BUCKET_BOUNDS_NS``, one for above."""
        self._check(index, STATS_HISTOGRAM_SLOTS)
        return ([self._total(index + i, RULE_SUM) for i in range(STATS_BUCKETS)],
                self._total(index + STATS_BUCKETS, RULE_SUM))

    def add(self, uint32_t index, uint64_t amount=1):
        """Add to a counter or gauge, from Python."""
        self._check(index, 1)
        stats_add(self, index, amount)

    def set(self, uint32_t index, uint64_t value):
        """Set this worker's part of a gauge, from Python."""
        self._check(index, 1)
        if index in self._counters:
            raise StatsError("a counter is added to: another process of the same worker may have counted before")
        stats_set(self, index, value)

    def observe(self, uint32_t index, uint64_t duration_ns):
        """Count one duration in a histogram, from Python."""
        self._check(index, STATS_HISTOGRAM_SLOTS)
        stats_observe(self, index, duration_ns)

    def collect(self):
        """Metric families for a prometheus_client registry; durations in seconds."""
        cdef _Family family
        self._read_log()
        for family in self._families.values():
            if family.kind == "counter":
                metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
            elif family.kind == "gauge":
                metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            else:
                metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for values, index in family.series.items():
                if family.kind == "histogram":
                    counts, total_ns = self.histogram_value(index)
                    metric.add_metric(values, _cumulative(counts), total_ns / 1e9)
                else:
                    metric.add_metric(values, self._total(index, family.rule))
            yield metric

    def exposition(self):
        """What ``collect`` gives, as bytes in Prometheus' text form (version 0.0.4).

        It is some thirty times quicker than the general way, so that a scrape does not hold up the messages of
        terminals in the same process.
        """
        cdef _Family family
        cdef list lines = []
        self._read_log()
        for family in self._families.values():
            lines.append(f"# HELP {family.name} {_escaped_help(family.help)}\n# TYPE {family.name} {family.kind}\n")
            for values, index in family.series.items():
                if family.kind == "histogram":
                    self._expose_histogram(lines, family.name, family.texts[values], index)
                else:
                    labels = family.texts[values]
                    lines.append(f"{family.name}{{{labels}}} {self._total(index, family.rule)}\n")
        return "".join(lines).encode()

    cdef int _expose_histogram(self, list lines, str name, str labels, size_t index) except -1:
        cdef uint64_t total = 0
        cdef int bucket
        cdef str start = f"{name}_bucket{{{labels}{',' if labels else ''}le=\""
        for bucket in range(STATS_BUCKETS):
            total += self._total(index + bucket, RULE_SUM)
            lines.append(start)
            lines.append(BUCKET_ENDS[bucket])
            lines.append(f"{total}\n")
        lines.append(f"{name}_count{{{labels}}} {total}\n")
        lines.append(f"{name}_sum{{{labels}}} {self._total(index + STATS_BUCKETS, RULE_SUM) / 1e9}\n")
        return 0


def _escaped(str text):
    """A label's value as the text form wants it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escaped_help(str text):
    """A help text as the text form wants it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _cumulative(list counts):
    """Buckets as Prometheus wants them: pairs of bound in seconds and count of all up to it."""
    buckets = []
    total = 0
    for bound_ns, count in zip(BUCKET_BOUNDS_NS, counts):
        total += count
        buckets.append((f"{bound_ns / 1e9:g}", total))
    buckets.append(("+Inf", total + counts[-1]))
    return buckets
