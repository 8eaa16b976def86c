"""How terminals of a dialect say that they have enciphered tracks."""

from libc.string cimport memcmp, memcpy, memset
from switch.wire.scan cimport has_field, patch_text, read_text


cdef int fill_track_rules(TrackRules *rules, place, str mark, str clear, fields) except -1:
    cdef bytes marked = mark.encode("ascii")
    cdef bytes unmarked = clear.encode("ascii")
    memset(rules, 0, sizeof(TrackRules))
    rules.field, rules.start = place
    if len(marked) > TRACK_MARK_MAX or len(unmarked) != len(marked) or len(fields) > TRACK_FIELDS_MAX:
        raise ValueError(f"a mark of tracks has at most {<int>TRACK_MARK_MAX} characters, and there are "
                         f"{<int>TRACK_FIELDS_MAX} tracks")
    rules.size = len(marked)
    memcpy(rules.mark, <const char *>marked, len(marked))
    memcpy(rules.clear, <const char *>unmarked, len(unmarked))
    for field in fields:
        rules.fields[rules.count] = field
        rules.count += 1
    return 0


cdef bint has_enciphered_track(const TrackRules *rules, Spec spec, const MessageIndex *request) noexcept nogil:
    cdef uint8_t text[TRACK_MARK_FIELD_ROOM]
    cdef int i
    if rules.field == 0 or not has_field(request, rules.field):
        return False
    if (read_text(spec, request, rules.field, text, TRACK_MARK_FIELD_ROOM) < <int>rules.start + rules.size
            or memcmp(text + rules.start, rules.mark, rules.size) != 0):
        return False
    for i in range(rules.count):
        if has_field(request, rules.fields[i]):
            return True
    return False


cdef void say_in_clear(const TrackRules *rules, Spec spec, MessageIndex *composed, uint8_t *data) noexcept nogil:
    cdef uint8_t text[TRACK_MARK_FIELD_ROOM]
    cdef int size
    if rules.field == 0 or not has_field(composed, rules.field):
        return
    composed.count[rules.field] = spec.fields[rules.field].max_length     # which nobody has counted yet
    if has_enciphered_track(rules, spec, composed):
        size = read_text(spec, composed, rules.field, text, TRACK_MARK_FIELD_ROOM)
        memcpy(text + rules.start, rules.clear, rules.size)
        patch_text(spec, composed, data, rules.field, text, size)
