"""Tracks that a terminal has enciphered: opened before anything is read of them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.track_data cimport TRACK_MALFORMED, TRACK_NO_KEY, TRACK_OPENED, open_track
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.reasons cimport REASON_SECURITY_VIOLATION
from switch.dialect.track_rules cimport TrackRules, has_enciphered_track
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_REQUEST_REFUSED
from switch.machine.state cimport SCRATCH_BYTES
from switch.path.request_faults cimport tell_field
from switch.path.terminal_answer cimport refuse
from switch.tables.former_keys cimport FormerKeys, is_taken
from switch.wire.kept_copy cimport keep_copy
from switch.wire.scan cimport FAULT_TRACK, FAULT_TRACK_KEY, has_field, scan_message


cdef bint open_tracks(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef const TrackRules *rules = &listener.tables.tracks
    cdef const uint8_t *sent = state.request.data
    cdef int i, field, result
    if not has_enciphered_track(rules, listener.tables.spec, &state.request):
        return True
    if state.request.size > SCRATCH_BYTES:
        return _refuse(state, channel, rules.fields[0], FAULT_TRACK)
    memcpy(state.opened, state.request.data, state.request.size)
    state.opened_size = state.request.size
    state.request.data = state.opened
    for i in range(rules.count):
        field = rules.fields[i]
        if not has_field(&state.request, field):
            continue
        result = _open(state, state.opened + state.request.offset[field], state.request.length[field])
        if result != TRACK_OPENED:
            state.inbound.shut_track = field
            state.inbound.shut_why = FAULT_TRACK_KEY if result == TRACK_NO_KEY else FAULT_TRACK
            return _leave_out(state, channel, sent)
    return True


cdef int _open(State state, uint8_t *track, uint32_t size) noexcept nogil:
    """Decipher a track in place; one that does not open under the terminal's key may be under that which it has
    replaced."""
    cdef const FormerKeys *former
    cdef int result = open_track(&state.inbound.terminal.track_key, track, size)
    if result == TRACK_MALFORMED and state.inbound.terminal.has_former:
        former = state.registry.former.find(state.inbound.terminal_number)
        if is_taken(former, state.calendar.now_ns):
            result = open_track(&former.track_key, track, size)
    return result


cdef bint _leave_out(State state, TerminalChannel channel, const uint8_t *sent) noexcept:
    """Let the request mean its copy without any track: half of one that stays shut would be read as its card."""
    cdef Listener listener = channel.listener
    cdef const TrackRules *rules = &listener.tables.tracks
    cdef uint64_t[3] tracks
    cdef uint32_t size
    cdef int i, field
    tracks[0] = tracks[1] = tracks[2] = 0
    for i in range(rules.count):
        field = rules.fields[i]
        tracks[(field - 1) >> 6] |= <uint64_t>1 << ((field - 1) & 63)
    state.request.data = sent
    size = keep_copy(listener.tables.spec, &state.request, tracks, state.opened)
    if scan_message(listener.tables.spec, state.opened, size, &state.request, &state.fault) == 0:
        return True
    return _refuse(state, channel, state.inbound.shut_track, state.inbound.shut_why)


cdef bint may_lack_tracks(State state, TerminalChannel channel) noexcept:
    if state.inbound.shut_track == 0 or state.inbound.kind == KIND_REVERSAL:
        return True
    return _refuse(state, channel, state.inbound.shut_track, state.inbound.shut_why)


cdef bint _refuse(State state, TerminalChannel channel, int field, int fault) noexcept:
    tell_field(state, NOTE_REQUEST_REFUSED, channel.listener, field, fault)
    refuse(state, channel, REASON_SECURITY_VIOLATION)
    return False


cdef void forget_tracks(State state) noexcept nogil:
    if state.opened_size:
        OPENSSL_cleanse(state.opened, state.opened_size)
        state.opened_size = 0
