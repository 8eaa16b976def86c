"""What names a request, and what tells it from another of the same name."""

from libc.stdint cimport int64_t, uint32_t
from switch.dialect.card_data cimport read_pan
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.tables cimport kind_traits, mti_class
from switch.machine.original_reference cimport fold, moment_of, occasion_of
from switch.machine.request_context cimport Inbound
from switch.path.request_faults cimport tell_missing
from switch.wire.fields cimport FIELD_AMOUNT, FIELD_STAN
from switch.wire.scan cimport read_number


cdef bint read_natural_key(State state, Listener listener) noexcept:
    cdef Inbound *inbound = &state.inbound
    cdef int64_t stan = read_number(listener.tables.spec, &state.request, FIELD_STAN)
    if stan < 0:
        tell_missing(state, listener, FIELD_STAN)
        return False
    inbound.amount_minor = read_number(listener.tables.spec, &state.request, FIELD_AMOUNT)
    inbound.pan_digits = read_pan(listener.tables.spec, &state.request, inbound.pan)
    inbound.key.occasion = occasion_of(listener.tables, &state.request)
    inbound.key.terminal = inbound.terminal_number
    inbound.key.stan = <uint32_t>stan
    inbound.key.message_class = mti_class(state.request.mti)
    inbound.key._padding = 0
    inbound.named_at = moment_of(listener.tables, &state.request)
    inbound.fingerprint = fingerprint_of(state, inbound.pan, inbound.pan_digits, inbound.kind, inbound.amount_minor)
    return True


cdef uint64_t fingerprint_of(State state, const uint8_t *pan, int pan_digits, int kind,
                             int64_t amount_minor) noexcept nogil:
    cdef uint64_t folded = fold(state.fingerprint_secret, pan, pan_digits)
    folded = (folded ^ <uint64_t>amount_minor) * <uint64_t>0x9E3779B97F4A7C15
    return (folded ^ (folded >> 31) ^ <uint64_t>kind) * <uint64_t>0x9E3779B97F4A7C15


cdef bint comes_again(int kind) noexcept nogil:
    return kind == KIND_REVERSAL or kind_traits(kind).is_advice
