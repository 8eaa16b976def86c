"""Counters, gauges and latency histograms in shared memory: registration, and reading for Prometheus."""

from libc.stdint cimport uint32_t, uint64_t
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport getpid

cimport cython

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

PAGE_SIZE = 4096
NAME = re.compile(r"[a-z][a-z0-9_]*")
LABEL = re.compile(r"[a-z][a-z0-9_]*")


class StatsError(ValueError):
    """A series that cannot be registered: bad name, another shape than before, too late, or no room left."""


@cython.final
cdef class _Family:
    """All series of one name."""
    cdef str name
    cdef str kind
    cdef str help
    cdef tuple labels
    cdef dict series      # label values -> index
    cdef dict texts       # label values -> as they stand in Prometheus' text form, without braces


@cython.final
cdef class Stats:
    """All series of the daemon, in anonymous shared memory that worker processes inherit.

    Register every series before the workers are started. Registering a series again gives the same index, in any
    process; a new one in another process than the first is refused, since the others would not know it.

    Args:
        buffer_size: bytes of one worker's stretch; a counter or gauge takes 8, a histogram 312. At least 1024.
        workers: how many processes write; 1 to 1024.
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
        self._fill_buckets()

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

    def clear_worker(self, uint32_t worker):
        """Set a worker's gauges to zero, when its process has ended; what its counters counted stays counted."""
        cdef uint32_t index
        if worker >= self.workers:
            raise StatsError(f"worker: needed 0 to {self.workers - 1}, got {worker}")
        for family in self._families.values():
            if (<_Family>family).kind == "gauge":
                for index in (<_Family>family).series.values():
                    self._memory[worker * self._stretch + index] = 0

    def counter(self, str name, str help, dict labels=None):
        """Register a counter and return its index. ``name`` ends in ``_total``."""
        if not name.endswith("_total"):
            raise StatsError(f"{name}: the name of a counter ends in _total")
        return self._register("counter", name, help, labels, 1)

    def gauge(self, str name, str help, dict labels=None):
        """Register a gauge and return its index."""
        return self._register("gauge", name, help, labels, 1)

    def histogram(self, str name, str help, dict labels=None):
        """Register a histogram of durations and return its index. ``name`` ends in ``_seconds``."""
        if not name.endswith("_seconds"):
            raise StatsError(f"{name}: the name of a histogram ends in _seconds")
        return self._register("histogram", name, help, labels, STATS_HISTOGRAM_SLOTS)

    cdef object _register(self, str kind, str name, str help, dict labels, uint32_t needed):
        cdef _Family family
        labels = {} if labels is None else labels
        names = tuple(labels)
        values = tuple(labels.values())
        if NAME.fullmatch(name) is None:
            raise StatsError(f"{name!r}: a name is lower-case letters, digits and underscores")
        for label, value in labels.items():
            if LABEL.fullmatch(label) is None or label == "le":
                raise StatsError(f"{name}: label {label!r} is not lower-case letters, digits and underscores, or is le")
            if not isinstance(value, str):
                raise StatsError(f"{name}: label {label} is {type(value).__name__}, needed a string")
        family = self._families.get(name)
        if family is not None:
            if (family.kind, family.labels) != (kind, names):
                raise StatsError(
                    f"{name}: was registered as a {family.kind} with labels {family.labels}, "
                    f"not as a {kind} with {names}"
                )
            if values in family.series:
                return family.series[values]
        if getpid() != self._owner:
            raise StatsError(f"{name}: a new series in a worker process; register it before the workers start")
        if needed > self.slots - self.slots_used:
            raise StatsError(
                f"{name}: no room for another {kind}: {needed} slots needed, {self.slots - self.slots_used} of "
                f"{self.slots} left; raise limits.statistics_bytes"
            )
        if family is None:
            family = _Family.__new__(_Family)
            family.name = name
            family.kind = kind
            family.help = help
            family.labels = names
            family.series = {}
            family.texts = {}
            self._families[name] = family
        index = self.slots_used
        self.slots_used += needed
        family.series[values] = index
        family.texts[values] = ",".join([f'{label}="{_escaped(value)}"' for label, value in labels.items()])
        return index

    cdef uint64_t _sum(self, size_t index) noexcept nogil:
        cdef uint64_t total = 0
        cdef uint32_t worker
        for worker in range(self.workers):
            total += self._memory[worker * self._stretch + index]
        return total

    cdef int _check(self, uint32_t index, uint32_t size) except -1:
        if not STATS_HISTOGRAM_SLOTS <= index <= self.slots_used - size:
            raise IndexError(f"no series has index {index}")
        return 0

    def value(self, uint32_t index):
        """The counter or gauge at ``index``, all workers together."""
        self._check(index, 1)
        return self._sum(index)

    def histogram_value(self, uint32_t index):
        """A histogram as (counts, sum in nanoseconds): one count a bucket of ``BUCKET_BOUNDS_NS``, one for above."""
        self._check(index, STATS_HISTOGRAM_SLOTS)
        return [self._sum(index + i) for i in range(STATS_BUCKETS)], self._sum(index + STATS_BUCKETS)

    def add(self, uint32_t index, uint64_t amount=1):
        """Add to a counter or gauge, from Python."""
        self._check(index, 1)
        stats_add(self, index, amount)

    def set(self, uint32_t index, uint64_t value):
        """Set this worker's part of a gauge, from Python."""
        self._check(index, 1)
        stats_set(self, index, value)

    def observe(self, uint32_t index, uint64_t duration_ns):
        """Count one duration in a histogram, from Python."""
        self._check(index, STATS_HISTOGRAM_SLOTS)
        stats_observe(self, index, duration_ns)

    def collect(self):
        """Metric families for a prometheus_client registry; durations in seconds."""
        cdef _Family family
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
                    metric.add_metric(values, self._sum(index))
            yield metric

    def exposition(self):
        """What ``collect`` gives, as bytes in Prometheus' text form (version 0.0.4).

        It is some thirty times quicker than the general way, so that a scrape does not hold up the messages of
        terminals in the same process.
        """
        cdef _Family family
        cdef list lines = []
        for family in self._families.values():
            lines.append(f"# HELP {family.name} {_escaped_help(family.help)}\n# TYPE {family.name} {family.kind}\n")
            for values, index in family.series.items():
                if family.kind == "histogram":
                    self._expose_histogram(lines, family.name, family.texts[values], index)
                else:
                    labels = family.texts[values]
                    lines.append(f"{family.name}{{{labels}}} {self._sum(index)}\n")
        return "".join(lines).encode()

    cdef int _expose_histogram(self, list lines, str name, str labels, size_t index) except -1:
        cdef uint64_t total = 0
        cdef int bucket
        cdef str start = f"{name}_bucket{{{labels}{',' if labels else ''}le=\""
        for bucket in range(STATS_BUCKETS):
            total += self._sum(index + bucket)
            lines.append(start)
            lines.append(BUCKET_ENDS[bucket])
            lines.append(f"{total}\n")
        lines.append(f"{name}_count{{{labels}}} {total}\n")
        lines.append(f"{name}_sum{{{labels}}} {self._sum(index + STATS_BUCKETS) / 1e9}\n")
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
