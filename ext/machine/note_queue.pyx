"""What an operator should read, kept without a Python object until no step is under way.

A step that moves money must come to its end whatever becomes of the words about it: a callback may raise, a signal's
handler may raise within it, memory for its details may be short. So a step only copies numbers into memory that was
taken at the start, and whoever drives the state machine delivers them between two steps.
"""

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from switch.base.invariant cimport ensure
from switch.base.stats cimport stats_add
from switch.machine.link cimport MISMATCH_NOTHING
from switch.wire.framing cimport frame_words
from switch.wire.scan cimport fault_details

from switch.dialect.kinds import KINDS
from switch.dialect.reasons import REASONS


def _mti(value):
    return f"{value:04d}"


def _kind(value):
    return KINDS[value]


def _reason(value):
    return REASONS[value]


def _mismatch(value):
    return {0: "connection", MISMATCH_NOTHING: "none repeated"}.get(value, value)


def _entry(value):
    return "advice" if value else "reversal"


STRANGERS = (
    "merchant not registered",
    "merchant suspended or closed",
    "terminal not registered",
    "terminal suspended or closed",
    "terminal of another merchant",
    "terminal not allowed on this listener",
    "the certificate is not this terminal's",
    "the terminal is bound to other elements than its merchant has now",
    "the terminal says another serial number than is registered",
    "the terminal does not say its serial number",
    "the terminal is elsewhere than it is registered",
    "the terminal does not say where it is",
    "the terminal awaits its first sign-in",
    "the time for the terminal's first sign-in is over",
)


def _stranger(value):
    return STRANGERS[value]


SIGN_IN_FAULTS = (
    "nothing is wrong with them",
    "the terminal has no master key (tmk) of DES",
    "the terminal has no PIN key (tpk); the answer has a place for both working keys",
    "the PIN key (tpk) is not of DES, or of a size for which the form that was asked for has no place",
    "the MAC key (tak) is missing, not of DES, or of a size for which the answer has no place beside the PIN key",
    "the track key (tdk), for which was asked, is missing or not as long as the PIN key",
    "it asks for a form of the answer that the dialect does not offer",
    "libcrypto refused to encrypt them under the master key (tmk)",
    "it asks for keys of SM4, and those of the terminal (tmk, tpk, tak) are not all of SM4",
)


def _sign_in(value):
    return SIGN_IN_FAULTS[value]


def _frame(details):
    """The numbers of a refused frame in words."""
    numbers = [details.pop(name) for name, _ in FRAME]
    details["reason"] = frame_words(numbers[0], numbers[1], numbers[2], numbers[3])


FRAME = (("status", int), ("byte", int), ("needed", int), ("available", int))
TERMINAL = (("terminal", 8),)
PARTIES = (*TERMINAL, ("merchant", 15))
LISTENER, LINK, NOWHERE = "listener", "link", None
EVENTS = (                                    # name, where, values with their types, texts with their sizes
    ("frame_error", LISTENER, FRAME, ()),
    ("format_error", LISTENER, (), TERMINAL),
    ("mac_failure", LISTENER, (), TERMINAL),
    ("pin_not_translatable", LISTENER, (), TERMINAL),
    ("request_refused", LISTENER, (), TERMINAL),
    ("conflicting_repeat", LISTENER, (), TERMINAL),
    ("unexpected_message", LISTENER, (("mti", _mti),), ()),
    ("terminal_refused", LISTENER, (("reason", _stranger),), PARTIES),
    ("request_not_composable", LINK, (), ()),
    ("answer_not_composable", LISTENER, (), ()),
    ("advice_not_composable", LINK, (), ()),
    ("frame_error", LINK, FRAME, ()),
    ("link_format_error", LINK, (), ()),
    ("link_unexpected_message", LINK, (("mti", _mti),), ()),
    ("link_unmatched_answer", LINK, (("stan", int), ("mti", _mti)), ()),
    ("link_mac_failure", LINK, (("stan", int),), ()),
    ("link_mismatched_answer", LINK, (("stan", int), ("mti", _mti), ("field", _mismatch)), ()),
    ("link_unknown_code", LINK, (("mti", _mti),), (("code", 4),)),
    ("link_late_answer", LINK, (("stan", int),), ()),
    ("answer_without_room", LINK, (("stan", int),), ()),
    ("late_approval_reversed", LINK, (("stan", int),), ()),
    ("link_suspended", LINK, (("timeouts", int),), ()),
    ("link_up", LINK, (), ()),
    ("link_down", LINK, (), ()),
    ("network_message_unknown", LINK, (("kind", _kind),), ()),
    ("network_message_not_composable", LINK, (), ()),
    ("network_message_refused", LINK, (("kind", _kind), ("reason", _reason)), ()),
    ("network_message_not_answered", LINK, (("kind", _kind),), ()),
    ("request_unended", LINK, (("journal_position", int),), ()),
    ("reversal_without_stan", LINK, (), ()),
    ("reversal_store_full", LINK, (), ()),
    ("reversal_without_request", NOWHERE, (), ()),
    ("reversal_not_composable", LINK, (), ()),
    ("reversal_overdue", LINK, (("what", _entry), ("age_seconds", int), ("attempts", int)), ()),
    ("advice_declined", LINK, (("reason", _reason), ("stand_in", bool)), ()),
    ("reversal_without_link", NOWHERE, (), ()),
    ("reversal_not_found", LINK, (("attempts", int),), ()),
    ("reversal_withheld", LINK, (("reason", _reason),), ()),
    ("sign_in_without_keys", LISTENER, (("kind", _kind), ("refused", bool), ("reason", _sign_in)), TERMINAL),
    ("terminal_elsewhere", LISTENER, (("reason", _stranger),), TERMINAL),
    ("terminal_in_service", LISTENER, (("kind", _kind),), TERMINAL),
)
"""What is told, in the order of ``NoteEvent``: the event, what its place is, and how its
numbers and texts are shown."""


@cython.final
cdef class NoteQueue:
    """Notes between the step that makes them and their delivery; each event has room of its own.

    Args:
        callback: Called with an event's name and a dict of details, never within a step. What it raises is counted
            and goes no further, but for what ends a program (``KeyboardInterrupt``), which leaves ``deliver``.
        stats: The shared counters.
        listeners, links: Their names, by number.
        dialects: Names of their dialects, by ``listener`` and ``link``, then by number.
    """

    def __cinit__(self):
        self._notes = <Note *>calloc(NOTE_EVENT_COUNT * NOTES_KEPT, sizeof(Note))
        if self._notes == NULL:
            raise MemoryError

    def __init__(self, object callback not None, Stats stats, list listeners, list links, dict dialects):
        if len(EVENTS) != NOTE_EVENT_COUNT:
            raise AssertionError("EVENTS and NoteEvent do not agree")
        self.callback = callback
        self._stats = stats
        self._listeners = listeners
        self._links = links
        self._dialects = dialects
        self._failed = stats.counter(
            "authswitch_notes_failed_total", "Notes for the log that were lost because writing them raised an error.")
        self._held_back = stats.counter(
            "authswitch_notes_held_back_total", "Notes for the log only counted: too many of one kind at once.")

    def __dealloc__(self):
        free(self._notes)

    cdef Note *add(self, NoteEvent event, int place, int64_t first, int64_t second, int64_t third, int64_t fourth,
                   const uint8_t *rrn) noexcept nogil:
        """Keep a note, to which a fault and texts may be added; only count it, and NULL, when so many of its event
        wait."""
        cdef Note *note
        cdef uint32_t number = <uint32_t>event
        self._of_event[number] += 1
        if self._of_event[number] > NOTES_KEPT:
            stats_add(self._stats, self._held_back, 1)
            return NULL
        ensure(number < NOTE_EVENT_COUNT and self._count < NOTE_EVENT_COUNT * NOTES_KEPT, b"each event has its notes")
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
        note.has_fault = False
        memset(note.text, 0, NOTE_TEXT_BYTES)
        if self.speaker == NULL:
            note.peer[0] = 0
        else:
            memcpy(note.peer, self.speaker, NOTE_PEER_BYTES)
        return note

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
        cdef int at = 0
        _, where, values, texts = EVENTS[note.event]
        if where is not NOWHERE:
            details[where] = (self._links if where == LINK else self._listeners)[note.place]
        if note.peer[0]:
            details["peer"] = (<const char *>note.peer).decode("ascii", "replace")
        if note.has_rrn:
            details["rrn"] = note.rrn[:NOTE_RRN_BYTES].decode("ascii", "replace")
        for name, shown in values:
            details[name] = shown(note.value[i])
            i += 1
        for name, size in texts:
            if note.text[at]:
                details[name] = note.text[at:at + size].decode("ascii", "replace").rstrip("\0 ")
            at += size
        if note.has_fault:
            details["dialect"] = self._dialects[where][note.place]
            details.update(fault_details(&note.fault))
        if values is FRAME:
            details["dialect"] = self._dialects[where][note.place]
            _frame(details)
        if more > NOTES_KEPT:
            details["held_back"] = more - NOTES_KEPT
            self._of_event[note.event] = NOTES_KEPT
        return details
