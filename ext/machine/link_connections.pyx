"""The connections of one link, and how they are: what the state machines of all partitions of a worker share."""

cimport cython
from switch.machine.handles cimport TRANSACTION_NONE
from switch.wire.framing cimport FrameStream

LINK_STATES = {LINK_DOWN: "down", LINK_UP: "up", LINK_SUSPENDED: "suspended"}
HOLDS = {"nothing": HOLD_NOTHING, "requests": HOLD_REQUESTS, "all": HOLD_ALL}


cdef class LinkChannel(Channel):
    """One connection of a link, whichever side dialled."""

    def __init__(self, LinkConnections connections not None):
        self.connections = connections
        self.stream = FrameStream(connections.framing)
        self.phase = PHASE_SIGNING_ON
        self.network_transaction = TRANSACTION_NONE


@cython.final
cdef class LinkConnections:
    """Those that stand, those that are signed on, and whether the issuer answers.

    Args:
        number: The link's place in the configuration.
        name: As the configuration calls it.
        framing: How frames are marked.
    """

    def __init__(self, uint16_t number, str name, Framing framing not None):
        self.number = number
        self.name = name
        self.framing = framing
        self.state = LINK_DOWN
        self.channels = []
        self.others = []
        self.retiring = []

    @property
    def state_name(self):
        """``up``, ``down`` or ``suspended``."""
        return LINK_STATES[self.state]

    @property
    def held(self):
        """What is kept from the issuer, one of ``HOLDS``."""
        return next(name for name, hold in HOLDS.items() if hold == self.hold)

    def hold_back(self, str what not None):
        """Keep something from the issuer from now on, one of ``HOLDS``; what is with it already is finished."""
        self.hold = HOLDS[what]

    cdef bint takes_requests(self) noexcept nogil:
        """Whether the issuer can be asked, and may be."""
        return self.state == LINK_UP and self.hold == HOLD_NOTHING

    cdef bint takes_owed(self) noexcept nogil:
        """Whether it can be sent what it is owed, and may be."""
        return self.state == LINK_UP and self.hold != HOLD_ALL

    cdef LinkChannel next_channel(self):
        """The signed-on connection whose turn it is, one of another worker where there is none here; None when there is
        none at all."""
        cdef LinkChannel own = self.next_own()
        if own is not None or not self.others:
            return own
        self._turn += 1
        return <LinkChannel>self.others[self._turn % len(self.others)]

    cdef LinkChannel next_own(self):
        """The signed-on connection of this worker whose turn it is; None when there is none."""
        cdef Py_ssize_t count = len(self.channels)
        if count == 0:
            return None
        self._turn += 1
        return <LinkChannel>self.channels[self._turn % count]

    cdef LinkChannel next_for_others(self):
        """The same for who was told a moment ago that there is one: one that retires where there is no other."""
        cdef LinkChannel own = self.next_own()
        return own if own is not None or not self.retiring else <LinkChannel>self.retiring[0]
