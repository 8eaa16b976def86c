"""Changes of a registry while it is looked up: merchants and terminals that are new or otherwise now, all or none.

What has a number keeps it, since very much counts by it; what is new gets the next ones. Nothing is ever taken out: who
is closed stays known as such.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from switch.tables.identifiers cimport (
    Index, MERCHANT_ID_MAX, TERMINAL_ID_MAX, TERMINAL_NONE, index_make, index_put, keep_text, merchant_key,
    reserve_text, terminal_key,
)
from switch.tables.registry cimport (
    Merchant, PARTY_ACTIVE, PARTY_SUSPENDED, Registry, Terminal, map_terminals, unmap_terminals,
)

cdef extern from "string.h" nogil:
    void explicit_bzero(void *data, size_t size)

cdef enum:
    SPARE_MIN = 1_024         # places that are made with each need for more


cpdef int take_changes(Registry registry, Registry changes) except -1:
    cdef uint32_t i, merchant
    if (registry.kind_names, registry.listener_names) != (changes.kind_names, changes.listener_names):
        raise ValueError("the changes were read for other listeners or kinds")
    _make_room(registry, changes)
    for i in range(changes.merchant_count):
        _take_merchant(registry, changes, i)
    for i in range(changes.terminal_count):
        merchant = registry.find_merchant(changes.merchant(changes.terminal(i).merchant).id, MERCHANT_ID_MAX)
        _take_terminal(registry, changes, i, merchant)
    return 0


cdef void suspend_terminal(Registry registry, uint32_t number) noexcept nogil:
    if registry._terminals[number].state == PARTY_ACTIVE:
        registry._terminals[number].state = PARTY_SUSPENDED


def suspend(Registry registry not None, str id):
    number = registry.terminal_index(id)
    if number is None:
        return False
    suspend_terminal(registry, number)
    return True


cdef int _make_room(Registry registry, Registry changes) except -1:
    """All memory that is needed: behind this nothing can fail."""
    cdef uint64_t merchants = registry.merchant_count + <uint64_t>changes.merchant_count
    cdef uint64_t terminals = registry.terminal_count + <uint64_t>changes.terminal_count
    reserve_text(&registry._texts, changes._texts.size + 2 * (changes.merchant_count + changes.terminal_count + 1))
    if merchants > registry._merchant_room:
        _grow_merchants(registry, merchants + merchants // 8 + SPARE_MIN)
    if terminals > registry._terminal_room:
        _grow_terminals(registry, terminals + terminals // 8 + SPARE_MIN)
    return 0


cdef int _grow_merchants(Registry registry, uint64_t room) except -1:
    cdef uint32_t i
    cdef Index index
    cdef void *grown = realloc(registry._merchants, room * sizeof(Merchant))
    if grown == NULL:
        raise MemoryError("no memory for the merchants")
    registry._merchants = <Merchant *>grown
    registry._names = _grown(registry._names, room)
    index_make(&index, room)
    for i in range(registry.merchant_count):
        index_put(&index, merchant_key(registry._merchants[i].id), i)
    free(registry._merchant_index.slots)
    registry._merchant_index = index
    registry._merchant_room = room
    return 0


cdef int _grow_terminals(Registry registry, uint64_t room) except -1:
    cdef uint32_t i
    cdef Index index
    cdef Terminal *terminals
    registry._certificates = _grown(registry._certificates, room)
    terminals = map_terminals(room)
    try:
        index_make(&index, room)
    except MemoryError:
        unmap_terminals(terminals, room)
        raise
    memcpy(terminals, registry._terminals, registry.terminal_count * sizeof(Terminal))
    for i in range(registry.terminal_count):
        index_put(&index, terminal_key(terminals[i].id), i)
    unmap_terminals(registry._terminals, registry._terminal_room)
    free(registry._terminal_index.slots)
    registry._terminals = terminals
    registry._terminal_index = index
    registry._terminal_room = room
    return 0


cdef uint32_t *_grown(uint32_t *places, uint64_t room) except NULL:
    """Places of texts, of which there may be so many now."""
    cdef void *grown = realloc(places, room * sizeof(uint32_t))
    if grown == NULL:
        raise MemoryError("no memory for the names")
    return <uint32_t *>grown


cdef int _take_merchant(Registry registry, Registry changes, uint32_t place) except -1:
    cdef const Merchant *changed = changes.merchant(place)
    cdef uint32_t number = registry.find_merchant(changed.id, MERCHANT_ID_MAX)
    cdef uint64_t elements[2]
    if number == <uint32_t>TERMINAL_NONE:
        number = registry.merchant_count
        registry._names[number] = 0
        registry._merchants[number] = changed[0]
        index_put(&registry._merchant_index, merchant_key(changed.id), number)
        registry.merchant_count += 1
    memcpy(elements, registry._merchants[number].elements, sizeof(elements))
    registry._merchants[number] = changed[0]
    if changed.elements[0] == 0 and changed.elements[1] == 0:       # read without the key of bindings
        memcpy(registry._merchants[number].elements, elements, sizeof(elements))
    registry._names[number] = _taken_text(registry, registry._names[number], changes.text_at(changes._names[place]))
    return 0


cdef int _take_terminal(Registry registry, Registry changes, uint32_t place, uint32_t merchant) except -1:
    cdef const Terminal *changed = changes.terminal(place)
    cdef uint32_t number = registry.find_terminal(changed.id, TERMINAL_ID_MAX)
    cdef bint is_new = number == <uint32_t>TERMINAL_NONE
    cdef uint32_t serial_number
    if is_new:
        number = registry.terminal_count
        registry._certificates[number] = 0
        registry._terminals[number].serial_number = 0
        index_put(&registry._terminal_index, terminal_key(changed.id), number)
        registry.terminal_count += 1
    serial_number = registry._terminals[number].serial_number
    if is_new:
        registry._terminals[number] = changed[0]
    elif changed.state == PARTY_ACTIVE:
        registry._terminals[number] = changed[0]
    else:
        _take_out_of_service(&registry._terminals[number], changed)
    registry._terminals[number].merchant = merchant
    registry._terminals[number].serial_number = _taken_text(registry, serial_number,
                                                            changes.text_at(changed.serial_number))
    registry._certificates[number] = _taken_text(registry, registry._certificates[number],
                                                 changes.text_at(changes._certificates[place]))
    return 0


cdef void _take_out_of_service(Terminal *terminal, const Terminal *changed) noexcept nogil:
    """Who is not served any more keeps the keys that it has no others for: answers under way are signed with them."""
    cdef Terminal before = terminal[0]
    terminal[0] = changed[0]
    if changed.mac_key.size == 0:
        terminal.mac_key = before.mac_key
    if changed.pin_key.size == 0:
        terminal.pin_key = before.pin_key
        terminal.pin_format = before.pin_format
        terminal.derives_pin_keys = before.derives_pin_keys
    if changed.master_key.size == 0:
        terminal.master_key = before.master_key
    explicit_bzero(&before, sizeof(Terminal))


cdef uint32_t _taken_text(Registry registry, uint32_t place, str text) except? 0:
    """Where a text stands: where it stood before, if that is the same."""
    if registry.text_at(place) == text:
        return place
    return keep_text(&registry._texts, text.encode())
