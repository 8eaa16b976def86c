"""Routing table: against a plain list of ranges, and its errors."""

import contextlib
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.files.problems import PROBLEMS_MAX, ConfigError
from switch.tables.routes import COLUMNS, RouteTable

LINKS = ("bank-a", "bank-b", "bank-c")
KINDS = ("unknown", "purchase", "refund", "void")
HEADER = ",".join(COLUMNS)


def build(*rows: str) -> RouteTable:
    return RouteTable.build("\n".join((HEADER, *rows)).encode(), LINKS, KINDS)


def problems_of(*rows: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        build(*rows)
    assert all(problem.file == "routes.csv" for problem in caught.value.problems)
    return [(problem.key, problem.reason) for problem in caught.value.problems]


def reasons_of(*rows: str) -> list[str]:
    try:
        build(*rows)
    except ConfigError as error:
        return [problem.reason for problem in error.problems]
    return []


def links_of(table: RouteTable, pan: str, kind: int = 1, currency: int = 0, amount_minor: int = -1) -> list[str] | None:
    index = table.find_route(pan, kind, currency, amount_minor)
    return None if index is None else [LINKS[link] for link, _, _ in table.targets(index)]


@dataclass(frozen=True)
class Row:
    low: str
    high: str
    kinds: tuple[str, ...]
    currencies: tuple[int, ...]
    amount_min: int | None
    amount_max: int | None
    link: str

    def text(self) -> str:
        return ",".join((
            self.low,
            self.high,
            "|".join(self.kinds),
            "|".join(f"{code:03d}" for code in self.currencies),
            "" if self.amount_min is None else str(self.amount_min),
            "" if self.amount_max is None else str(self.amount_max),
            self.link,
        ))  # fmt: skip

    def width(self) -> int:
        spread = 10 ** (19 - len(self.low))
        return (int(self.high or self.low) + 1 - int(self.low)) * spread

    def takes(self, pan: str, kind: int, currency: int, amount: int) -> bool:
        if len(pan) < len(self.low) or not self.low <= pan[: len(self.low)] <= (self.high or self.low):
            return False
        if self.kinds and KINDS[kind] not in self.kinds:
            return False
        if self.currencies and currency not in self.currencies:
            return False
        if self.amount_min is None and self.amount_max is None:
            return True
        return amount >= (self.amount_min or 0) and (self.amount_max is None or amount <= self.amount_max)


def naive(rows: list[Row], pan: str, kind: int, currency: int, amount: int) -> str | None:
    taking = [row for row in rows if row.takes(pan, kind, currency, amount)]
    return min(taking, key=Row.width).link if taking else None


# Few digits, so that ranges nest and overlap; a common front, so that numbers use all of the 19 places.
digits = st.text("059", min_size=1, max_size=4)
front = st.sampled_from(["", "4", "62284800", "400000123456789"])
subsets = st.sets(st.sampled_from(KINDS), max_size=2).map(lambda kinds: tuple(sorted(kinds)))
currencies = st.sets(st.sampled_from([156, 840, 36]), max_size=2).map(lambda codes: tuple(sorted(codes)))
amounts = st.none() | st.integers(0, 40)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    start = draw(front)
    low = start + draw(digits)
    high = draw(st.just("") | st.text("0123456789", min_size=len(low) - len(start), max_size=len(low) - len(start)))
    if high and start + high < low:
        low, high = start + high, low[len(start) :]
    least, most = draw(amounts), draw(amounts)
    if least is not None and most is not None and least > most:
        least, most = most, least
    return Row(
        low, start + high if high else "", draw(subsets), draw(currencies), least, most, draw(st.sampled_from(LINKS))
    )


@settings(max_examples=300, deadline=None)
@given(
    st.lists(rows(), max_size=30),
    st.lists(
        st.tuples(
            st.tuples(front, st.text("0459", min_size=1, max_size=19)).map(lambda parts: "".join(parts)[:19]),
            st.integers(0, len(KINDS) - 1),
            st.sampled_from([0, 36, 156, 840]),
            st.sampled_from([-1, 0, 20, 41]),
        ),
        max_size=30,
    ),
)
def test_agrees_with_a_plain_list(table_rows: list[Row], requests: list[tuple[str, int, int, int]]) -> None:
    kept: list[Row] = []
    for row in table_rows:
        # Rows that an earlier one of the same range hides are an error of the file; leave them out.
        reasons = reasons_of(*(other.text() for other in [*kept, row]))
        assert all("never reached" in reason for reason in reasons)
        if not reasons:
            kept.append(row)
    table = build(*(row.text() for row in kept))
    for pan, kind, currency, amount in requests:
        found = links_of(table, pan, kind, currency, amount)
        expected = naive(kept, pan, kind, currency, amount)
        assert found == (None if expected is None else [expected])


@pytest.mark.parametrize("count", [1, 20, 21, 22, 200, 5_000])
@pytest.mark.parametrize("length", [6, 9, 16, 19])
def test_many_ranges_at_their_edges(count: int, length: int) -> None:
    chooser = random.Random(count * 100 + length)
    places = sorted(chooser.sample(range(10**6), 2 * count))
    pad = "0" * (length - 6)
    ends = [(f"{places[i]:06d}{pad}", f"{places[i + 1]:06d}{pad}") for i in range(0, 2 * count, 2)]
    table = build(*(f"{low},{high},,,,,{LINKS[i % 3]}" for i, (low, high) in enumerate(ends)))
    assert table.range_count == count
    for number, (low, high) in enumerate(ends):
        link = [LINKS[number % 3]]
        assert links_of(table, low) == links_of(table, high) == link
        assert links_of(table, high + "9" * (19 - length)) == link
        below, above = str(int(low) - 1).zfill(length), str(int(high) + 1).zfill(length)
        if int(low) and (number == 0 or below > ends[number - 1][1]):
            assert links_of(table, below + "9" * (19 - length)) is None
        if len(above) == length and (number == count - 1 or above < ends[number + 1][0]):
            assert links_of(table, above) is None


@pytest.mark.parametrize("rules", [1, 200, 300, 40_000])
def test_many_different_rules(rules: int) -> None:
    # More rules than one or two bytes can name, on ranges that do not touch.
    table = build(*(f"{2 * i:06d},,,,,{i},bank-{'abc'[i % 3]}" for i in range(rules)))
    assert table.rule_count == rules
    for i in {0, rules // 2, rules - 1}:
        assert links_of(table, f"{2 * i:06d}1234567890", amount_minor=i) == [LINKS[i % 3]]
        assert links_of(table, f"{2 * i:06d}1234567890", amount_minor=i + 1) is None
        assert links_of(table, f"{2 * i + 1:06d}1234567890", amount_minor=0) is None


def test_narrowest_range_wins_and_falls_back_to_wider_ones() -> None:
    table = build("4,,,,,,bank-a", "400000,400099,purchase,,,,bank-b", "4000501234567890,,,,,,bank-c")
    assert links_of(table, "4999990000000000") == ["bank-a"]
    assert links_of(table, "4000501111111111") == ["bank-b"]
    assert links_of(table, "4000501111111111", kind=2) == ["bank-a"]
    assert links_of(table, "4000501234567890", kind=2) == ["bank-c"]
    # A card of fewer digits than a range was written with is not in it.
    assert links_of(table, "400050123456") == ["bank-b"]


def test_rows_of_one_range_are_tried_in_order() -> None:
    table = build("62,,,156,,1000,bank-a", "62,,,156,,,bank-b", "62,,,,,,bank-c")
    assert links_of(table, "6200", currency=156, amount_minor=1000) == ["bank-a"]
    assert links_of(table, "6200", currency=156, amount_minor=1001) == ["bank-b"]
    assert links_of(table, "6200", currency=156) == ["bank-b"]
    assert links_of(table, "6200") == ["bank-c"]


def test_targets_are_ordered_by_priority() -> None:
    table = build("4,,,,,,bank-b:2|bank-a:1*3|bank-c:1")
    assert table.targets(0) == ((0, 1, 3), (2, 1, 1), (1, 2, 1))
    with pytest.raises(IndexError, match="1 routes"):
        table.targets(1)


@pytest.mark.parametrize("pan", ["", "4" * 20, "4" * 300, "400000x", "40000/0", "40000:0", "4\x00", " 4", "-4", "4*"])
def test_no_route_for_what_is_no_card_number(pan: str) -> None:
    assert build("0,9,,,,,bank-a").find_route(pan, 1) is None


@pytest.mark.parametrize("kind", [-1, 64, 1000])
def test_no_route_for_a_kind_that_does_not_exist(kind: int) -> None:
    assert build("0,9,,,,,bank-a").find_route("4", kind) is None


@pytest.mark.parametrize("currency", [-1, 999, 1000, 70_000])
def test_other_currencies_do_not_match(currency: int) -> None:
    assert build("4,,,156|840,,,bank-a").find_route("4", 1, currency) is None


def test_an_empty_table_has_no_route() -> None:
    table = build("# nothing yet", "")
    assert table.range_count == 0
    assert table.find_route("4000000000000000", 1) is None


def test_spreadsheet_forms_of_the_file() -> None:
    rows = b"\r\n\r\n  # comment\r\n 4 ,, purchase | refund ,,,, bank-a:1 \r\n"
    table = RouteTable.build(b"\xef\xbb\xbf" + HEADER.encode() + rows, LINKS, KINDS)
    assert links_of(table, "4000", kind=2) == ["bank-a"]
    assert links_of(table, "4000", kind=3) is None


def test_every_problem_is_told_with_its_place() -> None:
    assert problems_of(
        "4,5x,,,,,bank-a",
        "4000,400,,,,,bank-a",
        "41,40,,,,,bank-a",
        "x,,,,,,bank-a",
        "4,,sale,,,,bank-a",
        "4,,purchase|,,,,bank-a",
        "4,,,15,,,bank-a",
        "4,,,156|000,,,bank-a",
        "4,,,,1.5,,bank-a",
        "4,,,,,1000000000000000000,bank-a",
        "4,,,,5,4,bank-a",
        "4,,,,,,",
        "4,,,,,,bank-a|bank-z:1",
        "4,,,,,,bank-a:x",
        "4,,,,,,bank-a:1*0",
        "4,,,,,,bank-a:1*",
        "4,,,,,,bank-a|bank-a",
        "4,,bank-a",
        "4,,,,,,bank-a,,,,,,,,,,,",
        "12345678901234567890,,,,,,bank-a",
    ) == [
        ("line 2, column 3", "the high end must be 1 to 19 digits, or empty when the low end is a prefix"),
        ("line 3, column 6", "the high end has 3 digits, the low end 4: they must have equally many"),
        ("line 4, column 4", "the high end is below the low end"),
        ("line 5, column 1", "the low end must be 1 to 19 digits"),
        ("line 6, column 4", "kinds: unknown kind 'sale'; known are unknown, purchase, refund, void"),
        ("line 7, column 13", "kinds: an empty name between '|'"),
        ("line 8, column 5", "currencies: '15' is not a numeric ISO 4217 code of 3 digits"),
        ("line 9, column 9", "currencies: '000' is not a numeric ISO 4217 code of 3 digits"),
        ("line 10, column 6", "amount_min: an amount is up to 18 digits in the currency's minor unit"),
        ("line 11, column 7", "amount_max: an amount is up to 18 digits in the currency's minor unit"),
        ("line 12, column 8", "amount_max: amount_max is below amount_min"),
        ("line 13, column 8", "links: at least one link is needed"),
        ("line 14, column 15", "links: unknown link 'bank-z'; configured are bank-a, bank-b, bank-c"),
        ("line 15, column 8", "links: the priority 'x' is not a number from 0 to 65535"),
        ("line 16, column 8", "links: the weight '0' is not a number from 1 to 65535"),
        ("line 17, column 8", "links: 'bank-a:1*' is not LINK, LINK:PRIORITY or LINK:PRIORITY*WEIGHT"),
        ("line 18, column 15", "links: link 'bank-a' stands here twice"),
        ("line 19, column 1", "3 cells, not 7"),
        ("line 20, column 1", "more cells, not 7"),
        ("line 21, column 1", "the low end must be 1 to 19 digits"),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("4,,,,,,bank-a", "4,,purchase,,,,bank-b"),
        ("4,,purchase,,,,bank-a", "40,49,purchase,,,,bank-b"),
        ("4,,,156,0,100,bank-a", "4,,refund,156,10,20,bank-b"),
    ],
)
def test_rows_that_are_never_reached_are_told(first: str, second: str) -> None:
    reason = "this row is never reached: line 2 has the same range and takes all that this one would"
    assert problems_of(first, second) == [("line 3, column 1", reason)]


def test_a_long_list_of_problems_is_cut() -> None:
    problems = problems_of(*["x,,,,,,bank-a"] * (PROBLEMS_MAX + 7))
    assert len(problems) == PROBLEMS_MAX + 1
    assert problems[-1] == ("", "and 7 more problems")


def test_too_many_ranges_over_one_card_are_refused() -> None:
    rows = [f"4{i:03d},4999,,,,,bank-a" for i in range(65)]
    assert problems_of(*rows) == [("line 66, column 1", "more than 64 ranges would hold the same card number")]
    assert links_of(build(*rows[:64]), "4999") == ["bank-a"]


@pytest.mark.parametrize("data", [b"", b"\n\n# nothing\n", b"low,high\n", b"4,,,,,,bank-a\n"])
def test_the_heading_is_needed(data: bytes) -> None:
    with pytest.raises(ConfigError, match=f"first row must be {HEADER}"):
        RouteTable.build(data, LINKS, KINDS)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text('0459,|:*"#\r\nbank-a', max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        RouteTable.build(HEADER.encode() + b"\n" + data, LINKS, KINDS)


def test_only_build_makes_a_table() -> None:
    with pytest.raises(TypeError, match=r"RouteTable\.build"):
        RouteTable()
