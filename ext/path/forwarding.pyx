"""Where a terminal's message goes and how it is written there."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.base.calendar cimport write_digits
from switch.base.stats cimport stats_add
from switch.crypto.device_counters cimport (
    COUNTER_AGAIN, COUNTER_AHEAD, COUNTER_ELSEWHERE, Bringer, Standing,
)
from switch.crypto.dukpt cimport SERIAL_DIGITS_MAX, Serial, derive_pin_key, read_serial
from switch.crypto.libcrypto cimport OPENSSL_cleanse
from switch.crypto.pin_block cimport (
    PIN_BLOCK_SIZE_MAX, PIN_FORMAT_ISO_4, PIN_FORMAT_NONE, PinKey, PinSide, may_translate, pin_block_size,
    translate_pin,
)
from switch.dialect.tables cimport NO_FIELD
from switch.dialect.reasons cimport REASON_FORMAT_ERROR, REASON_INVALID_TRANSACTION, REASON_SECURITY_VIOLATION
from switch.machine.meters cimport (
    LIMIT_LATE, LIMIT_LINK_REVERSALS, LIMIT_NUMBERS, LIMIT_STANS, LIMIT_TERMINAL_IN_FLIGHT,
)
from switch.machine.note_queue cimport NOTE_PIN_NOT_TRANSLATABLE, NOTE_REQUEST_REFUSED
from switch.machine.numbering cimport is_dated
from switch.machine.originals cimport Referred
from switch.machine.request_context cimport Inbound
from switch.machine.terminal_counts cimport share_of
from switch.path.identity cimport NOT_REFUSED
from switch.path.request_faults cimport tell_field
from switch.path.terminal_answer cimport set_rrn
from switch.machine.transaction cimport NaturalKey
from switch.saf.room cimport link_has_room
from switch.tables.former_keys cimport FormerKeys, is_taken
from switch.tables.identifiers cimport TERMINAL_ID_MAX, TERMINAL_NONE
from switch.tables.registry cimport PARTY_ACTIVE
from switch.wire.fields cimport FIELD_PIN, FIELD_PROCESSING_CODE, FIELD_RRN
from switch.wire.hexadecimal cimport read_hex, write_hex
from switch.wire.scan cimport (
    FAULT_PIN, FAULT_PIN_KEY, FAULT_SERIAL_ELSEWHERE, FAULT_SERIAL_NUMBER, FAULT_SERIAL_REPEATED, FaultCode, read_text,
)
from switch.wire.translate cimport (
    SLOT_ENTRY_MODE, SLOT_FORWARDER, SLOT_KIND_CODE, SLOT_ORIGINAL_AUTHORIZATION_CODE, SLOT_ORIGINAL_DATA,
    SLOT_ORIGINAL_RRN, SLOT_PAN, SLOT_PARTIAL_APPROVAL, SLOT_PIN_BLOCK, SLOT_PROCESSING_CODE, SLOT_SAID_RRN, SLOT_STAN,
    fill_slot,
)

cdef enum:
    NS_A_SECOND = 1_000_000_000
    SHARE_LEAST = 4           # places that a terminal may have on a link, however few are free


cdef bint can_say(State state, const Route *route, int kind) noexcept:
    if state.inquiries.referred.is_known:
        return (<Link>state.links[state.inquiries.referred.link]).says(kind)
    return first_link(state, route, kind) is not None


cdef int refuse_kind(State state, Listener listener, FaultCode fault) noexcept nogil:
    tell_field(state, NOTE_REQUEST_REFUSED, listener, FIELD_PROCESSING_CODE, fault)
    return REASON_INVALID_TRANSACTION


cdef bint _may_take(State state, Link link, int kind) noexcept:
    return link.says(kind) and link.can_take() and link_has_room(state, link, 1)


cdef uint32_t take_stan(State state, Link link) noexcept nogil:
    cdef uint32_t stan = link.take_stan(state.numbering)
    if stan == 0:
        stats_add(state.meters.stats, state.meters.refused_at_limit[
            LIMIT_NUMBERS if state.numbering.is_spent() else LIMIT_STANS], 1)
    return stan


cdef Link first_link(State state, const Route *route, int kind):
    cdef int i
    for i in range(route.target_count):
        if (<Link>state.links[route.target[i].link]).says(kind):
            return <Link>state.links[route.target[i].link]
    return None


cdef Link choose_link(State state, const Route *route, int kind):
    cdef Link link
    cdef int first = 0
    cdef int last, i
    cdef uint32_t total, pick
    while first < route.target_count:
        total = 0
        last = first
        while last < route.target_count and route.target[last].priority == route.target[first].priority:
            if _may_take(state, <Link>state.links[route.target[last].link], kind):
                total += route.target[last].weight
            last += 1
        if total:
            pick = <uint32_t>(state.random() % total)
            for i in range(first, last):
                if not _may_take(state, <Link>state.links[route.target[i].link], kind):
                    continue
                if pick < route.target[i].weight:
                    return <Link>state.links[route.target[i].link]
                pick -= route.target[i].weight
        first = last
    for i in range(route.target_count):
        link = <Link>state.links[route.target[i].link]
        if link.says(kind) and _count_limit_met(state, link):
            break
    return None


cdef Link this_link(State state, Link link, int kind):
    if _may_take(state, link, kind):
        return link
    _count_limit_met(state, link)
    return None


cdef bint leaves_places(State state, Link link) noexcept:
    cdef uint64_t share = share_of(link.in_flight_max - link.waiting.count, state.duplicates.share_percent, SHARE_LEAST)
    if state.terminals.of[state.inbound.terminal_number].asked < share:
        return True
    stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_TERMINAL_IN_FLIGHT], 1)
    return False


cdef bint _count_limit_met(State state, Link link) noexcept:
    """Count the limit for which a link takes nothing; False when it is none that is counted."""
    if link.is_late():
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_LATE], 1)
    elif link.can_take():
        stats_add(state.meters.stats, state.meters.refused_at_limit[LIMIT_LINK_REVERSALS], 1)
    else:
        return False
    return True


cdef void fill_link_slots(State state, Listener listener, Link link, int kind, uint32_t stan,
                          LinkTexts *texts) noexcept:
    cdef int size
    state.clear_slots()
    state.set_mti(<uint32_t>link.tables.kind_mti(kind))
    write_digits(state.stan_text, 6, stan)
    fill_slot(&state.slots, SLOT_STAN, state.stan_text, 6)
    state.numbering.write_rrn(state.rrn)
    set_rrn(state, state.rrn)
    fill_slot(&state.slots, SLOT_PAN, state.inbound.pan, state.inbound.pan_digits)
    # The account types of the terminal's processing code stay; what is asked is written in the link's own way.
    if (read_text(listener.tables.spec, &state.request, FIELD_PROCESSING_CODE, texts.processing_code, 6) == 6
            and link.tables.kind_processing_code(kind, texts.processing_code) == 2):
        fill_slot(&state.slots, SLOT_PROCESSING_CODE, texts.processing_code, 6)
    if link.institution_id:
        fill_slot(&state.slots, SLOT_FORWARDER, <const uint8_t *><const char *>link.institution_id,
                  <int>len(link.institution_id))
    size = link.tables.kind_code(kind, texts.kind_code)
    if size > 0:
        fill_slot(&state.slots, SLOT_KIND_CODE, texts.kind_code, size)
    if state.inquiries.referred.refers:
        _fill_reference(state, listener, link, texts)
    size = link.tables.entry_mode(listener.tables, &state.request, texts.entry_mode)
    if size > 0:
        fill_slot(&state.slots, SLOT_ENTRY_MODE, texts.entry_mode, size)


cdef void fill_parts_slot(State state, Listener listener, Link link, Composer composer, int kind,
                          LinkTexts *texts) noexcept:
    cdef int size = -1
    if composer.parts_origin:
        size = read_text(listener.tables.spec, &state.request, composer.parts_origin, texts.parts, PARTS_ROOM)
        if size < -1:
            return
    if size < 0:
        size = link.tables.kind_code(kind, texts.parts) if composer.parts_begin_with_kind else 0
    size = link.tables.mark_part(texts.parts, size, PARTS_ROOM,
                                 link.partial_approval and listener.tells_part(&state.request))
    if size > 0:
        fill_slot(&state.slots, SLOT_PARTIAL_APPROVAL, texts.parts, size)


cdef bint _can_translate_pin(Link link, const Terminal *terminal) noexcept nogil:
    """Whether both sides have what a PIN block needs: keys, and the link a format that the terminal's may become."""
    return ((terminal.pin_key.size != 0 or terminal.derives_pin_keys) and link.pin_key.size != 0
            and link.pin_format != PIN_FORMAT_NONE and may_translate(terminal.pin_format, link.pin_format))


cdef void _fill_reference(State state, Listener listener, Link link, LinkTexts *texts) noexcept nogil:
    """What names the original of the request, where it is known; else the reference number that its terminal says."""
    cdef const Referred *referred = &state.inquiries.referred
    if referred.is_known:
        fill_slot(&state.slots, SLOT_ORIGINAL_RRN, referred.rrn, sizeof(referred.rrn))
        if referred.size:
            fill_slot(&state.slots, SLOT_ORIGINAL_DATA, referred.data, referred.size)
        if referred.authorization_code[0]:
            fill_slot(&state.slots, SLOT_ORIGINAL_AUTHORIZATION_CODE, referred.authorization_code,
                      sizeof(referred.authorization_code))
    elif not link.match_by_rrn and read_text(listener.tables.spec, &state.request, FIELD_RRN, texts.said_rrn,
                                             sizeof(texts.said_rrn)) == sizeof(texts.said_rrn):
        if is_dated(texts.said_rrn):          # else it is the terminal's own
            fill_slot(&state.slots, SLOT_SAID_RRN, texts.said_rrn, sizeof(texts.said_rrn))


cdef int _refuse_pin(State state, Listener listener, int field, FaultCode fault, int reason) noexcept nogil:
    tell_field(state, NOTE_PIN_NOT_TRANSLATABLE, listener, field, fault)
    return reason


cdef int _refuse_counter(State state, Listener listener, Standing standing) noexcept nogil:
    return _refuse_pin(state, listener, listener.tables.serial_number_field,
                       FAULT_SERIAL_ELSEWHERE if standing == COUNTER_ELSEWHERE else FAULT_SERIAL_REPEATED,
                       REASON_SECURITY_VIOLATION)


cdef void _name_bringer(State state, Bringer *by) noexcept nogil:
    """Who brings a key serial number, and with which request: by its natural key, but for the terminal."""
    cdef const NaturalKey *key = &state.inbound.key
    memcpy(&by.terminal, state.inbound.terminal.id, TERMINAL_ID_MAX)
    by.request = (key.occasion ^ key.message_class) * <uint64_t>0x9E3779B97F4A7C15 ^ key.stan
    by.wall_s = state.calendar.wall_s
    # For as long its outcome would be known if there was one; behind that, the same bytes are somebody's record of it.
    by.repeats_s = state.duplicates.age_max_ns // NS_A_SECOND


cdef bint _is_in_service(State state, uint64_t terminal) noexcept nogil:
    """Whether the terminal at which a device is may still ask for something: if not, the device may come to another."""
    cdef uint32_t number = state.registry.find_terminal(<const uint8_t *>&terminal, TERMINAL_ID_MAX)
    if number == TERMINAL_NONE or state.registry.terminal(number).state != PARTY_ACTIVE:
        return False
    return state.registry.merchant(state.registry.terminal(number).merchant).state == PARTY_ACTIVE


cdef int _derive_pin_key(State state, Listener listener, PinKey *key, Serial *serial, Bringer *by) noexcept nogil:
    """The key of the serial number that the request brings; NOT_REFUSED or the reason why there is none."""
    cdef uint8_t text[SERIAL_DIGITS_MAX]
    cdef int field = listener.tables.serial_number_field
    cdef bint is_aes = state.inbound.terminal.pin_format == PIN_FORMAT_ISO_4
    cdef const PinKey *base
    cdef Standing standing
    cdef int digits = -1 if field == NO_FIELD else read_text(listener.tables.spec, &state.request, field, text,
                                                             sizeof(text))
    if digits < 0 or read_serial(text, digits, is_aes, serial) < 0:
        return _refuse_pin(state, listener, FIELD_PIN if field == NO_FIELD else field, FAULT_SERIAL_NUMBER,
                           REASON_FORMAT_ERROR)
    _name_bringer(state, by)
    standing = state.base_keys.counters.judge(serial.device, is_aes, serial.counter, by)
    if standing == COUNTER_ELSEWHERE and not _is_in_service(state, by.former):
        standing = COUNTER_AHEAD
    if standing != COUNTER_AHEAD and standing != COUNTER_AGAIN:
        return _refuse_counter(state, listener, standing)
    base = state.base_keys.find(text, digits, is_aes)
    if base == NULL or derive_pin_key(base, serial, key) < 0:
        return _refuse_pin(state, listener, field, FAULT_SERIAL_NUMBER, REASON_SECURITY_VIOLATION)
    return NOT_REFUSED


cdef int _translate_pin(State state, uint8_t *block, PinSide *source, const PinSide *target) noexcept nogil:
    """Put a PIN block under the link's key, in place; one that does not open under the terminal's key may be under that
    which it has replaced. 0, or less as ``translate_pin``."""
    cdef const Inbound *inbound = &state.inbound
    cdef uint8_t received[PIN_BLOCK_SIZE_MAX]
    cdef const FormerKeys *former = NULL
    cdef int result
    memcpy(received, block, PIN_BLOCK_SIZE_MAX)
    result = translate_pin(received, source, target, inbound.pan, inbound.pan_digits, block)
    if result == -1 and inbound.terminal.has_former:
        former = state.registry.former.find(inbound.terminal_number)
        if is_taken(former, state.calendar.now_ns):
            source.key = &former.pin_key
            result = translate_pin(received, source, target, inbound.pan, inbound.pan_digits, block)
    return result


cdef int fill_pin_slot(State state, Listener listener, Link link, LinkTexts *texts) noexcept:
    cdef const Terminal *terminal = state.inbound.terminal
    cdef uint8_t text[2 * PIN_BLOCK_SIZE_MAX]
    cdef uint8_t block[PIN_BLOCK_SIZE_MAX]
    cdef PinSide source, target
    cdef PinKey derived
    cdef Serial serial
    cdef Bringer by
    cdef Standing standing
    cdef int size = pin_block_size(terminal.pin_format)
    cdef int reason
    if not _can_translate_pin(link, terminal):
        return _refuse_pin(state, listener, FIELD_PIN, FAULT_PIN_KEY, REASON_SECURITY_VIOLATION)
    if read_text(listener.tables.spec, &state.request, FIELD_PIN, text, sizeof(text)) != 2 * size:
        return _refuse_pin(state, listener, FIELD_PIN, FAULT_PIN, REASON_FORMAT_ERROR)
    if read_hex(text, size, block) < 0:
        return _refuse_pin(state, listener, FIELD_PIN, FAULT_PIN, REASON_FORMAT_ERROR)
    source.key = &terminal.pin_key
    source.format = terminal.pin_format
    target.key = &link.pin_key
    target.format = link.pin_format
    if terminal.derives_pin_keys:
        reason = _derive_pin_key(state, listener, &derived, &serial, &by)
        if reason != NOT_REFUSED:
            return reason
        source.key = &derived
    reason = _translate_pin(state, block, &source, &target)
    if terminal.derives_pin_keys:
        OPENSSL_cleanse(&derived, sizeof(derived))
    if reason != 0:
        return _refuse_pin(state, listener, FIELD_PIN, FAULT_PIN, REASON_SECURITY_VIOLATION)
    # A number whose key opens nothing is nobody's last one; of those who bring the same at once one is the first.
    if terminal.derives_pin_keys:
        standing = state.base_keys.counters.advance(serial.device, terminal.pin_format == PIN_FORMAT_ISO_4,
                                                    serial.counter, &by)
        if standing != COUNTER_AHEAD and standing != COUNTER_AGAIN:
            return _refuse_counter(state, listener, standing)
    size = pin_block_size(link.pin_format)
    write_hex(block, size, texts.pin_block)
    fill_slot(&state.slots, SLOT_PIN_BLOCK, texts.pin_block, 2 * size)
    return NOT_REFUSED
