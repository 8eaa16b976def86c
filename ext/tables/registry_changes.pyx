"""Changes of a registry while it is looked up: merchants and terminals that are new or otherwise now, all or none.

What has a number keeps it, since very much counts by it; what is new gets the next ones. Nothing is ever taken out: who
is closed stays known as such.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cimport cython

from switch.tables.former_keys cimport FORMER_UNTIL_SIGN_IN, FormerKeys
from switch.tables.identifiers cimport (
    Index, MERCHANT_ID_MAX, TERMINAL_ID_MAX, TERMINAL_NONE, TEXT_UNIT, index_make, index_put, merchant_key, padded,
    replace_text, reserve_text, terminal_key,
)
from switch.tables.key_changes cimport has_same_keys
from switch.tables.registry cimport (
    Merchant, PARTY_ACTIVE, PARTY_AWAITING, PARTY_SUSPENDED, Registry, Terminal, grow_terminals, map_terminals,
)

cdef extern from "string.h" nogil:
    void explicit_bzero(void *data, size_t size)

cdef enum:
    SPARE_MIN = 1_024         # places that are made with each need for more
    ELEMENTS_SIZE = 16


@cython.final
cdef class RegistryChange:

    def __cinit__(self, Registry registry not None, Registry changes not None):
        cdef uint64_t merchants = registry.merchant_count + <uint64_t>changes.merchant_count
        cdef uint64_t terminals = registry.terminal_count + <uint64_t>changes.terminal_count
        if (registry.kind_names, registry.listener_names) != (changes.kind_names, changes.listener_names):
            raise ValueError("the changes were read for other listeners or kinds")
        self._registry = registry
        self._changes = changes
        if merchants > registry._merchant_room:
            self._merchant_room = merchants + merchants // 8 + SPARE_MIN
            index_make(&self._merchant_index, self._merchant_room)
            with nogil:
                _index_merchants(self, registry._merchants, registry.merchant_count)
        if terminals > registry._terminal_room:
            self._terminal_room = terminals + terminals // 8 + SPARE_MIN
            index_make(&self._terminal_index, self._terminal_room)
            with nogil:
                _index_terminals(self, registry._terminals, registry.terminal_count)

    def __dealloc__(self):
        free(self._merchant_index.slots)
        free(self._terminal_index.slots)

    def take(self, uint32_t rows):
        cdef Registry changes = self._changes
        cdef uint32_t merchant
        _make_room(self)
        # Merchants, their terminals, and the merchants once more: in between both elements hold, before and now.
        while rows and self._merchants_taken < changes.merchant_count:
            _take_merchant(self._registry, changes, self._merchants_taken)
            self._merchants_taken += 1
            rows -= 1
        while rows and self._terminals_taken < changes.terminal_count:
            merchant = changes.terminal(self._terminals_taken).merchant
            merchant = self._registry.find_merchant(changes.merchant(merchant).id, MERCHANT_ID_MAX)
            _take_terminal(self._registry, changes, self._terminals_taken, merchant)
            self._terminals_taken += 1
            rows -= 1
        while rows and self._merchants_settled < changes.merchant_count:
            merchant = self._registry.find_merchant(changes.merchant(self._merchants_settled).id, MERCHANT_ID_MAX)
            memset(self._registry._merchants[merchant].elements_before, 0, ELEMENTS_SIZE)
            self._merchants_settled += 1
            rows -= 1
        return self._merchants_settled < changes.merchant_count


cdef uint32_t enter_merchant(Registry registry, const uint8_t *id) except? 0xFFFFFFFF:
    cdef Registry rows = _one_of_each(registry)
    if padded(id, MERCHANT_ID_MAX, rows._merchants.id, MERCHANT_ID_MAX) < 0:
        return TERMINAL_NONE
    rows._merchants.state = PARTY_SUSPENDED
    rows._merchants.kinds_allowed = ~<uint64_t>0
    rows.merchant_count = 1
    take_changes(registry, rows)
    return registry.merchant_count - 1


cdef uint32_t enter_terminal(Registry registry, const uint8_t *id, uint32_t merchant) except? 0xFFFFFFFF:
    cdef Registry rows = _one_of_each(registry)
    if padded(id, TERMINAL_ID_MAX, rows._terminals.id, TERMINAL_ID_MAX) < 0:
        return TERMINAL_NONE
    rows._merchants[0] = registry._merchants[merchant]
    rows._terminals.state = PARTY_SUSPENDED
    rows._terminals.kinds_allowed = ~<uint64_t>0
    rows._terminals.listeners_allowed = ~<uint32_t>0
    rows._terminals.is_unregistered = True
    rows.terminal_count = 1
    take_changes(registry, rows)
    registry.unregistered_count += 1
    return registry.terminal_count - 1


cdef Registry _one_of_each(Registry registry):
    """Room for one merchant and one terminal that a registry is to take."""
    cdef Registry rows = Registry.__new__(Registry)
    rows.kind_names, rows.listener_names = registry.kind_names, registry.listener_names
    rows._merchants = <Merchant *>calloc(1, sizeof(Merchant))
    rows._names = <uint32_t *>calloc(1, sizeof(uint32_t))
    rows._certificates = <uint32_t *>calloc(1, sizeof(uint32_t))
    if rows._merchants == NULL or rows._names == NULL or rows._certificates == NULL:
        raise MemoryError("no memory for a terminal")
    rows._terminals = map_terminals(1)
    rows._terminal_room = rows._merchant_room = 1
    return rows


cdef void suspend_terminal(Registry registry, uint32_t number) noexcept nogil:
    if registry._terminals[number].state == PARTY_ACTIVE or registry._terminals[number].state == PARTY_AWAITING:
        registry._terminals[number].state = PARTY_SUSPENDED


cdef bint begin_service(Registry registry, uint32_t number) noexcept nogil:
    if registry._terminals[number].state != PARTY_AWAITING:
        return False
    registry._terminals[number].state = PARTY_ACTIVE
    return True


def put_into_service(Registry registry not None, str id):
    number = registry.terminal_index(id)
    return number is not None and begin_service(registry, number)


def suspend(Registry registry not None, str id):
    number = registry.terminal_index(id)
    if number is None:
        return False
    suspend_terminal(registry, number)
    return True


def take_changes(Registry registry, Registry changes):
    """All of them at once."""
    RegistryChange(registry, changes).take(2 * changes.merchant_count + changes.terminal_count)


cdef void _index_merchants(RegistryChange change, const Merchant *merchants, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        index_put(&change._merchant_index, merchant_key(merchants[i].id), i)


cdef void _index_terminals(RegistryChange change, const Terminal *terminals, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        index_put(&change._terminal_index, terminal_key(terminals[i].id), i)


cdef int _make_room(RegistryChange change) except -1:
    """All memory that is needed: behind this nothing can fail. Large arrays are moved by their pages, not copied."""
    cdef Registry registry = change._registry
    cdef Registry changes = change._changes
    cdef Index before
    if change._has_room:
        return 0
    reserve_text(&registry._texts, changes._texts.size + 2 * TEXT_UNIT)
    if change._merchant_room:
        registry._merchants = <Merchant *>_grown(registry._merchants, change._merchant_room * sizeof(Merchant))
        registry._names = <uint32_t *>_grown(registry._names, change._merchant_room * sizeof(uint32_t))
    if change._terminal_room:
        registry._certificates = <uint32_t *>_grown(registry._certificates, change._terminal_room * sizeof(uint32_t))
        registry._terminals = grow_terminals(registry._terminals, registry._terminal_room, change._terminal_room)
        before = registry._terminal_index
        registry._terminal_index = change._terminal_index
        registry._terminal_room = change._terminal_room
        change._terminal_index = before
    if change._merchant_room:
        before = registry._merchant_index
        registry._merchant_index = change._merchant_index
        registry._merchant_room = change._merchant_room
        change._merchant_index = before
    change._has_room = True
    return 0


cdef void *_grown(void *place, uint64_t size) except NULL:
    cdef void *grown = realloc(place, size)
    if grown == NULL:
        raise MemoryError("no memory for more merchants and terminals")
    return grown


cdef int _take_merchant(Registry registry, Registry changes, uint32_t place) except -1:
    cdef const Merchant *changed = changes.merchant(place)
    cdef uint32_t number = registry.find_merchant(changed.id, MERCHANT_ID_MAX)
    cdef Merchant *merchant
    cdef uint64_t elements[2]
    if number == <uint32_t>TERMINAL_NONE:
        number = registry.merchant_count
        registry._names[number] = 0
        memset(&registry._merchants[number], 0, sizeof(Merchant))
        index_put(&registry._merchant_index, merchant_key(changed.id), number)
        registry.merchant_count += 1
    merchant = &registry._merchants[number]
    memcpy(elements, merchant.elements, ELEMENTS_SIZE)
    merchant[0] = changed[0]
    memcpy(merchant.elements_before, elements, ELEMENTS_SIZE)
    if changed.elements[0] == 0 and changed.elements[1] == 0:       # read without the key of bindings
        memcpy(merchant.elements, elements, ELEMENTS_SIZE)
    registry._names[number] = _taken_text(registry, registry._names[number], changes.text_at(changes._names[place]))
    return 0


cdef int _take_terminal(Registry registry, Registry changes, uint32_t place, uint32_t merchant) except -1:
    cdef const Terminal *changed = changes.terminal(place)
    cdef uint32_t number = registry.find_terminal(changed.id, TERMINAL_ID_MAX)
    cdef bint is_new = number == <uint32_t>TERMINAL_NONE
    cdef FormerKeys *room = NULL
    cdef Terminal before
    cdef uint32_t serial_number
    if changed.has_former:                  # this alone can fail: nothing is changed yet
        room = registry.former.put(registry.terminal_count if is_new else number)
    if is_new:
        number = registry.terminal_count
        registry._certificates[number] = 0
        registry._terminals[number].serial_number = 0
        registry._terminals[number].has_former = False
        index_put(&registry._terminal_index, terminal_key(changed.id), number)
        registry.terminal_count += 1
    else:
        registry.unregistered_count -= registry._terminals[number].is_unregistered
    before = registry._terminals[number]
    serial_number = registry._terminals[number].serial_number
    if is_new or changed.state == PARTY_ACTIVE or changed.state == PARTY_AWAITING:
        registry._terminals[number] = changed[0]
    else:
        _take_out_of_service(&registry._terminals[number], changed)
    if changed.has_former:
        _take_former_keys(&registry._terminals[number], &before, changes.former.find(place), room)
    elif has_same_keys(&registry._terminals[number], &before):
        registry._terminals[number].has_former = before.has_former
    else:
        registry.former.drop(number)
    explicit_bzero(&before, sizeof(Terminal))
    registry._terminals[number].merchant = merchant
    registry._terminals[number].serial_number = _taken_text(registry, serial_number,
                                                            changes.text_at(changed.serial_number))
    registry._certificates[number] = _taken_text(registry, registry._certificates[number],
                                                 changes.text_at(changes._certificates[place]))
    return 0


cdef void _take_former_keys(
    Terminal *terminal, const Terminal *before, const FormerKeys *former, FormerKeys *room
) noexcept nogil:
    """What the row's keys replace is taken until the terminal signs in; it goes on where these were taken up before."""
    if before.has_former and has_same_keys(terminal, before):
        return
    room[0] = former[0]
    room.until_ns = FORMER_UNTIL_SIGN_IN


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
    if changed.track_key.size == 0:
        terminal.track_key = before.track_key
    explicit_bzero(&before, sizeof(Terminal))


cdef uint32_t _taken_text(Registry registry, uint32_t place, str text) except? 0:
    """Where a text stands: where it stood before, if that is the same."""
    if registry.text_at(place) == text:
        return place
    return replace_text(&registry._texts, place, text.encode())
