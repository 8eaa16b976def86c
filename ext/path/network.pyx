"""Network management (0800) with issuers, in both directions."""

from switch.base.calendar cimport write_digits
from switch.base.stats cimport stats_add
from switch.dialect.kinds cimport KIND_CUT_OVER, KIND_ECHO_TEST, KIND_KEY_EXCHANGE, KIND_SIGN_OFF, KIND_SIGN_ON
from switch.dialect.authentication cimport MAC_RIGHT, MAC_WRONG
from switch.dialect.reasons cimport REASON_APPROVED, REASON_INVALID_TRANSACTION, REASON_MAC_FAILED
from switch.dialect.tables cimport answer_mti
from switch.machine.link_connections cimport (
    LinkConnections, LINK_DOWN, LINK_SUSPENDED, LINK_UP, PHASE_READY, PHASE_RESTING, PHASE_SIGNING_OFF,
    PHASE_SIGNING_ON,
)
from switch.machine.note_queue cimport (
    NOTE_LINK_DOWN, NOTE_LINK_UP, NOTE_NETWORK_MESSAGE_NOT_ANSWERED,
    NOTE_NETWORK_MESSAGE_NOT_COMPOSABLE, NOTE_NETWORK_MESSAGE_REFUSED, NOTE_NETWORK_MESSAGE_UNKNOWN,
)
from switch.machine.sending cimport frame_for_link, send_to_link
from switch.machine.state cimport SCRATCH_BYTES
from switch.machine.transaction cimport TRANSACTION_NETWORK, TRANSACTION_NONE, Transaction
from switch.path.link_mac cimport is_under_ended_key, link_verdict, tell_wrong_mac
from switch.saf.delivery cimport send_due
from switch.wire.scan cimport MessageIndex, scan_message
from switch.wire.translate cimport (
    SLOT_KEY_CHOICE, SLOT_RESPONSE_CODE, SLOT_STAN, Composer, Sources, fill_slot, sources_of,
)


cdef void _come_up(State state, LinkConnections connections) noexcept:
    connections.state = LINK_UP
    connections.timeouts_in_a_row = 0
    state.tell(NOTE_LINK_UP, connections.number)


cdef void _take_into_use(State state, LinkChannel channel) noexcept:
    cdef LinkConnections connections = channel.connections
    channel.phase = PHASE_READY
    if channel.retires_ns:
        return
    if channel not in connections.channels:
        connections.channels.append(channel)
    if connections.state != LINK_UP:
        _come_up(state, connections)
    send_due(state, state.link_of(channel))


cdef void _take_out_of_use(State state, LinkChannel channel) noexcept:
    cdef LinkConnections connections = channel.connections
    if channel in connections.channels:
        connections.channels.remove(channel)
    if connections.channels:
        return
    if not connections.others:
        if connections.state != LINK_DOWN:
            connections.state = LINK_DOWN
            state.tell(NOTE_LINK_DOWN, connections.number)
    elif connections.state == LINK_SUSPENDED:
        # Time-outs on what is gone say nothing of what others have, and no echo test of ours would end it.
        _come_up(state, connections)


cdef void note_elsewhere(State state, LinkChannel elsewhere, bint is_up) noexcept:
    cdef LinkConnections connections = elsewhere.connections
    if is_up:
        if elsewhere not in connections.others:
            connections.others.append(elsewhere)
        if connections.state == LINK_DOWN:
            _come_up(state, connections)
    elif elsewhere in connections.others:
        connections.others.remove(elsewhere)
        _take_out_of_use(state, elsewhere)


cdef void hang_up_link(State state, LinkChannel channel, str reason) noexcept:
    _take_out_of_use(state, channel)
    channel.hang_up(reason)


cdef void sign_off_link(State state, LinkChannel channel) noexcept:
    cdef bint was_in_use = channel.phase == PHASE_READY
    _take_out_of_use(state, channel)
    channel.phase = PHASE_SIGNING_OFF
    if was_in_use and state.link_of(channel).signs_on:
        send_network(state, channel, KIND_SIGN_OFF)        # or once the echo test that waits has been answered
    else:
        channel.hang_up("other endpoints" if channel.retires_ns else "draining")


cdef void retire_link(State state, LinkChannel channel) noexcept:
    if channel.retires_ns or channel.phase == PHASE_SIGNING_OFF:
        return
    channel.retires_ns = state.calendar.now_ns + state.link_of(channel).timeout_ns
    if channel in channel.connections.channels:
        channel.connections.retiring.append(channel)
    _take_out_of_use(state, channel)


cdef void begin_link(State state, LinkChannel channel) noexcept:
    channel.last_sent_ns = state.calendar.now_ns
    channel.connections.open_count += 1
    if state.link_of(channel).signs_on:
        channel.phase = PHASE_SIGNING_ON
        send_network(state, channel, KIND_SIGN_ON)
    else:
        _take_into_use(state, channel)


cdef void end_link(State state, LinkChannel channel) noexcept:
    cdef Link link = state.link_of(channel)
    cdef Transaction *transaction
    channel.connections.open_count -= 1
    if channel in channel.connections.retiring:
        channel.connections.retiring.remove(channel)
    _take_out_of_use(state, channel)
    if channel.network_transaction != TRANSACTION_NONE:
        transaction = state.transactions.at(channel.network_transaction)
        state.transactions.remove(link.network, channel.network_transaction)
        link.free_stan(transaction.stan)
        state.transactions.close(channel.network_transaction)
        channel.network_transaction = TRANSACTION_NONE


cdef int _send(State state, LinkChannel channel, Composer composer, const MessageIndex *answered,
               const uint8_t *received) noexcept:
    """Compose a message with the slots as they are set, and send it on this connection; 0, or -1, and an operator is
    told. ``answered`` and ``received`` are the message that it answers and the headers of that; NULL when we begin."""
    cdef Link link = state.link_of(channel)
    cdef uint32_t offset = <uint32_t>link.framing.open_frame(state.out, SCRATCH_BYTES)
    cdef Sources sources = sources_of(answered, NULL, &state.slots)
    cdef int total = composer.compose(&sources, state.out + offset, SCRATCH_BYTES - offset, &state.composed,
                                      &state.fault)
    if total > 0:
        total = frame_for_link(state, link, &state.composed, composer.mac_field, received)
    if total <= 0 or send_to_link(state, channel, <uint32_t>total, 0) != 0:
        state.tell_fault(NOTE_NETWORK_MESSAGE_NOT_COMPOSABLE, link.number)
        return -1
    return 0


cdef void send_network(State state, LinkChannel channel, int kind) noexcept:
    cdef Link link = state.link_of(channel)
    cdef Composer composer = <Composer>link.network_composers.get(kind)
    cdef uint32_t stan, number
    cdef Transaction *transaction
    cdef bytes choice
    if channel.network_transaction != TRANSACTION_NONE:
        return
    if composer is None:
        state.tell(NOTE_NETWORK_MESSAGE_UNKNOWN, link.number, kind)
        hang_up_link(state, channel, "the dialect has no such network management message")
        return
    stan = link.take_stan(state.numbering)
    number = state.transactions.open() if stan else TRANSACTION_NONE
    if number == TRANSACTION_NONE:
        return
    transaction = state.transactions.at(number)
    transaction.state = TRANSACTION_NETWORK
    transaction.kind = <uint8_t>kind
    transaction.link = link.number
    transaction.carrier_slot = channel.slot
    transaction.carrier_generation = channel.generation
    transaction.stan = stan
    transaction.sent_ns = state.calendar.now_ns
    transaction.deadline_ns = state.calendar.now_ns + link.echo_timeout_ns
    state.clear_slots()
    write_digits(state.stan_text, 6, stan)
    fill_slot(&state.slots, SLOT_STAN, state.stan_text, 6)
    if kind == KIND_KEY_EXCHANGE:
        choice = channel.connections.key_choice
        fill_slot(&state.slots, SLOT_KEY_CHOICE, choice, <int>len(choice))
    state.set_mti(<uint32_t>link.tables.kind_mti(kind))
    if _send(state, channel, composer, NULL, NULL) != 0:
        state.transactions.close(number)
        hang_up_link(state, channel, "network management message cannot be composed")
        return
    if kind == KIND_SIGN_OFF:
        channel.stay_behind()
    link.put_stan(stan, number)
    channel.network_transaction = number
    state.transactions.append(link.network, number)


cdef void test_doubted_links(State state) noexcept:
    cdef Link link
    for link in state.links:
        if link.connections.is_doubted:
            link.connections.is_doubted = False
            for channel in list(link.connections.channels):
                send_network(state, <LinkChannel>channel, KIND_ECHO_TEST)


cdef bytes _message_of(State state):
    """The issuer's message, for who reads it after this turn."""
    return (<const char *>state.answer.data)[:state.answer.size]


cdef void handle_network_answer(State state, LinkChannel channel, uint32_t number, int reason) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef Link link = state.link_of(channel)
    cdef int kind = transaction.kind
    link.free_stan(transaction.stan)
    state.transactions.close(number)
    channel.network_transaction = TRANSACTION_NONE
    if kind == KIND_SIGN_OFF:
        hang_up_link(state, channel, "signed off")
    elif kind == KIND_KEY_EXCHANGE and channel.connections.key_desk is not None:
        channel.connections.key_desk.take_answer(channel, _message_of(state), reason)
        if channel.phase == PHASE_SIGNING_OFF:
            send_network(state, channel, KIND_SIGN_OFF)
    elif reason != REASON_APPROVED:
        stats_add(state.meters.stats, state.meters.link[link.number].network_failures, 1)
        state.tell(NOTE_NETWORK_MESSAGE_REFUSED, link.number, kind, reason)
        refused = "issuer refused the sign-on" if kind == KIND_SIGN_ON else "issuer refused the echo test"
        hang_up_link(state, channel, refused)
    elif channel.phase == PHASE_SIGNING_OFF:
        send_network(state, channel, KIND_SIGN_OFF)
    elif kind == KIND_SIGN_ON or (link.connections.state == LINK_SUSPENDED and channel.phase == PHASE_READY):
        _take_into_use(state, channel)


cdef void handle_network_timeout(State state, Link link, uint32_t number) noexcept:
    cdef Transaction *transaction = state.transactions.at(number)
    cdef LinkChannel channel = <LinkChannel>state.channels.at(transaction.carrier_slot, transaction.carrier_generation)
    cdef int kind = transaction.kind
    link.free_stan(transaction.stan)
    state.transactions.close(number)
    stats_add(state.meters.stats, state.meters.link[link.number].network_failures, 1)
    state.tell(NOTE_NETWORK_MESSAGE_NOT_ANSWERED, link.number, kind)
    if channel is not None:
        channel.network_transaction = TRANSACTION_NONE
        if kind == KIND_KEY_EXCHANGE and channel.connections.key_desk is not None:
            channel.connections.key_desk.take_silence()       # who knows no such message may well know payments
            if channel.phase == PHASE_SIGNING_OFF:
                send_network(state, channel, KIND_SIGN_OFF)
            return
        hang_up_link(state, channel, "issuer did not answer")


cdef void answer_issuer(State state, LinkChannel channel, const uint8_t *headers) noexcept:
    cdef Link link = state.link_of(channel)
    cdef int kind = link.tables.classify(&state.answer)
    cdef int reason = REASON_APPROVED
    if kind == KIND_KEY_EXCHANGE and channel.connections.key_desk is not None:
        reason = _hand_over_key(state, channel, headers)
        if reason == REASON_APPROVED:
            return                                       # it is answered when the key is kept
    elif kind not in (KIND_SIGN_ON, KIND_SIGN_OFF, KIND_ECHO_TEST, KIND_CUT_OVER):
        reason = REASON_INVALID_TRANSACTION              # here new keys are brought in by the key ceremony only
    if answer_with(state, channel, headers, reason) != 0:
        return
    if kind == KIND_SIGN_OFF:
        channel.stay_behind()
        channel.phase = PHASE_RESTING
        _take_out_of_use(state, channel)
    elif kind == KIND_SIGN_ON and channel.phase != PHASE_SIGNING_OFF:
        _take_into_use(state, channel)


cdef int _hand_over_key(State state, LinkChannel channel, const uint8_t *headers) noexcept:
    """Give a key that the issuer sends to who keeps it, unless its MAC is wrong: REASON_MAC_FAILED then.

    An issuer whose exchange was not answered stays under the former key, and may say it again when that has ended.
    """
    cdef Link link = state.link_of(channel)
    cdef int verdict = link_verdict(state, link)
    cdef bint may_repeat_only = verdict == MAC_WRONG and is_under_ended_key(state, link)
    cdef bytes taken
    if verdict != MAC_RIGHT and not may_repeat_only:
        tell_wrong_mac(state, link, verdict, 0)
        return REASON_MAC_FAILED
    taken = b"" if headers == NULL else (<const char *>headers)[:link.framing.headers_size]
    channel.connections.key_desk.take_offer(channel, taken, _message_of(state), may_repeat_only)
    return REASON_APPROVED


cdef int answer_with(State state, LinkChannel channel, const uint8_t *headers, int reason) noexcept:
    cdef Link link = state.link_of(channel)
    cdef int size
    state.clear_slots()
    if reason == REASON_APPROVED:
        size = link.tables.accepted_code(state.answer.mti, state.code)
    else:
        size = link.tables.reason_to_code(reason, state.code)
    fill_slot(&state.slots, SLOT_RESPONSE_CODE, state.code, size)
    state.set_mti(answer_mti(state.answer.mti))
    if link.tables.classify(&state.answer) == KIND_KEY_EXCHANGE:
        return _send(state, channel, link.key_answer_composer, &state.answer, headers)
    return _send(state, channel, link.network_answer_composer, &state.answer, headers)


cdef int answer_key_offer(State state, LinkChannel channel, bytes headers, bytes message, int reason) except -1:
    cdef Link link = state.link_of(channel)
    if not channel.is_open or scan_message(link.tables.spec, message, len(message), &state.answer, &state.fault) != 0:
        return False
    return answer_with(state, channel, headers, reason) == 0


cdef bint ask_for_key(State state, LinkConnections connections, bytes choice) noexcept:
    cdef LinkChannel channel
    for _ in range(len(connections.channels)):
        channel = connections.next_own()
        if channel.phase == PHASE_READY and channel.network_transaction == TRANSACTION_NONE:
            connections.key_choice = choice
            send_network(state, channel, KIND_KEY_EXCHANGE)
            return channel.network_transaction != TRANSACTION_NONE
    return False
