"""A status as people read it: at 80 columns every heading is whole, and a time is one."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from switch.admin import status_tables
from switch.admin.status_tables import print_status

COLUMNS = 80
REFUSED = "its call was refused: it has other listeners, other links, 8 partitions instead of 4"
STATUS = {
    "name": "switch-a",
    "in_flight": 3,
    "mac_failures": [{"terminal": "10000001", "requests": 6}],
    "listeners": [{"name": "concentrator", "address": "127.0.0.1:5831", "connections": 1_000}],
    "links": [
        {
            "name": "bank-a",
            "state": "up in 3 of 4 workers, down in 1 of 4 workers",
            "held": "requests",
            "dialect": "iso87-ascii",
            "connections": 16,
            "in_flight": 1_000,
            "reversals_waiting": 99_000,
            "timeouts_in_a_row": 12,
        }
    ],
    "held_links": [
        {
            "link": "bank-a",
            "held": "requests",
            "since": 1_782_000_000.123,
            "who": "jo.tan",
            "why": "bank-a works at its host until six in the morning, and says nothing but 96 meanwhile",
        }
    ],
    "nodes": [
        {
            "here": here,
            "node": "b",
            "worker": worker,
            "connected": worker == 0 or (worker == 1 and here == 0),
            "since": 1_782_000_000.123 + here,
            "reason": None if worker == 0 or (worker == 1 and here == 0) else REFUSED,
        }
        for here in range(2)
        for worker in range(3)
    ],
    "workers": [
        {
            "worker": str(number),
            "pid": 1_234_567,
            "state": "waits to be forked again" if number else "runs",
            "since": 1_782_000_000.123,
            "restarts": 1_000,
            "partitions": list(range(number, 64, 4)),
            "in_flight": None if number else 1_000,
            "reversals_waiting": None if number else 99_000,
        }
        for number in range(4)
    ],
    "partitions": [{"number": 63, "in_flight": 1_000, "reversals_waiting": 99_000}],
}


@pytest.fixture
def printed(monkeypatch):
    """The lines of a status, on a terminal of 80 columns."""
    output = io.StringIO()
    monkeypatch.setattr(status_tables, "Console", lambda **rest: Console(file=output, width=COLUMNS, **rest))
    print_status(STATUS, as_json=False)
    return output.getvalue().splitlines()


def test_headings_and_short_values_are_whole(printed):
    assert max(map(len, printed)) <= COLUMNS
    headings = [line.split() for line in printed]
    assert ["name", "state", "held", "dialect", "connections", "in", "flight", "owed", "time-outs"] in headings
    assert ["link", "held", "since", "(UTC)", "who", "why"] in headings
    assert any("bank-a requests 2026-" in line for line in printed)
    assert ["node", "worker", "connected", "since", "(UTC)", "reason"] in headings
    assert ["worker", "pid", "state", "since", "(UTC)", "restarts", "partitions", "in", "flight", "owed"] in headings
    text = "\n".join(printed)
    for whole in ("127.0.0.1:5831", "1234567", "99000", "2026-06-21 00:00", "iso87-ascii"):
        assert whole in text


def test_workers_of_other_nodes_have_a_row_each(printed):
    rows = [line for line in printed if line.startswith("b ")]
    assert [row.split()[:3] for row in rows] == [["b", "0", "yes"], ["b", "1", "with"], ["b", "2", "no"]]
    assert "with 1 of 2" in rows[1]
    at = rows[2].index("its call")
    rest = printed[printed.index(rows[2]) :]
    told = " ".join(line[at:].strip() for line in rest[: rest.index(next(line for line in rest if "workers" in line))])
    assert told == REFUSED


def test_programs_are_given_all_as_it_is(capsys):
    print_status(STATUS, as_json=True)
    assert json.loads(capsys.readouterr().out) == STATUS
