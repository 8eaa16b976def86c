"""Routing table: built from a routes file in one pass, searched without a Python object.

The ranges themselves are flattened by ``ext/tables/ranges``. What stands behind a range, the cells from ``kinds`` to
``links``, is the same for very many ranges; it is read once and shared as a rule, so a range costs only its interval.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

cimport cython

from switch.tables.csv_rows cimport Row, RowReader, let_others_in, next_row, rows_over
from switch.tables.ranges cimport ChainNode, DigitRange, RangeMap, pan_key, read_range

from switch.files.problems import ProblemList, raise_if_any

COLUMNS = ("low", "high", "kinds", "currencies", "amount_min", "amount_max", "links")
HEADER = ",".join(COLUMNS).encode()
RANGES_MAX = 16_000_000
RULES_MAX = 1 << 26
WEIGHT_MAX = 65_535
AMOUNT_DIGITS_MAX = 18

cdef enum:
    COLUMN_COUNT = 7
    FIRST_SHARED = 2          # cells from here on make the rule
    DIGIT_BITS = 5            # a range's value holds how many digits it was written with, beside its rule


class _CellError(ValueError):
    """A cell that cannot be used: which one of the row, how far inside it, and why."""

    def __init__(self, cell: int, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.cell = cell
        self.offset = offset
        self.reason = reason


class _RowError(ValueError):
    """A row of which some cells cannot be used."""

    def __init__(self, cells) -> None:
        super().__init__("; ".join(map(str, cells)))
        self.cells = cells


def _attempt(errors, read, *arguments):
    """What was read of a cell; None, and the error kept, when it cannot be used."""
    try:
        return read(*arguments)
    except _CellError as error:
        errors.append(error)
        return None


def _parts(cell, text):
    """The parts of a cell between ``|``, each with where it begins."""
    offset = 0
    for part in text.split("|"):
        if not part.strip():
            raise _CellError(cell, offset, "an empty name between '|'")
        yield offset, part.strip()
        offset += len(part) + 1


def _read_kinds(text, kind_names):
    if not text:
        return (1 << 64) - 1
    mask = 0
    for offset, name in _parts(2, text):
        if name not in kind_names:
            raise _CellError(2, offset, f"unknown kind {name!r}; known are {', '.join(kind_names)}")
        mask |= 1 << kind_names[name]
    return mask


def _read_currencies(text):
    codes = set()
    if text:
        for offset, code in _parts(3, text):
            if len(code) != 3 or not code.isdecimal() or code == "000":
                raise _CellError(3, offset, f"{code!r} is not a numeric ISO 4217 code of 3 digits")
            codes.add(int(code))
    return frozenset(codes)


def _read_amount(cell, text, otherwise):
    if not text:
        return otherwise
    if not text.isdecimal() or len(text) > AMOUNT_DIGITS_MAX:
        raise _CellError(cell, 0, f"an amount is up to {AMOUNT_DIGITS_MAX} digits in the currency's minor unit")
    return int(text)


def _read_links(text, link_names):
    if not text:
        raise _CellError(6, 0, "at least one link is needed")
    targets = []
    for offset, part in _parts(6, text):
        name, _, rank = part.partition(":")
        priority, _, weight = rank.partition("*")
        if name not in link_names:
            raise _CellError(6, offset, f"unknown link {name!r}; configured are {', '.join(link_names) or 'none'}")
        numbers = []
        for word, meaning, least in (priority, "priority", 0), (weight, "weight", 1):
            if word and not (word.isdecimal() and len(word) < 6 and least <= int(word) <= WEIGHT_MAX):
                raise _CellError(6, offset, f"the {meaning} {word!r} is not a number from {least} to {WEIGHT_MAX}")
            numbers.append(int(word) if word else 1)
        if part.endswith((":", "*")):
            raise _CellError(6, offset, f"{part!r} is not LINK, LINK:PRIORITY or LINK:PRIORITY*WEIGHT")
        if any(link == link_names[name] for link, _, _ in targets):
            raise _CellError(6, offset, f"link {name!r} stands here twice")
        targets.append((link_names[name], *numbers))
    if len(targets) > ROUTE_TARGETS_MAX:
        raise _CellError(6, 0, f"{len(targets)} links; at most {ROUTE_TARGETS_MAX} are tried for one route")
    return tuple(sorted(targets, key=lambda target: target[1]))


@cython.final
@cython.no_gc
cdef class RouteTable:

    def __cinit__(self):
        self._ranges = RangeMap()

    def __init__(self):
        raise TypeError("a RouteTable is made by RouteTable.build")

    def __dealloc__(self):
        free(self._rules)
        free(self._currencies)
        free(self._routes)

    @staticmethod
    def build(const uint8_t[::1] data not None, link_names, kind_names, str file="routes.csv"):
        """Read a routes file; see the type stub."""
        cdef RouteTable table = RouteTable.__new__(RouteTable)
        loader = _Loader(link_names, kind_names, ProblemList(file))
        cdef DigitRange *ranges = NULL
        cdef uint32_t count = 0
        cdef uint32_t crowded = 0
        try:
            count = read_rows(data, loader, &ranges)
            raise_if_any(loader.problems)
            table._ranges.load(ranges, count, &crowded)
            if crowded:
                loader.problems.at(crowded, 1, "more than 64 ranges would hold the same card number")
            find_unreachable(ranges, count, loader)
            raise_if_any(loader.problems)
        finally:
            free(ranges)
        keep(table, loader)
        return table

    cdef int find(self, const uint8_t *pan, int digits, int kind, int currency, int64_t amount_minor) noexcept nogil:
        cdef uint64_t key
        cdef const ChainNode *node
        cdef const Rule *rule
        if pan_key(pan, digits, &key) < 0:
            return ROUTE_NONE
        node = self._ranges.find(key)
        while node != NULL:
            rule = &self._rules[node.value >> DIGIT_BITS]
            # A range written with more digits than the card has cannot hold it.
            if (
                <uint32_t>digits >= (node.value & ((1 << DIGIT_BITS) - 1))
                and <uint32_t>kind < 64 and (rule.kinds >> kind) & 1
                and rule.amount_min <= amount_minor <= rule.amount_max
                and (rule.currencies < 0 or in_set(&self._currencies[rule.currencies], currency))
            ):
                return rule.route
            node = self._ranges.following(node)
        return ROUTE_NONE

    cdef const Route *route(self, int index) noexcept nogil:
        return &self._routes[index]

    @property
    def range_count(self):
        return self._ranges.range_count

    @property
    def interval_count(self):
        return self._ranges.interval_count

    @property
    def size_bytes(self):
        return (self._ranges.size_bytes + self.rule_count * sizeof(Rule) + self.route_count * sizeof(Route)
                + self.currency_set_count * sizeof(CurrencySet))

    def find_route(self, pan, int kind, int currency=0, int64_t amount_minor=-1):
        cdef bytes digits = pan.encode("ascii", "replace") if isinstance(pan, str) else bytes(pan)
        cdef int index = self.find(<const uint8_t *><const char *>digits, <int>min(len(digits), 1000), kind, currency,
                                   amount_minor)
        return None if index == ROUTE_NONE else index

    def targets(self, int index):
        if not 0 <= index < self.route_count:
            raise IndexError(f"there are {self.route_count} routes, not one with the index {index}")
        cdef const Route *route = &self._routes[index]
        return tuple((route.target[place].link, route.target[place].priority, route.target[place].weight)
                     for place in range(route.target_count))


cdef int keep(RouteTable table, loader) except -1:
    """Lay rules, currencies and routes out as C tables."""
    cdef int index, place
    cdef Route *route
    table.rule_count = len(loader.rules)
    table.route_count = len(loader.routes)
    table.currency_set_count = len(loader.currencies)
    table._rules = <Rule *>calloc(table.rule_count + 1, sizeof(Rule))
    table._routes = <Route *>calloc(table.route_count + 1, sizeof(Route))
    table._currencies = <CurrencySet *>calloc(table.currency_set_count + 1, sizeof(CurrencySet))
    if table._rules == NULL or table._routes == NULL or table._currencies == NULL:
        raise MemoryError("no memory for the routes")
    for index, (kinds, currencies, amount_min, amount_max, target) in enumerate(loader.rules):
        table._rules[index].kinds = kinds
        table._rules[index].currencies = currencies
        table._rules[index].amount_min = amount_min
        table._rules[index].amount_max = amount_max
        table._rules[index].route = target
    for index, codes in enumerate(loader.currencies):
        for code in codes:
            table._currencies[index].bits[code // 64] |= <uint64_t>1 << (code % 64)
    for index, targets in enumerate(loader.routes):
        route = &table._routes[index]
        route.target_count = len(targets)
        for place, (link, priority, weight) in enumerate(targets):
            route.target[place].link = link
            route.target[place].priority = priority
            route.target[place].weight = weight
    return 0


cdef inline bint in_set(const CurrencySet *currencies, int currency) noexcept nogil:
    """Whether a set holds a currency, by its ISO 4217 number."""
    return 0 < currency < 1000 and (currencies.bits[currency >> 6] >> (currency & 63)) & 1


class _Loader:
    """What is shared by the rows of one file: rules, routes and currency sets by content, and the problems found."""

    def __init__(self, link_names, kind_names, problems):
        self.link_names = {name: index for index, name in enumerate(link_names)}
        self.kind_names = {name: index for index, name in enumerate(kind_names)}
        self.problems = problems
        self.rules = {}
        self.routes = {}
        self.currencies = {}

    def rule(self, cells):
        """Index of the rule that the cells from ``kinds`` on stand for."""
        errors = []
        kinds = _attempt(errors, _read_kinds, cells[0], self.kind_names)
        codes = _attempt(errors, _read_currencies, cells[1])
        amount_min = _attempt(errors, _read_amount, 4, cells[2], 0 if cells[3] else -1)
        amount_max = _attempt(errors, _read_amount, 5, cells[3], INT64_MAX)
        if amount_min is not None and amount_max is not None and amount_max < amount_min:
            errors.append(_CellError(5, 0, "amount_max is below amount_min"))
        targets = _attempt(errors, _read_links, cells[4], self.link_names)
        if errors:
            raise _RowError(errors)
        rule = (kinds, self.currencies.setdefault(codes, len(self.currencies)) if codes else -1, amount_min, amount_max,
                self.routes.setdefault(targets, len(self.routes)))
        number = self.rules.setdefault(rule, len(self.rules))
        if number >= RULES_MAX:
            raise _RowError([_CellError(2, 0, f"more than {RULES_MAX} different rules")])
        return number


cdef uint32_t read_rows(const uint8_t[::1] data, loader, DigitRange **ranges) except? 0xFFFFFFFF:
    """Read the whole file; the caller frees ``ranges``. Problems go to the loader."""
    cdef RowReader reader
    cdef Row row
    cdef const uint8_t *bytes_at = &data[0] if data.shape[0] else NULL
    cdef uint32_t count = 0, room = 0
    cdef DigitRange *grown
    cdef DigitRange *out
    cdef dict rules = {}
    cdef bytes shared
    problems = loader.problems
    rows_over(&reader, bytes_at, data.shape[0])
    if not next_row(&reader, &row):
        problems.at(1, 1, f"the file is empty; its first row must be {HEADER.decode()}")
        return 0
    if bytes_at[row.begin:row.end].strip() != HEADER:
        problems.at(row.line, 1, f"the first row must be {HEADER.decode()}")
        return 0
    while next_row(&reader, &row):
        let_others_in(row.line)
        if row.count != COLUMN_COUNT:
            problems.at(row.line, 1, f"{'more' if row.count > COLUMN_COUNT else row.count} cells, not {COLUMN_COUNT}")
            continue
        if count == room:
            if count >= <uint32_t>RANGES_MAX:
                problems.at(row.line, 1, f"more than {RANGES_MAX} ranges")
                break
            room = room * 2 if room else 1024
            grown = <DigitRange *>realloc(ranges[0], room * sizeof(DigitRange))
            if grown == NULL:
                raise MemoryError("no memory for the ranges")
            ranges[0] = grown
        out = &ranges[0][count]
        wrong = read_range(bytes_at, row.cells[0].begin, row.cells[0].end, row.cells[1].begin, row.cells[1].end, out)
        if wrong is not None:
            problems.at(row.line, wrong[0] - row.begin + 1, wrong[1])
        shared = bytes_at[row.cells[FIRST_SHARED].begin:row.end]
        rule = rules.get(shared)
        if rule is None:
            cells = [bytes_at[row.cells[place].begin:row.cells[place].end].decode("ascii", "backslashreplace")
                     for place in range(FIRST_SHARED, COLUMN_COUNT)]
            try:
                rule = rules[shared] = loader.rule(cells)
            except _RowError as wrong:
                for error in wrong.cells:
                    problems.at(row.line, row.cells[error.cell].begin - row.begin + error.offset + 1,
                                f"{COLUMNS[error.cell]}: {error.reason}")
                continue
        out.value = (<uint32_t>rule << DIGIT_BITS) | <uint32_t>(row.cells[0].end - row.cells[0].begin)
        out.order = row.line
        count += 1
    return count


cdef int find_unreachable(const DigitRange *ranges, uint32_t count, loader) except -1:
    """Report rows that no request can reach: the same range was narrowed in the same way, or not at all, before.

    The ranges are sorted, so equal ones stand together, in the order of the file.
    """
    cdef uint32_t index, earlier
    cdef list rules = list(loader.rules)
    for index in range(1, count):
        let_others_in(index)
        earlier = index
        while earlier > 0 and index - earlier < 64 and ranges[earlier - 1].low == ranges[index].low and (
                ranges[earlier - 1].high == ranges[index].high):
            earlier -= 1
            if narrows_within(rules[ranges[index].value >> DIGIT_BITS], rules[ranges[earlier].value >> DIGIT_BITS]):
                loader.problems.at(ranges[index].order, 1, "this row is never reached: line "
                                   f"{ranges[earlier].order} has the same range and takes all that this one would")
                break
    return 0


cdef bint narrows_within(tuple inner, tuple outer) except -1:
    """Whether all that one rule lets through, an earlier one of the same range lets through too."""
    return (not inner[0] & ~outer[0] and outer[1] in (-1, inner[1])
            and outer[2] <= inner[2] and inner[3] <= outer[3])
