"""How terminals of a dialect say that they have enciphered tracks."""

from libc.stdint cimport uint8_t
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec

cdef enum:
    TRACK_MARK_MAX = 4
    TRACK_FIELDS_MAX = 2
    TRACK_MARK_FIELD_ROOM = 64

cdef struct TrackRules:
    uint8_t field             # that says it, of fixed length; 0: tracks are never enciphered
    uint8_t start
    uint8_t size
    uint8_t mark[TRACK_MARK_MAX]
    uint8_t clear[TRACK_MARK_MAX]       # what stands there where a track is in clear
    uint8_t count
    uint8_t fields[TRACK_FIELDS_MAX]


cdef int fill_track_rules(TrackRules *rules, place, str mark, str clear, fields) except -1
"""Fill them from Python values; see ``DialectTables``."""

cdef bint has_enciphered_track(const TrackRules *rules, Spec spec, const MessageIndex *request) noexcept nogil
"""Whether a request says so, and has such a field."""

cdef void say_in_clear(const TrackRules *rules, Spec spec, MessageIndex *composed, uint8_t *data) noexcept nogil
"""Say in a message that was composed at ``data`` that its tracks are in clear, where it says otherwise."""
