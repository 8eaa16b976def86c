"""Whether a terminal is the machine that is registered, at the place that is registered, as far as it says so."""

from libc.math cimport M_PI, cos
from libc.stdint cimport int32_t, uint8_t
from switch.dialect.kinds cimport KIND_REVERSAL
from switch.dialect.terminal_says cimport DEGREE, TerminalSays, read_position
from switch.machine.note_queue cimport (
    NOTE_TERMINAL_ELSEWHERE, STRANGER_AWAITING, STRANGER_ELSEWHERE, STRANGER_NO_MACHINE, STRANGER_NOWHERE,
    STRANGER_OTHER_MACHINE,
)
from switch.machine.request_context cimport NOT_BARRED
from switch.tables.identifiers cimport TERMINAL_ID_MAX
from switch.tables.registry cimport Registry, Terminal
from switch.tables.registry_changes cimport suspend_terminal
from switch.wire.spec cimport Spec

cdef enum:
    SAID_ROOM = 64                # characters of a serial number or of a position

cdef double METRES_A_DEGREE = 111_195.0        # of a great circle on a sphere of 6,371 km


cdef bint notice_whereabouts(State state, TerminalChannel channel) noexcept:
    cdef TerminalSays says = channel.listener.tables.says
    cdef uint8_t said[SAID_ROOM]
    cdef int size = 0
    cdef int what
    cdef bint must_say
    if (says is None or state.inbound.kind == KIND_REVERSAL
            or (state.inbound.barred != NOT_BARRED and state.inbound.barred != STRANGER_AWAITING)):
        return True
    must_say = (says.kinds >> state.inbound.kind) & 1
    what = _machine(state, says, channel.listener.tables.spec, must_say, said, &size)
    if what == NOT_BARRED:
        what = _place(state, says, channel.listener.tables.spec, must_say, said, &size)
    if what == NOT_BARRED:
        return True
    state.inbound.barred = what
    if state.inbound.is_proven:
        _suspend(state, channel.listener.number, what, said[:size])
    return True


cdef bint says_what_it_must(State state, TerminalChannel channel) noexcept:
    cdef TerminalSays says = channel.listener.tables.says
    cdef Spec spec = channel.listener.tables.spec
    cdef uint8_t said[SAID_ROOM]
    cdef int size = 0
    return says is None or (state.inbound.kind != KIND_REVERSAL
                            and _machine(state, says, spec, True, said, &size) == NOT_BARRED
                            and _place(state, says, spec, True, said, &size) == NOT_BARRED)


cdef int _machine(State state, TerminalSays says, Spec spec, bint must_say, uint8_t *said, int *size) noexcept nogil:
    """Why this is not the machine that is registered, or NOT_BARRED."""
    cdef const Terminal *terminal = state.inbound.terminal
    if says.serial_number.field == 0 or terminal.serial_number == 0:
        return NOT_BARRED
    size[0] = says.read(&says.serial_number, spec, &state.request, said, SAID_ROOM)
    if size[0] == 0:
        return STRANGER_NO_MACHINE if state.registry.serial_number_demanded and must_say else NOT_BARRED
    if state.registry.serial_number_is(state.inbound.terminal_number, said, size[0]):
        return NOT_BARRED
    return STRANGER_OTHER_MACHINE


cdef int _place(State state, TerminalSays says, Spec spec, bint must_say, uint8_t *said, int *size) noexcept nogil:
    """Why this is not the place that is registered, or NOT_BARRED. What is no position is none."""
    cdef const Terminal *terminal = state.inbound.terminal
    cdef int32_t latitude, longitude
    if says.position.field == 0 or not terminal.has_position:
        return NOT_BARRED
    size[0] = says.read(&says.position, spec, &state.request, said, SAID_ROOM)
    if not read_position(said, size[0], &latitude, &longitude):
        return STRANGER_NOWHERE if state.registry.position_demanded and must_say else NOT_BARRED
    return NOT_BARRED if _is_near(terminal, latitude, longitude, state.registry.metres_max) else STRANGER_ELSEWHERE


cdef bint _is_near(const Terminal *terminal, int32_t latitude, int32_t longitude, double metres_max) noexcept nogil:
    """Whether a position is so near to the terminal's: on a plane, which is right to a thousandth within a country."""
    cdef double north = (<double>latitude - terminal.latitude) / DEGREE * METRES_A_DEGREE
    cdef double degrees = (<double>longitude - terminal.longitude) / DEGREE
    cdef double middle = (<double>latitude + terminal.latitude) / 2 / DEGREE
    cdef double east
    if degrees > 180:
        degrees -= 360
    elif degrees < -180:
        degrees += 360
    east = degrees * METRES_A_DEGREE * cos(middle * M_PI / 180)
    return north * north + east * east <= metres_max * metres_max


cdef void _suspend(State state, int listener, int what, bytes said) noexcept:
    """Suspend the terminal from the next message on, and leave word for whoever keeps it so."""
    cdef Registry registry = state.registry
    cdef const Terminal *terminal = state.inbound.terminal
    suspend_terminal(registry, state.inbound.terminal_number)
    state.tell_text(NOTE_TERMINAL_ELSEWHERE, listener, terminal.id, TERMINAL_ID_MAX, what)
    registry.suspects.append((terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip(), what,
                              said.decode("ascii", "replace")))
