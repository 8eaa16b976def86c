"""A terminal's sign-in: its working keys under its master key, in the form that it asks for, and its batch number.

Batch numbers are not kept. A terminal says its own at each sign-in, and goes on with it: nothing here ends a batch. One
that says none is new or was reset; it gets a number that grows with the clock, so that it is none of its former ones
even where a restart has forgotten them: else its first payments would be taken for repeats of those of that batch.
Anybody can send a sign-in: one that does not prove its terminal cannot use the numbers up, or set them far ahead.
"""

from switch.base.calendar cimport write_digits
from switch.crypto.mac cimport MAC_NONE
from switch.crypto.sign_in_keys cimport (
    SIGN_IN_FORM, SIGN_IN_NO_MASTER_KEY, SignInForm, SignInKeys, sign_in_keys,
)
from switch.dialect.kinds cimport KIND_KEY_EXCHANGE, KIND_SIGN_ON
from switch.dialect.reasons cimport REASON_APPROVED, REASON_SECURITY_VIOLATION
from switch.dialect.sign_in_rules cimport SignInRules, form_asked_for
from switch.machine.listener cimport MAC_POLICY_REQUIRED
from switch.machine.note_queue cimport NOTE_SIGN_IN_WITHOUT_KEYS
from switch.path.key_overlap cimport has_new_mac_key, note_new_keys_in_use
from switch.tables.identifiers cimport TERMINAL_ID_MAX
from switch.tables.registry cimport Terminal
from switch.wire.hexadecimal cimport write_hex
from switch.wire.scan cimport read_text
from switch.wire.translate cimport SLOT_BATCH, SLOT_KEYS, fill_slot

cdef enum:
    BATCH_DIGITS = 6
    BATCH_SECONDS = 600       # the number of who says none grows by one in so many
    BATCHES_AHEAD = 1_000     # what is further before the clock's number is believed of a proven terminal only
    BATCHES_SINCE_S = 1_767_225_600      # 2026-01-01 UTC; the numbers are used up in 2045, and begin anew


cdef bint _asks_for_keys(Listener listener, int kind) noexcept nogil:
    """Whether a terminal waits for keys in the answer: a sign-on brings them where no message of its own does."""
    return kind == KIND_KEY_EXCHANGE or listener.tables.kind_mti(KIND_KEY_EXCHANGE) == 0


cdef int _without_keys(State state, Listener listener, int fault) noexcept:
    """What to answer to a terminal whose keys the answer cannot carry, and a word to the operator.

    Without a master key its keys were put into it by other means: it may sign on, but not get new ones.
    """
    cdef const Terminal *terminal = state.inbound.terminal
    cdef int kind = state.inbound.kind
    cdef bint refused = kind == KIND_KEY_EXCHANGE or fault != SIGN_IN_NO_MASTER_KEY
    if not _asks_for_keys(listener, kind) or (terminal.mac_key.algorithm == MAC_NONE and terminal.pin_key.size == 0
                                              and kind == KIND_SIGN_ON):
        return REASON_APPROVED
    state.tell_text(NOTE_SIGN_IN_WITHOUT_KEYS, listener.number, terminal.id, TERMINAL_ID_MAX, kind, refused, fault)
    return REASON_SECURITY_VIOLATION if refused else REASON_APPROVED


cdef int _take_keys(State state, Listener listener, SignInAnswer *answer) noexcept:
    """Put the terminal's keys into the answer, in the form that it asks for; the reason to answer with."""
    # Not who it was: a sign-in that comes under a former key is told the new ones.
    cdef const Terminal *terminal = state.registry.terminal(state.inbound.terminal_number)
    cdef const SignInForm *form = form_asked_for(&listener.tables.sign_in, listener.tables.spec, &state.request)
    cdef SignInKeys keys
    cdef uint8_t block[SIGN_IN_KEYS_MAX]
    cdef int size = -SIGN_IN_FORM if terminal.master_key.size else -SIGN_IN_NO_MASTER_KEY
    answer.keys_size = 0
    if form != NULL:
        keys.master, keys.pin = &terminal.master_key, &terminal.pin_key
        keys.mac, keys.track = &terminal.mac_key, &terminal.track_key
        size = sign_in_keys(form, &keys, block)
    if size < 0:
        return _without_keys(state, listener, -size)
    write_hex(block, <uint32_t>size, answer.keys)
    answer.keys_size = <uint16_t>(2 * size)
    # Anybody can send a sign-in without a MAC: where terminals have to sign, only the new keys' use proves that it is
    # the terminal which has them.
    if terminal.has_former and (
            listener.mac_policy != MAC_POLICY_REQUIRED or not has_new_mac_key(state)
            or (state.inbound.is_proven and not state.inbound.is_under_former)):
        note_new_keys_in_use(state)
    return REASON_APPROVED


cdef uint32_t batch_of(uint32_t *newest, int64_t said, bint is_proven, int64_t wall_s) noexcept nogil:
    cdef uint32_t of_now = <uint32_t>(1 + max(wall_s - BATCHES_SINCE_S, <int64_t>0) // BATCH_SECONDS % BATCH_MAX)
    if said <= 0:
        newest[0] = max(newest[0] % BATCH_MAX + 1, of_now)
    elif said > newest[0] and (is_proven or said <= of_now + BATCHES_AHEAD):
        newest[0] = <uint32_t>said
    return <uint32_t>max(said, <int64_t>newest[0])


cdef void _take_batch(State state, Listener listener, SignInAnswer *answer) noexcept:
    """Put the field with the terminal's batch number into the answer."""
    cdef const SignInRules *rules = &listener.tables.sign_in
    cdef uint8_t *digits = &answer.batch[rules.batch_start]
    cdef int64_t said = 0
    cdef int size = 0
    cdef int i
    answer.batch_size = 0
    if rules.batch_field:
        size = read_text(listener.tables.spec, &state.request, rules.batch_field, answer.batch, BATCH_FIELD_ROOM)
    if size < <int>rules.batch_start + BATCH_DIGITS:
        return
    for i in range(BATCH_DIGITS):
        said = 10 * said + digits[i] - c'0'
    write_digits(digits, BATCH_DIGITS,
                 batch_of(&state.terminals.of[state.inbound.terminal_number].batch, said, state.inbound.is_proven,
                          state.calendar.wall_s))
    answer.batch_size = <uint16_t>size


cdef int take_sign_in(State state, Listener listener, SignInAnswer *answer) noexcept:
    cdef int reason = _take_keys(state, listener, answer)
    if reason == REASON_APPROVED:
        _take_batch(state, listener, answer)
    return reason


cdef void fill_sign_in(State state, const SignInAnswer *answer) noexcept nogil:
    fill_slot(&state.slots, SLOT_KEYS, answer.keys, answer.keys_size)
    fill_slot(&state.slots, SLOT_BATCH, answer.batch, answer.batch_size)
