"""Files of the store of which some terminals' rows cannot be taken."""

import pytest

from switch.merchants.leaving_out import LEFT_OUT_MAX, leave_out
from switch.merchants.rows import Compiler, file_of
from switch.merchants.source import Files
from switch.store.audit import Head
from switch.tables.binding import BindingRule
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS

NAMES = ("merchants", "terminals")
MERCHANT = {"id": "M1", "name": 'Tea, "Old" House', "state": "active", "category": "5411"}


class Keys:
    """MAC and PIN keys of all terminals but some."""

    def __init__(self, lacking=()):
        self.lacking = lacking

    def get(self, name, /):
        """The clear key of a name."""
        kind, terminal, usage = (*name.split("/"), "")[:3]
        is_there = kind == "terminal" and usage in ("tak", "tpk") and terminal not in self.lacking
        return bytes(range(16)) if is_there else None


def terminal(number, **changes):
    row = {"id": f"{number:08d}", "merchant": "M1", "state": "active", "mac_algorithm": "x9.19", "pin_format": "iso-0"}
    return row | changes


def left_out(rows, lacking=(), merchants=(MERCHANT,)):
    compiler = Compiler(Keys(lacking), ["pos"], lambda *_: [], BindingRule("10000001"))
    data = file_of(merchants, BOUND_MERCHANT_COLUMNS), file_of(rows, BOUND_TERMINAL_COLUMNS)
    return leave_out(Files(Head(7, bytes(32)), *data), compiler, NAMES)


def test_rows_that_cannot_be_taken_are_left_out_and_kept_as_they_are():
    rows = [terminal(number) for number in range(1, 6)]
    rows[3]["listeners"] = "none such"
    found = left_out(rows, ["00000002"])
    assert [found.registry.terminal_index(row["id"]) is not None for row in rows] == [True, False, True, False, True]
    assert found.reasons.keys() == found.rows.terminals.keys() == {"00000002", "00000004"}
    assert "no key terminal/00000002/tak" in found.reasons["00000002"]
    assert "no key terminal/00000002/tpk" in found.reasons["00000002"]
    assert "none such" in found.reasons["00000004"]
    assert {name: text for name, text in found.rows.terminals["00000002"].items() if text} == rows[1]
    assert found.rows.merchants["M1"]["name"] == MERCHANT["name"]
    assert found.rows.head == Head(7, bytes(32))


@pytest.mark.parametrize("count", [LEFT_OUT_MAX, LEFT_OUT_MAX + 1])
def test_of_too_many_it_is_the_key_file_that_is_wrong(count):
    rows = [terminal(number) for number in range(1, count + 5)]
    found = left_out(rows, [row["id"] for row in rows[:count]])
    if count > LEFT_OUT_MAX:
        assert found is None
    else:
        assert found.registry.terminal_count == 4


def test_a_merchant_that_cannot_be_taken_is_not_left_out():
    assert left_out([terminal(1)], ["00000001"], [MERCHANT | {"kinds": "nonsense"}]) is None


def test_all_is_well():
    found = left_out([terminal(1)])
    assert (found.registry.terminal_count, found.reasons) == (1, {})
