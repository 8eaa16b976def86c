"""Merchants and terminals: who may speak, on which listener, with which keys."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PinKey
from switch.tables.former_keys cimport FormerKeyTable
from switch.tables.identifiers cimport MERCHANT_ID_MAX, TERMINAL_ID_MAX, TERMINAL_NONE, Index, Texts

cdef enum PartyState:
    PARTY_ACTIVE
    PARTY_SUSPENDED
    PARTY_CLOSED
    PARTY_AWAITING             # its first sign-in; terminals alone

cdef struct Merchant:
    uint8_t id[MERCHANT_ID_MAX + 1]      # blank padded to 15, then NUL
    uint8_t state
    uint8_t merchant_class               # place in ``MERCHANT_CLASSES``, counted from 1; 0: not known
    uint16_t category                    # merchant category code (ISO 18245)
    uint64_t kinds_allowed               # bit n: kind n of ext/dialect/kinds.pxd
    uint64_t same_identity               # equal for all merchants of one identity; 0: not known
    uint64_t elements[2]                 # the first 16 bytes of what its terminals must be bound to; 0: not known
    uint64_t elements_before[2]          # as long as a change is taken: before it; else 0

cdef struct Terminal:
    uint8_t id[TERMINAL_ID_MAX + 1]      # blank padded to 8, then NUL
    uint8_t state
    uint8_t pin_format
    uint8_t derives_pin_keys             # 1: DUKPT; each PIN block comes under a key of its own
    uint8_t has_position                 # 1: where it is installed is known in degrees
    uint8_t is_unregistered              # 1: a journal knows it, and no registry has said anything of it
    uint8_t has_former                   # 1: ``Registry.former`` has keys of it that were replaced
    uint32_t merchant                    # index of its merchant
    uint32_t serial_number               # where the text of it begins; 0: not known
    int32_t latitude                     # in millionths of a degree
    int32_t longitude
    uint64_t bound_to[2]                 # the elements of its merchant when it was bound; 0: it is bound to nothing
    uint32_t listeners_allowed           # bit n: listener n of the configuration
    uint32_t awaited_until_s             # by the wall clock; while PARTY_AWAITING it may sign in so long
    uint64_t kinds_allowed
    MacKey mac_key                       # TAK
    PinKey pin_key                       # TPK
    PinKey master_key                    # TMK: wraps working keys in a sign-on answer; size 0 when there is none
    PinKey track_key                     # TDK; size 0 when there is none

cdef inline bint may_be_served(const Terminal *terminal) noexcept nogil:
    """Whether it is served, or will be when it has signed in."""
    return terminal.state == PARTY_ACTIVE or terminal.state == PARTY_AWAITING

cdef Terminal *map_terminals(uint64_t room) except NULL
"""Zeros for so many, in memory that a crash dump leaves out."""

cdef Terminal *grow_terminals(Terminal *terminals, uint64_t room, uint64_t new_room) except NULL
"""The same ones and zeros behind them; their pages are moved, and nothing is copied."""

cdef void unmap_terminals(Terminal *terminals, uint64_t room) noexcept nogil
"""Wipe them, and give the memory back."""

cdef int attach_keys(Terminal *terminal, keys, str id, tuple profile) except -1
"""Give a terminal its keys; ``profile`` has the number of its MAC algorithm at 3, and the sizes of its keys at 5. An
error is raised where one is missing, or of another size."""


cdef class Registry:
    """Tables in C, looked up by identifier. Only ``switch.tables.registry_changes`` changes them, in place: what has a
    number keeps it."""
    cdef readonly uint32_t terminal_count
    cdef readonly uint32_t merchant_count
    cdef readonly uint32_t unregistered_count     # of the terminals
    cdef Terminal *_terminals            # in memory that a crash dump leaves out; wiped when the registry goes
    cdef Merchant *_merchants
    cdef uint64_t _terminal_room         # of terminals and their certificates
    cdef uint64_t _merchant_room         # of merchants and their names
    cdef uint32_t *_certificates         # for each terminal, where its text begins; 0: its identifier
    cdef uint32_t *_names                # for each merchant
    cdef Index _terminal_index
    cdef Index _merchant_index
    cdef Texts _texts
    cdef readonly object rule            # ``BindingRule``
    cdef readonly uint32_t metres_max    # the same, in C: so far from its place a terminal may be
    cdef readonly bint serial_number_demanded
    cdef readonly bint position_demanded
    cdef readonly uint32_t unbound_count  # active terminals that are not served since they are bound to nothing
    cdef readonly list altered           # numbers of terminals whose rows are not as they were bound: not served
    cdef readonly list suspects          # terminals that spoke otherwise than registered: number, ``Stranger``, what
    cdef readonly list signed_in         # terminals that were put into service by their first sign-in: number, when
    cdef readonly FormerKeyTable former
    cdef readonly tuple kind_names
    cdef readonly tuple listener_names

    cdef str text_at(self, uint32_t place)

    cdef uint32_t find_terminal(self, const uint8_t *id, int size) noexcept nogil
    """Index for a field 41 in ASCII, trailing blanks ignored; TERMINAL_NONE when unknown."""

    cdef uint32_t find_merchant(self, const uint8_t *id, int size) noexcept nogil

    cdef const Terminal *terminal(self, uint32_t index) noexcept nogil
    cdef const Merchant *merchant(self, uint32_t index) noexcept nogil

    cdef bint serial_number_is(self, uint32_t terminal, const uint8_t *text, int size) noexcept nogil
    """Whether this is the serial number of a terminal's machine; true where none is registered."""

    cdef bint certificate_is(self, uint32_t terminal, const uint8_t *name, int size) noexcept nogil
    """Whether this terminal's client certificate bears this common name: that of its ``certificate`` cell, or else the
    terminal's identifier, without trailing blanks."""
