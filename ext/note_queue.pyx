"""What an operator should read, kept without a Python object until no step is under way.

A step that moves money must come to its end whatever becomes of the words about it: a callback may raise, a signal's
handler may raise within it, memory for its details may be short. So a step only copies numbers into memory that was
taken at the start, and whoever drives the state machine delivers them between two steps.
"""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from switch.stats cimport stats_add

from switch.kinds import KINDS
from switch.reasons import REASONS


def _mti(value):
    return f"{value:04d}"


def _kind(value):
    return KINDS[value]


def _reason(value):
    return REASONS[value]


def _entry(value):
    return "advice" if value else "reversal"


LISTENER, LINK, NOWHERE = "listener", "link", None
EVENTS = (                                    # name, where, values with their types
    ("frame_error", LISTENER, (("status", int),)),
    ("format_error", LISTENER, (("field", int), ("byte", int), ("needed", int), ("available", int))),
    ("request_not_composable", LINK, (("field", int),)),
    ("answer_not_composable", LINK, (("field", int),)),
    ("advice_not_composable", LINK, (("field", int),)),
    ("frame_error", LINK, (("status", int),)),
    ("link_format_error", LINK, (("field", int), ("byte", int))),
    ("link_unexpected_message", LINK, (("mti", _mti),)),
    ("link_unmatched_answer", LINK, (("stan", int), ("mti", _mti))),
    ("link_mac_failure", LINK, (("stan", int),)),
    ("link_mismatched_answer", LINK, (("stan", int), ("mti", _mti))),
    ("link_late_answer", LINK, (("stan", int),)),
    ("answer_without_room", LINK, (("stan", int),)),
    ("late_approval_reversed", LINK, (("stan", int),)),
    ("link_suspended", LINK, (("timeouts", int),)),
    ("link_up", LINK, ()),
    ("link_down", LINK, ()),
    ("network_message_unknown", LINK, (("kind", _kind),)),
    ("network_message_not_composable", LINK, (("field", int),)),
    ("network_message_refused", LINK, (("kind", _kind), ("reason", _reason))),
    ("network_message_not_answered", LINK, (("kind", _kind),)),
    ("reversal_without_stan", LINK, ()),
    ("reversal_store_full", LINK, ()),
    ("reversal_without_request", NOWHERE, ()),
    ("reversal_not_composable", LINK, (("field", int),)),
    ("reversal_overdue", LINK, (("what", _entry), ("age_seconds", int), ("attempts", int))),
    ("advice_declined", LINK, (("reason", _reason), ("stand_in", bool))),
)
"""What is told, in the order of ``NoteEvent``: the event, what its place is, and how its numbers are shown."""


@cython.final
cdef class NoteQueue:
    """Notes between the step that makes them and their delivery; each event has room of its own.

    Args:
        callback: Called with an event's name and a dict of details, never within a step. What it raises is counted
            and goes no further, but for what ends a program (``KeyboardInterrupt``), which leaves ``deliver``.
        stats: The shared counters.
        listeners, links: Their names, by number.
    """

    def __cinit__(self):
        self._notes = <Note *>calloc(NOTE_EVENT_COUNT * NOTES_KEPT, sizeof(Note))
        if self._notes == NULL:
            raise MemoryError

    def __init__(self, object callback not None, Stats stats, list listeners, list links):
        if len(EVENTS) != NOTE_EVENT_COUNT:
            raise AssertionError("EVENTS and NoteEvent do not agree")
        self.callback = callback
        self._stats = stats
        self._listeners = listeners
        self._links = links
        self._failed = stats.counter(
            "authswitch_notes_failed_total", "Notes for the log that were lost because writing them raised an error.")
        self._held_back = stats.counter(
            "authswitch_notes_held_back_total", "Notes for the log only counted: too many of one kind at once.")

    def __dealloc__(self):
        free(self._notes)

    cdef void add(self, NoteEvent event, int place, int64_t first, int64_t second, int64_t third, int64_t fourth,
                  const uint8_t *rrn) noexcept nogil:
        """Keep a note; only count it when so many of its event wait."""
        cdef Note *note
        cdef uint32_t number = <uint32_t>event
        self._of_event[number] += 1
        if self._of_event[number] > NOTES_KEPT:
            stats_add(self._stats, self._held_back, 1)
            return
        note = self._notes + self._count
        self._count += 1
        note.event = number
        note.place = place
        note.value[0] = first
        note.value[1] = second
        note.value[2] = third
        note.value[3] = fourth
        note.has_rrn = rrn != NULL
        if rrn != NULL:
            memcpy(note.rrn, rrn, NOTE_RRN_BYTES)

    cdef bint is_empty(self) noexcept nogil:
        return self._count == 0

    cdef int deliver(self) except -1:
        """Call the callback with every note; for between two steps only.

        Raises:
            BaseException: The callback raised what is no Exception; the next delivery begins behind that note.
        """
        cdef const Note *note
        cdef bint is_told
        cdef uint32_t event
        if self._is_delivering:
            return 0                          # the callback has driven the state machine on
        self._is_delivering = True
        try:
            while self._next < self._count:
                note = self._notes + self._next
                self._next += 1
                is_told = False
                try:
                    self.callback(EVENTS[note.event][0], self._details(note))
                    is_told = True
                except Exception:  # noqa: S110
                    pass
                finally:
                    if not is_told:
                        stats_add(self._stats, self._failed, 1)
            self._next = self._count = 0
            for event in range(NOTE_EVENT_COUNT):
                self._of_event[event] = 0
        finally:
            self._is_delivering = False
        return 0

    cdef dict _details(self, const Note *note):
        cdef dict details = {}
        cdef int i = 0
        cdef uint32_t more = self._of_event[note.event]
        _, where, values = EVENTS[note.event]
        if where == LINK:
            details[LINK] = self._links[note.place]
        elif where == LISTENER:
            details[LISTENER] = self._listeners[note.place]
        if note.has_rrn:
            details["rrn"] = note.rrn[:NOTE_RRN_BYTES].decode("ascii", "replace")
        for name, shown in values:
            details[name] = shown(note.value[i])
            i += 1
        if more > NOTES_KEPT:
            details["held_back"] = more - NOTES_KEPT
            self._of_event[note.event] = NOTES_KEPT
        return details
