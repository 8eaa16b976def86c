"""Tracks that a terminal has enciphered: opened before anything is read of them."""

from libc.string cimport memcpy
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.track_data cimport TRACK_NO_KEY, TRACK_OPENED, open_track
from switch.dialect.reasons cimport REASON_SECURITY_VIOLATION
from switch.dialect.track_rules cimport TrackRules, has_enciphered_track
from switch.machine.listener cimport Listener
from switch.machine.note_queue cimport NOTE_REQUEST_REFUSED
from switch.machine.state cimport SCRATCH_BYTES
from switch.path.request_faults cimport tell_field
from switch.path.terminal_answer cimport refuse
from switch.wire.scan cimport FAULT_TRACK, FAULT_TRACK_KEY, FaultCode, has_field


cdef bint open_tracks(State state, TerminalChannel channel) noexcept:
    cdef Listener listener = channel.listener
    cdef const TrackRules *rules = &listener.tables.tracks
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
        result = open_track(&state.inbound.terminal.track_key, state.opened + state.request.offset[field],
                            state.request.length[field])
        if result != TRACK_OPENED:
            return _refuse(state, channel, field, FAULT_TRACK_KEY if result == TRACK_NO_KEY else FAULT_TRACK)
    return True


cdef bint _refuse(State state, TerminalChannel channel, int field, FaultCode fault) noexcept:
    tell_field(state, NOTE_REQUEST_REFUSED, channel.listener, field, fault)
    refuse(state, channel, REASON_SECURITY_VIOLATION)
    return False


cdef void forget_tracks(State state) noexcept nogil:
    if state.opened_size:
        OPENSSL_cleanse(state.opened, state.opened_size)
        state.opened_size = 0
