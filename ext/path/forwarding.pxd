"""Where a terminal's message goes and how it is written there."""

from libc.stdint cimport uint8_t, uint32_t
from switch.crypto.pin_block cimport PIN_BLOCK_SIZE_MAX
from switch.dialect.tables cimport ENTRY_MODE_SIZE_MAX, KIND_CODE_MAX
from switch.machine.link cimport Link
from switch.machine.listener cimport Listener
from switch.machine.state cimport State
from switch.tables.registry cimport Terminal
from switch.tables.routes cimport Route
from switch.wire.scan cimport FaultCode
from switch.wire.translate cimport Composer

cdef enum:
    PARTS_ROOM = 64           # characters of a field that has the mark of partial approval in it

cdef struct LinkTexts:        # what slots point to until the message is composed
    uint8_t processing_code[6]
    uint8_t kind_code[KIND_CODE_MAX]
    uint8_t entry_mode[ENTRY_MODE_SIZE_MAX]
    uint8_t pin_block[2 * PIN_BLOCK_SIZE_MAX]     # hex digits
    uint8_t said_rrn[12]
    uint8_t parts[PARTS_ROOM]


cdef bint can_say(State state, const Route *route, int kind) noexcept
"""Whether the request in hand can be written for the link that knows its original, or else for one of the route's."""

cdef int refuse_kind(State state, Listener listener, FaultCode fault) noexcept nogil
"""Tell that the kind of the request in hand is taken by nobody; the reason of its refusal."""

cdef uint32_t take_stan(State state, Link link) noexcept nogil
"""A STAN for what a terminal asks; 0 when there is none, which is counted by the limit that was met."""

cdef Link first_link(State state, const Route *route, int kind)
"""The first link of a route whose dialect has a message for a kind, whether it can take one or not; None when there is
none."""

cdef Link this_link(State state, Link link, int kind)
"""That link if it can take a request of this kind; None when it cannot, which is counted by the limit that was met."""

cdef bint leaves_places(State state, Link link) noexcept
"""Whether the terminal in hand has not its share yet of what may be under way on ``link``, which can take a request; a
refusal is counted."""

cdef Link choose_link(State state, const Route *route, int kind)
"""A link that can take a request of this kind: the lowest priority first, by weight among equals; None when there is
none."""

cdef void fill_link_slots(State state, Listener listener, Link link, int kind, uint32_t stan,
                          LinkTexts *texts) noexcept
"""Set the slots of a message of this kind for ``link``, from ``state.request`` and ``state.inbound``, and its
reference number, ``state.rrn``: all but the PIN. ``stan`` is a number just taken."""

cdef void fill_parts_slot(State state, Listener listener, Link link, Composer composer, int kind,
                          LinkTexts *texts) noexcept
"""Set the slot of the field in which a request says whether the approval of a part can be taken: by the terminal, as
it says or as the configuration says of it, and by the link. Left empty where there is nothing to be said."""

cdef int fill_pin_slot(State state, Listener listener, Link link, LinkTexts *texts) noexcept
"""Set the slot of the PIN block, under the link's key; NOT_REFUSED, or the reason why it cannot be, of which an
operator is told."""
