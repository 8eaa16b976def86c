"""Routes files."""

from pathlib import Path

import pytest

from switch.dialect.kinds import Kind
from switch.files.problems import ConfigError
from switch.tables.route_files import load_routes

SAMPLE = Path(__file__).parents[2] / "configs" / "sample"
LINKS = ("bank-a", "bank-b", "scheme")


def asked(pan: str, kind: Kind = Kind.PURCHASE, currency: int = 156, amount_minor: int = 100_00) -> list[list[str]]:
    """Names of the links that the sample's routes ask, grouped by priority."""
    table = load_routes(SAMPLE / "routes.csv", LINKS)
    index = table.find_route(pan, kind, currency, amount_minor)
    if index is None:
        return []
    groups: dict[int, list[str]] = {}
    for link, priority, _ in table.targets(index):
        groups.setdefault(priority, []).append(LINKS[link])
    return list(groups.values())


def test_the_sample() -> None:
    assert asked("6200000000000000") == [["bank-b"], ["bank-a"]]
    assert asked("6225880000000000") == [["bank-b"]]
    assert asked("6228480000000000") == [["bank-b", "bank-a"]]
    assert asked("6228480000000000", amount_minor=50_000_00) == [["bank-b"]]
    assert asked("6225000000000014") == [["bank-b"]]
    assert asked("4392260009942820") == [["bank-b"]]
    assert asked("4000500000000000") == [["bank-a"]]
    assert asked("4000500000000000", Kind.REFUND) == [["bank-a"], ["bank-b"]]
    assert asked("5400000000000000") == [["bank-a", "bank-b"]]
    assert asked("2221000000000000") == [["bank-a"]]
    assert asked("5200050000000000") == [["bank-b"], ["bank-a"]]
    assert asked("5200050000000000", amount_minor=1000_01) == [["bank-a", "bank-b"]]
    assert asked("3530111333300000") == [["scheme"], ["bank-a"]]
    assert asked("3700000000000000") == []


def test_kinds_are_those_of_the_switch(tmp_path: Path) -> None:
    file = tmp_path / "routes.csv"
    rows = "".join(f"{kind:02d},,{kind.label},,,,bank-a\n" for kind in Kind)
    file.write_text("low,high,kinds,currencies,amount_min,amount_max,links\n" + rows)
    table = load_routes(file, LINKS)
    for kind in Kind:
        for other in Kind:
            assert (table.find_route(f"{kind:02d}", other) is not None) == (kind is other)


def test_problems_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "routes.csv"
    with pytest.raises(ConfigError) as caught:
        load_routes(file, LINKS)
    assert str(caught.value) == f"{file}: cannot be read: No such file or directory"
    file.write_text("low,high,kinds,currencies,amount_min,amount_max,links\n4,,,,,,bank-z\n")
    with pytest.raises(ConfigError) as caught:
        load_routes(file, LINKS)
    assert str(caught.value) == (
        f"{file}: line 2, column 8: links: unknown link 'bank-z'; configured are bank-a, bank-b, scheme"
    )


def test_every_cell_of_a_row_that_is_wrong_is_told(tmp_path: Path) -> None:
    file = tmp_path / "routes.csv"
    row = "4x,,barter,99,x,1,bank-z\n"
    file.write_text("low,high,kinds,currencies,amount_min,amount_max,links\n" + row + "5,,,,9,1,bank-a\n" + row)
    with pytest.raises(ConfigError) as caught:
        load_routes(file, LINKS)
    lines = [(one.key.partition(",")[0], one.reason.partition(":")[0]) for one in caught.value.problems]
    columns = ("kinds", "currencies", "amount_min", "links")
    for number in (2, 4):
        assert [column for line, column in lines if line == f"line {number}"][1:] == list(columns)
    assert [column for line, column in lines if line == "line 3"] == ["amount_max"]
