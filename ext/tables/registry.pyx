"""Registry of merchants and terminals: built from two files in one pass each, looked up without a Python object.

A terminal costs its record and 32 bytes of the index. Field 41 has 8 characters, which are the key of the index as one
64-bit number: a look-up touches one cache line of the index, then the record that the caller wants anyhow.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap

cimport cython

from switch.crypto.mac cimport MAC_PADDING_1
from switch.crypto.pin_block cimport PIN_FORMAT_ISO_0, PIN_FORMAT_NONE, PIN_FORMAT_SM4, set_pin_key
from switch.dialect.terminal_says cimport read_position
from switch.tables.binding_proof cimport BindingProof
from switch.tables.csv_rows cimport Cell, Row, RowReader, next_row
from switch.tables.former_keys cimport FormerKeyTable
from switch.tables.identifiers cimport (
    Slot, index_make, index_put, keep_text, merchant_key, padded, spread, terminal_key,
)
from switch.tables.table_files cimport begin_table, cell_text, cells_reason, count_lines

from switch.crypto.mac import ALGORITHMS, KEY_SIZES
from switch.crypto.pin_block import PIN_FORMATS, PIN_KEY_SIZES
from switch.files.problems import PROBLEMS_MAX, ProblemList, raise_if_any
from switch.tables.binding import BINDING_KEY, KEY_BYTES, BindingRule, elements_of
from switch.tables.cells import (
    CLASS_CELL, SAME_IDENTITY_CELL, CellError as _CellError, chosen as _chosen, mask as _mask,
    merchant_class as _merchant_class, same_identity as _same_identity, terminal_state as _state,
)
from switch.tables.party_states import MERCHANT_CLASSES, STATES, TERMINAL_STATES

cdef extern from "string.h" nogil:
    void explicit_bzero(void *data, size_t size)

cdef extern from "sys/mman.h" nogil:
    int madvise(void *address, size_t size, int advice)
    int MADV_DONTDUMP
    void *mremap(void *address, size_t size, size_t new_size, int flags)
    int MREMAP_MAYMOVE

MERCHANT_COLUMNS = ("id", "name", "state", "category", "kinds")
TERMINAL_COLUMNS = ("id", "merchant", "state", "listeners", "kinds", "mac_algorithm", "pin_format", "certificate")
BOUND_MERCHANT_COLUMNS = (*MERCHANT_COLUMNS, "identity", "account", "class", "same_identity")
BOUND_TERMINAL_COLUMNS = (*TERMINAL_COLUMNS, "serial_number", "place", "position", "bound_to", "binding")
BOUND_TO_BYTES = 16
LISTENERS_MAX = 32
KINDS_MAX = 64
TERMINALS_MAX = 16_000_000
MASTER_KEY_SIZES = (8, 16, 24)
DERIVED = "+dukpt"
TERMINAL_PIN_FORMATS = (*PIN_FORMATS, *(f"{name}{DERIVED}" for name in PIN_FORMATS[1:-1]))     # SM4 has no DUKPT

cdef enum:
    TEXT_MAX = 255            # bytes
    CELL_ID = 0               # places in BOUND_TERMINAL_COLUMNS
    CELL_SERIAL_NUMBER = 8, CELL_PLACE, CELL_POSITION, CELL_BOUND_TO, CELL_BINDING


cdef Terminal *map_terminals(uint64_t room) except NULL:
    cdef void *mapped = mmap(NULL, room * sizeof(Terminal), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if mapped == MAP_FAILED:
        raise MemoryError("no memory for the terminals")
    madvise(mapped, room * sizeof(Terminal), MADV_DONTDUMP)
    return <Terminal *>mapped


cdef Terminal *grow_terminals(Terminal *terminals, uint64_t room, uint64_t new_room) except NULL:
    cdef void *grown = mremap(terminals, room * sizeof(Terminal), new_room * sizeof(Terminal), MREMAP_MAYMOVE)
    if grown == MAP_FAILED:
        raise MemoryError("no memory for more terminals")
    return <Terminal *>grown


cdef void unmap_terminals(Terminal *terminals, uint64_t room) noexcept nogil:
    if terminals != NULL:
        explicit_bzero(terminals, room * sizeof(Terminal))
        munmap(terminals, room * sizeof(Terminal))


cdef int check_identifier(const uint8_t *data, Cell cell, int width) except -1:
    """Raise _CellError unless the cell is an identifier of 1 to ``width`` printable ASCII characters."""
    cdef Py_ssize_t at
    if cell.end == cell.begin or cell.end - cell.begin > width:
        raise _CellError(0, f"the identifier has {cell.end - cell.begin} characters; needed are 1 to {width}")
    for at in range(cell.begin, cell.end):
        if not 0x20 <= data[at] < 0x7F or data[at] == c'"':
            raise _CellError(0, f"the identifier holds the byte 0x{data[at]:02X}; "
                                "needed are printable ASCII characters")
    return 0


def _unquoted(place, text):
    """The text of a cell that may stand in double quotes."""
    if not text.startswith('"'):
        return text
    inner = text[1:-1].replace('""', "\0")
    if len(text) < 2 or not text.endswith('"') or '"' in inner:
        raise _CellError(place, "the double quotes do not close at the end of the cell")
    return inner.replace("\0", '"')


@cython.final
cdef class Registry:

    def __init__(self):
        raise TypeError("a Registry is made by Registry.build")

    def __dealloc__(self):
        unmap_terminals(self._terminals, self._terminal_room)
        free(self._merchants)
        free(self._certificates)
        free(self._names)
        free(self._terminal_index.slots)
        free(self._merchant_index.slots)
        free(self._texts.data)

    @staticmethod
    def build(const uint8_t[::1] merchants not None, const uint8_t[::1] terminals not None, keys, kind_names,
              listener_names, str merchants_file="merchants.csv", str terminals_file="terminals.csv",
              int problems_max=PROBLEMS_MAX, rule=BindingRule("")):
        """Read both files; see the type stub."""
        cdef Registry registry = Registry.__new__(Registry)
        if len(listener_names) > LISTENERS_MAX or len(kind_names) > KINDS_MAX:
            raise ValueError(f"at most {LISTENERS_MAX} listeners and {KINDS_MAX} kinds")
        registry.former = FormerKeyTable()
        registry.kind_names = tuple(kind_names)
        registry.listener_names = tuple(listener_names)
        registry.rule = rule
        registry.metres_max = rule.metres_max
        registry.serial_number_demanded = rule.serial_number_demanded
        registry.position_demanded = rule.position_demanded
        registry.altered = []
        registry.suspects = []
        registry.signed_in = []
        merchant_problems = ProblemList(merchants_file, problems_max)
        terminal_problems = ProblemList(terminals_file, problems_max)
        read_merchants(registry, merchants, keys, merchant_problems)
        read_terminals(registry, terminals, keys, terminal_problems)
        raise_if_any(merchant_problems, terminal_problems)
        return registry

    @cython.boundscheck(False)
    cdef uint32_t find_terminal(self, const uint8_t *id, int size) noexcept nogil:
        # Bounded: the index is at most half full, so every search meets an empty slot.
        cdef uint8_t name[TERMINAL_ID_MAX]
        cdef uint64_t key, slot
        if padded(id, size, name, TERMINAL_ID_MAX) < 0:
            return TERMINAL_NONE
        key = terminal_key(name)
        slot = spread(key) & self._terminal_index.mask
        while self._terminal_index.slots[slot].index != <uint32_t>TERMINAL_NONE:
            if self._terminal_index.slots[slot].key == key:
                return self._terminal_index.slots[slot].index
            slot = (slot + 1) & self._terminal_index.mask
        return TERMINAL_NONE

    @cython.boundscheck(False)
    cdef uint32_t find_merchant(self, const uint8_t *id, int size) noexcept nogil:
        cdef uint8_t name[MERCHANT_ID_MAX + 1]
        cdef uint64_t key, slot
        cdef uint32_t index
        if padded(id, size, name, MERCHANT_ID_MAX) < 0:
            return TERMINAL_NONE
        name[MERCHANT_ID_MAX] = 0
        key = merchant_key(name)
        slot = spread(key) & self._merchant_index.mask
        while self._merchant_index.slots[slot].index != <uint32_t>TERMINAL_NONE:
            index = self._merchant_index.slots[slot].index
            if self._merchant_index.slots[slot].key == key and (
                    memcmp(self._merchants[index].id, name, MERCHANT_ID_MAX) == 0):
                return index
            slot = (slot + 1) & self._merchant_index.mask
        return TERMINAL_NONE

    cdef const Terminal *terminal(self, uint32_t index) noexcept nogil:
        return &self._terminals[index]

    cdef const Merchant *merchant(self, uint32_t index) noexcept nogil:
        return &self._merchants[index]

    cdef bint serial_number_is(self, uint32_t terminal, const uint8_t *text, int size) noexcept nogil:
        cdef uint32_t place = self._terminals[terminal].serial_number
        return place == 0 or (size == self._texts.data[place] and memcmp(self._texts.data + place + 1, text, size) == 0)

    cdef bint certificate_is(self, uint32_t terminal, const uint8_t *name, int size) noexcept nogil:
        cdef const uint8_t *text
        cdef uint8_t id[TERMINAL_ID_MAX]
        if terminal >= self.terminal_count:
            return False
        if self._certificates[terminal]:
            text = self._texts.data + self._certificates[terminal]
            return size == text[0] and memcmp(text + 1, name, size) == 0
        return padded(name, size, id, TERMINAL_ID_MAX) == 0 and (
            memcmp(self._terminals[terminal].id, id, TERMINAL_ID_MAX) == 0)

    @property
    def size_bytes(self):
        return (self._terminal_room * (sizeof(Terminal) + sizeof(uint32_t))
                + self._merchant_room * (sizeof(Merchant) + sizeof(uint32_t))
                + (self._terminal_index.mask + self._merchant_index.mask + 2) * sizeof(Slot) + self._texts.room)

    def terminal_index(self, id):
        cdef bytes name = id.encode("ascii", "replace") if isinstance(id, str) else bytes(id)
        cdef uint32_t index = self.find_terminal(<const uint8_t *><const char *>name, <int>min(len(name), 1000))
        return None if index == <uint32_t>TERMINAL_NONE else index

    def merchant_index(self, id):
        cdef bytes name = id.encode("ascii", "replace") if isinstance(id, str) else bytes(id)
        cdef uint32_t index = self.find_merchant(<const uint8_t *><const char *>name, <int>min(len(name), 1000))
        return None if index == <uint32_t>TERMINAL_NONE else index

    def certificate_matches(self, id, str name):
        cdef bytes text = name.encode()
        index = self.terminal_index(id)
        return index is not None and self.certificate_is(index, <const uint8_t *><const char *>text,
                                                         <int>min(len(text), 1000))

    def describe_terminal(self, id):
        index = self.terminal_index(id)
        if index is None:
            return None
        cdef const Terminal *terminal = &self._terminals[<uint32_t>index]
        return {
            "id": terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip(),
            "merchant": self._merchants[terminal.merchant].id[:MERCHANT_ID_MAX].decode("ascii").rstrip(),
            "state": TERMINAL_STATES[terminal.state],
            "listeners": names_of(self.listener_names, terminal.listeners_allowed),
            "kinds": names_of(self.kind_names, terminal.kinds_allowed),
            "mac_algorithm": ALGORITHMS[terminal.mac_key.algorithm],
            "pin_format": PIN_FORMATS[terminal.pin_format] + (DERIVED if terminal.derives_pin_keys else ""),
            "certificate": (self.text_at(self._certificates[<uint32_t>index])
                            or terminal.id[:TERMINAL_ID_MAX].decode("ascii").rstrip()),
            "has_master_key": terminal.master_key.size > 0,
            "serial_number": self.text_at(terminal.serial_number),
            "position": (terminal.latitude, terminal.longitude) if terminal.has_position else None,
            "bound_to": (<const uint8_t *>terminal.bound_to)[:BOUND_TO_BYTES].hex(),
        }

    def describe_merchant(self, id):
        index = self.merchant_index(id)
        if index is None:
            return None
        cdef const Merchant *merchant = &self._merchants[<uint32_t>index]
        return {
            "id": merchant.id[:MERCHANT_ID_MAX].decode("ascii").rstrip(),
            "name": self.text_at(self._names[<uint32_t>index]),
            "state": STATES[merchant.state],
            "category": f"{merchant.category:04d}",
            "kinds": names_of(self.kind_names, merchant.kinds_allowed),
            "elements": (<const uint8_t *>merchant.elements)[:BOUND_TO_BYTES].hex(),
            "merchant_class": MERCHANT_CLASSES[merchant.merchant_class - 1] if merchant.merchant_class else "",
            "same_identity": f"{merchant.same_identity:016x}" if merchant.same_identity else "",
        }

    cdef str text_at(self, uint32_t place):
        if place == 0:
            return ""
        return self._texts.data[place + 1:place + 1 + self._texts.data[place]].decode("utf-8")


cdef list names_of(tuple names, uint64_t mask):
    """The names whose bits are set."""
    return [name for number, name in enumerate(names) if mask >> number & 1]


cdef int tell_row(problems, const Row *row, columns, error, checks) except -1:
    """Report every cell of a row that cannot be used: the one that is known, and what the others' checks say."""
    cdef dict found = {error.cell: error}
    for check, arguments in checks:
        try:
            check(*arguments)
        except _CellError as other:
            found.setdefault(other.cell, other)
    for cell in sorted(found):
        problems.at(row.line, row.cells[<int>cell].begin - row.begin + 1, f"{columns[cell]}: {found[cell].reason}")
    return 0


def _merchant_checks(cells, kind_names):
    checks = [
        (_merchant_name, (cells[1],)),
        (_chosen, (2, cells[2], STATES, "state")),
        (_category, (cells[3],)),
        (_mask, (4, cells[4], kind_names, "kind", KINDS_MAX)),
    ]
    if len(cells) > len(MERCHANT_COLUMNS):
        checks += [(_merchant_class, (cells[CLASS_CELL],)), (_same_identity, (cells[SAME_IDENTITY_CELL],))]
    return checks


def _merchant_name(text):
    name = _unquoted(1, text).encode()
    if not 0 < len(name) <= TEXT_MAX:
        raise _CellError(1, f"a name of 1 to {TEXT_MAX} bytes is needed")
    return name


def _category(text):
    if len(text) != 4 or not (text.isascii() and text.isdecimal()):
        raise _CellError(3, f"{text!r} is not a merchant category code (ISO 18245) of 4 digits")
    return int(text)


cdef int read_merchants(Registry registry, const uint8_t[::1] data, keys, problems) except -1:
    cdef RowReader reader
    cdef Row row
    cdef Merchant *merchant
    cdef uint64_t room = count_lines(data)
    cdef uint32_t *lines, earlier
    cdef const uint8_t *start
    cdef bytes key
    cdef tuple columns
    index_make(&registry._merchant_index, room)
    registry._merchant_room = room
    registry._merchants = <Merchant *>calloc(room, sizeof(Merchant))
    registry._names = <uint32_t *>calloc(room, sizeof(uint32_t))
    lines = <uint32_t *>calloc(room, sizeof(uint32_t))
    try:
        if registry._merchants == NULL or registry._names == NULL or lines == NULL:
            raise MemoryError("no memory for the merchants")
        columns = begin_table(&reader, &row, data, MERCHANT_COLUMNS, BOUND_MERCHANT_COLUMNS, problems)
        if columns is None:
            return 0
        key = binding_key(keys) if columns is BOUND_MERCHANT_COLUMNS else None
        start = &data[0]
        while next_row(&reader, &row):
            if row.count != len(columns):
                problems.at(row.line, 1, cells_reason(row.count, len(columns)))
                continue
            merchant = &registry._merchants[registry.merchant_count]
            try:
                check_identifier(start, row.cells[0], MERCHANT_ID_MAX)
                padded(start + row.cells[0].begin, <int>(row.cells[0].end - row.cells[0].begin), merchant.id,
                       MERCHANT_ID_MAX)
                earlier = registry.find_merchant(merchant.id, MERCHANT_ID_MAX)
                if earlier != <uint32_t>TERMINAL_NONE:
                    raise _CellError(0, f"this merchant is on line {lines[earlier]} already")
                name = _merchant_name(cell_text(start, row.cells[1]))
                merchant.category = _category(cell_text(start, row.cells[3]))
                merchant.state = _chosen(2, cell_text(start, row.cells[2]), STATES, "state")
                merchant.kinds_allowed = _mask(4, cell_text(start, row.cells[4]), registry.kind_names, "kind",
                                               KINDS_MAX)
                if columns is BOUND_MERCHANT_COLUMNS:
                    merchant.merchant_class = _merchant_class(cell_text(start, row.cells[CLASS_CELL]))
                    merchant.same_identity = _same_identity(cell_text(start, row.cells[SAME_IDENTITY_CELL]))
                if key is not None:
                    read_elements(merchant, start, &row, key, registry.rule.acquirer)
            except _CellError as error:
                tell_row(problems, &row, columns, error, _merchant_checks(
                    [cell_text(start, row.cells[place]) for place in range(row.count)], registry.kind_names))
                if error.cell == 0:
                    continue
                name = b""                # it is known all the same, so that its terminals are not wrong as well
            registry._names[registry.merchant_count] = keep_text(&registry._texts, name)
            lines[registry.merchant_count] = row.line
            index_put(&registry._merchant_index, merchant_key(merchant.id), registry.merchant_count)
            registry.merchant_count += 1
    finally:
        free(lines)
    return 0


cdef bytes binding_key(keys):
    """The key of bindings; None where there is none."""
    return _checked_key(keys, BINDING_KEY, (KEY_BYTES,), 0)


cdef int read_elements(Merchant *merchant, const uint8_t *start, const Row *row, bytes key, acquirer) except -1:
    cdef bytes elements = elements_of(key, acquirer, cell_text(start, row.cells[0]), cell_text(start, row.cells[5]),
                                      cell_text(start, row.cells[6]))
    memcpy(merchant.elements, <const char *>elements, BOUND_TO_BYTES)
    return 0


cdef bytes plain_cell(const uint8_t *start, const Row *row, int place):
    """The text of a cell that may stand in double quotes, in UTF-8."""
    cdef Cell cell = row.cells[place]
    cdef bytes text = start[cell.begin:cell.end]
    if text.isascii() and not text.startswith(b'"'):
        return text
    return _unquoted(place, cell_text(start, cell)).encode()


cdef int read_binding(Registry registry, Terminal *terminal, const uint8_t *start, const Row *row,
                      BindingProof proof) except -1:
    """Which machine it is, where, and what it is bound to. One whose row was altered since is not served."""
    cdef bytes serial_number = plain_cell(start, row, CELL_SERIAL_NUMBER)
    cdef bytes position = plain_cell(start, row, CELL_POSITION)
    cdef bytes bound_to = plain_cell(start, row, CELL_BOUND_TO)
    terminal.serial_number = keep_text(&registry._texts, serial_number[:TEXT_MAX])
    terminal.has_position = read_position(<const uint8_t *><const char *>position, <int>len(position),
                                          &terminal.latitude, &terminal.longitude)
    if not bound_to:
        refuse_unbound(registry, terminal)
    elif proof is None:
        # No key is asked for where only those are read who are not served.
        if may_be_served(terminal):
            raise _CellError(CELL_BOUND_TO, f"no key {BINDING_KEY}, which a binding needs")
    elif proof.is_bound(bound_to, plain_cell(start, row, CELL_ID), serial_number, plain_cell(start, row, CELL_PLACE),
                        position, plain_cell(start, row, CELL_BINDING)):
        bound_to = bytes.fromhex(bound_to.decode())
        memcpy(terminal.bound_to, <const char *>bound_to, BOUND_TO_BYTES)
    else:
        registry.altered.append(plain_cell(start, row, CELL_ID).decode())
        if may_be_served(terminal):
            terminal.state = PARTY_SUSPENDED
    return 0


cdef int refuse_unbound(Registry registry, Terminal *terminal) except -1:
    """One that is bound to nothing is not served where that is demanded."""
    if registry.rule.is_demanded and may_be_served(terminal):
        terminal.state = PARTY_SUSPENDED
        registry.unbound_count += 1
    return 0


cpdef bytes _checked_key(keys, str name, sizes, int cell):
    """A key by name; None when there is none. Raise _CellError when its size is none of ``sizes``."""
    cdef bytes key = keys.get(name)
    if key is not None and len(key) not in sizes:
        raise _CellError(cell, f"key {name} has {len(key)} bytes; needed are {' or '.join(map(str, sizes))}")
    return key


cpdef bytes _needed_key(keys, str name, sizes, int cell, str why, bint is_closed):
    """A key that must be there, but for a terminal that is closed: it serves nothing, so its keys may be gone."""
    cdef bytes key = _checked_key(keys, name, sizes, cell)
    if key is None and not is_closed:
        raise _CellError(cell, f"no key {name}, which {why} needs")
    return key


cdef int attach_keys(Terminal *terminal, keys, str id, tuple profile) except -1:
    """Give a terminal its keys."""
    cdef bytes key
    cdef int sort
    cdef bint is_closed = terminal.state == PARTY_CLOSED
    terminal.mac_key.algorithm = profile[3]
    terminal.mac_key.padding = MAC_PADDING_1
    if profile[3]:
        key = _needed_key(keys, f"terminal/{id}/tak", profile[5], 5, ALGORITHMS[profile[3]], is_closed) or b""
        terminal.mac_key.size = len(key)
        memcpy(terminal.mac_key.key, <const char *>key, len(key))
    if terminal.pin_format != PIN_FORMAT_NONE and not terminal.derives_pin_keys:
        sizes = PIN_KEY_SIZES[PIN_FORMATS[terminal.pin_format]]
        key = _needed_key(keys, f"terminal/{id}/tpk", sizes, 6, "a PIN format", is_closed)
        if key is not None:
            set_pin_key(&terminal.pin_key, key, terminal.pin_format)
    # A terminal has all of its keys in SM4 or in DES.
    sort = PIN_FORMAT_SM4 if terminal.pin_format == PIN_FORMAT_SM4 else PIN_FORMAT_ISO_0
    sizes = PIN_KEY_SIZES[PIN_FORMATS[sort]]
    set_pin_key(&terminal.master_key, _checked_key(keys, f"terminal/{id}/tmk", sizes, 0) or b"", sort)
    set_pin_key(&terminal.track_key, _checked_key(keys, f"terminal/{id}/tdk", sizes, 0) or b"", sort)
    return 0


def _terminal_checks(cells, has_merchant, keys, listener_names, kind_names):
    checks = [
        (_known_merchant, (has_merchant, cells[1])),
        (_state, (cells[2],)),
        (_mask, (3, cells[3], listener_names, "listener", LISTENERS_MAX)),
        (_mask, (4, cells[4], kind_names, "kind", KINDS_MAX)),
        (_chosen, (5, cells[5], ALGORITHMS, "MAC algorithm")),
        (_chosen, (6, cells[6], TERMINAL_PIN_FORMATS, "PIN format")),
        (_certificate, (cells[7],)),
    ]
    algorithm, pin_format = cells[5:7]
    is_closed = cells[2] == STATES[<int>PARTY_CLOSED]
    if algorithm in ALGORITHMS and ALGORITHMS.index(algorithm):
        checks.append((_needed_key, (keys, f"terminal/{cells[0]}/tak", KEY_SIZES[algorithm], 5, algorithm, is_closed)))
    if pin_format in PIN_FORMATS and PIN_FORMATS.index(pin_format) != PIN_FORMAT_NONE:
        checks.append((_needed_key, (keys, f"terminal/{cells[0]}/tpk", PIN_KEY_SIZES[pin_format], 6, "a PIN format",
                                     is_closed)))
    return checks + [(_checked_key, (keys, f"terminal/{cells[0]}/{usage}", MASTER_KEY_SIZES, 0))
                     for usage in ("tmk", "tdk")]


def _known_merchant(is_known, text):
    if not is_known:
        raise _CellError(1, f"unknown merchant {text!r}")


def _certificate(text):
    """The name in a certificate, as bytes; none where the cell is empty."""
    certificate = _unquoted(7, text).encode() if text else b""
    if len(certificate) > TEXT_MAX:
        raise _CellError(7, f"a certificate name has at most {TEXT_MAX} bytes")
    return certificate


def _profile(cells, listener_names, kind_names):
    """What the cells from ``state`` to ``pin_format`` say, the same for very many terminals."""
    state, listeners, kinds, algorithm, pin_format = cells
    return (
        _state(state),
        _mask(3, listeners, listener_names, "listener", LISTENERS_MAX),
        _mask(4, kinds, kind_names, "kind", KINDS_MAX),
        _chosen(5, algorithm, ALGORITHMS, "MAC algorithm"),
        _chosen(6, pin_format, TERMINAL_PIN_FORMATS, "PIN format"),
        KEY_SIZES[algorithm],
    )


cdef int read_terminals(Registry registry, const uint8_t[::1] data, keys, problems) except -1:
    cdef RowReader reader
    cdef Row row
    cdef Terminal *terminal
    cdef uint64_t room = count_lines(data)
    cdef uint32_t *lines, index
    cdef const uint8_t *start
    cdef dict profiles = {}
    cdef bytes shared
    cdef BindingProof proof = None
    cdef tuple profile, columns
    cdef str id
    if room > <uint64_t>TERMINALS_MAX:
        problems.at(1, 1, f"more than {TERMINALS_MAX} lines")
        return 0
    index_make(&registry._terminal_index, room)
    registry._certificates = <uint32_t *>calloc(room, sizeof(uint32_t))
    lines = <uint32_t *>calloc(room, sizeof(uint32_t))
    try:
        if registry._certificates == NULL or lines == NULL:
            raise MemoryError("no memory for the terminals")
        registry._terminals = map_terminals(room)
        registry._terminal_room = room
        columns = begin_table(&reader, &row, data, TERMINAL_COLUMNS, BOUND_TERMINAL_COLUMNS, problems)
        if columns is None:
            return 0
        if columns is BOUND_TERMINAL_COLUMNS and binding_key(keys) is not None:
            proof = BindingProof(binding_key(keys))
        start = &data[0]
        while next_row(&reader, &row):
            if row.count != len(columns):
                problems.at(row.line, 1, cells_reason(row.count, len(columns)))
                continue
            terminal = &registry._terminals[registry.terminal_count]
            try:
                check_identifier(start, row.cells[0], TERMINAL_ID_MAX)
                padded(start + row.cells[0].begin, <int>(row.cells[0].end - row.cells[0].begin), terminal.id,
                       TERMINAL_ID_MAX)
                index = registry.find_terminal(terminal.id, TERMINAL_ID_MAX)
                if index != <uint32_t>TERMINAL_NONE:
                    raise _CellError(0, f"this terminal is on line {lines[index]} already")
                index = registry.find_merchant(start + row.cells[1].begin,
                                               <int>min(row.cells[1].end - row.cells[1].begin, 1000))
                if index == <uint32_t>TERMINAL_NONE:
                    _known_merchant(False, cell_text(start, row.cells[1]))
                terminal.merchant = index
                shared = start[row.cells[2].begin:row.cells[6].end]
                profile = profiles.get(shared)
                if profile is None:
                    profile = profiles[shared] = _profile(
                        [cell_text(start, row.cells[place]) for place in range(2, 7)], registry.listener_names,
                        registry.kind_names)
                terminal.state, terminal.awaited_until_s = profile[0]
                terminal.listeners_allowed = profile[1]
                terminal.kinds_allowed = profile[2]
                terminal.derives_pin_keys = profile[4] >= len(PIN_FORMATS)
                terminal.pin_format = profile[4] - (len(PIN_FORMATS) - 1 if terminal.derives_pin_keys else 0)
                id = start[row.cells[0].begin:row.cells[0].end].decode("ascii")
                attach_keys(terminal, keys, id, profile)
                certificate = _certificate(cell_text(start, row.cells[7]))
                if columns is BOUND_TERMINAL_COLUMNS:
                    read_binding(registry, terminal, start, &row, proof)
                else:
                    refuse_unbound(registry, terminal)
            except _CellError as error:
                index = registry.find_merchant(start + row.cells[1].begin,
                                               <int>min(row.cells[1].end - row.cells[1].begin, 1000))
                tell_row(problems, &row, columns, error, _terminal_checks(
                    [cell_text(start, row.cells[place]) for place in range(len(TERMINAL_COLUMNS))],
                    index != <uint32_t>TERMINAL_NONE, keys, registry.listener_names, registry.kind_names))
                # The next row is read into the same place; no key may be left in it.
                memset(terminal, 0, sizeof(Terminal))
                continue
            registry._certificates[registry.terminal_count] = keep_text(&registry._texts, certificate)
            lines[registry.terminal_count] = row.line
            index_put(&registry._terminal_index, terminal_key(terminal.id), registry.terminal_count)
            registry.terminal_count += 1
    finally:
        free(lines)
    return 0
