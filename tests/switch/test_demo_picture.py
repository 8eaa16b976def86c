"""The demo's screen in every state, on a small and on a large terminal: all panels are there and nothing overflows."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from switch.demo.added_latency import KEPT, AddedLatency
from switch.demo.daemon_figures import Figures, processor_time, read_figures
from switch.demo.injected_faults import Happening
from switch.demo.picture import picture, sparkline
from switch.demo.view import Moment, line
from switch.simulators.receipts import FleetCounters, merge_counters

SIZES = [(80, 24), (120, 40), (70, 20), (200, 60)]
PANELS = ("answers a second", "latency", "links and terminals", "outcomes: ", "what happens")
CODES = [
    ("00", "approved"),
    ("91", "issuer_unavailable"),
    ("A0", "mac_failed"),
    ("15", "no_such_issuer"),
    ("58", "kind_not_permitted_to_terminal"),
    *((f"{number:02d}", "do_not_honour") for number in range(60, 75)),
]
HAPPENINGS = (
    Happening(5.0, "the line to bank-a breaks"),
    Happening(7.0, "the line to bank-a is mended", "good"),
    Happening(12.0, "the switch is killed (SIGKILL), and started again"),
    Happening(12.9, "the switch serves again after 0.9 s: " + "14,570 records replayed, " * 6, "good"),
)
UP = {
    "links": [
        {"name": name, "state": "up", "in_flight": 12_345, "reversals_waiting": 999, "dialect": "iso87-binary"}
        for name in ("bank-a", "bank-b")
    ]
}


def counters(scale: int) -> FleetCounters:
    found = FleetCounters()
    for number, code in enumerate(CODES):
        found.by_code[code] = scale * (len(CODES) - number)
    found.answered = sum(found.by_code.values())
    found.missing = found.mismatched = scale
    for value in range(1, 200):
        found.latency_us.record_value(value * 997)
    return found


MOMENTS = {
    "nothing yet": Moment(0.2, 20, 0.0, FleetCounters(), {}),
    "no switch": Moment(12.1, 20, 0.0, counters(3), {"cup-plain": counters(1)}, {}, HAPPENINGS[:3], [300.0] * 40),
    "at work": Moment(
        15,
        20,
        1234.5,
        counters(1_000_000),
        {name: counters(300_000) for name in ("cup-plain", "cup-tls", "iso-mtls")},
        UP,
        HAPPENINGS * 3,
        [float(value % 700) for value in range(400)],
        [1000.0, 2000.0, 700_000.0],
        [300.0, 1000.4, 12_000_000.0],
        Figures(10, 0.01, 100, 0.01),
    ),
}


def drawn(moment: Moment, width: int, height: int, **options: object) -> list[str]:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, legacy_windows=False, **options
    )
    with console.capture() as capture:
        console.print(picture(moment, width, height), end="")
    return capture.get().split("\n")


def bare(row: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", row)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", MOMENTS)
def test_everything_is_there_and_fits(name: str, width: int, height: int) -> None:
    rows = [bare(row) for row in drawn(MOMENTS[name], width, height)]
    rows = rows[:-1] if not rows[-1] else rows
    assert len(rows) <= height
    assert max(map(cell_len, rows)) <= width
    text = "\n".join(rows)
    for panel in PANELS:
        assert panel in text
    assert "authswitch demo" in rows[0]
    for label in ("terminals see", "issuers take", "switch adds", "its journal"):
        assert label in text
    assert all(row.rstrip()[-1] in "╮╯│" for row in rows[1:] if row.strip()), "borders stand where they belong"


def test_a_small_screen_shows_whole_words() -> None:
    busy = MOMENTS["at work"]
    ordinary = replace(busy, counters=counters(100), fleets=dict.fromkeys(busy.fleets, counters(30)))
    text = "\n".join(bare(row) for row in drawn(ordinary, 80, 24))
    assert text.count("…") <= 1, "only the longest reason is cut"
    for words in (
        "1,234/s",
        "answered so far",
        "switch adds   1.0 ms",
        "p99 12.0 s",
        "2 writes of 1.0 ms",
        "bank-a ● up",
    ):
        assert words in text, text


def test_the_kill_is_seen() -> None:
    text = "\n".join(bare(row) for row in drawn(MOMENTS["no switch"], 80, 24))
    assert "the switch is not there" in text
    assert "12.0 s the switch is killed (SIGKILL), and started again" in text


def test_a_large_screen_uses_its_width_and_shows_more() -> None:
    rows = [bare(row) for row in drawn(MOMENTS["at work"], 120, 40)]
    assert cell_len(rows[1]) == 120
    text = "\n".join(rows)
    for words in ("iso87-binary", "100 µs of processor time", "and 9 more", "by switch, disk, network and this demo"):
        assert words in text, text


def test_no_colour_where_none_is_wanted() -> None:
    text = "\n".join(drawn(MOMENTS["at work"], 80, 24, no_color=True))
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38)[;m]", text)
    assert "switch adds" in bare(text)


def test_bars_follow_their_values() -> None:
    assert sparkline([0, 1, 2, 4], 1) == ["▁▂▄█"]
    assert sparkline([0, 4, 8], 2) == ["  █", "▁██"]
    assert sparkline([], 1) == [""]
    assert sparkline([0, 0], 1) == ["▁▁"]


def test_a_line_says_whose_time_it_is() -> None:
    text = line(MOMENTS["at work"])
    assert "(issuers p50 2.00 ms, switch adds p50 1.00 ms)" in text
    assert "bank-a=up/12345" in text


def test_times_of_both_ends_are_joined_by_number() -> None:
    added = AddedLatency()
    added.issuer_took("632804000001", 2_000)
    added.terminal_waited("632804000001", 2_350)
    added.terminal_waited("632804000001", 9_999)
    added.terminal_waited("632804000002", 5)
    assert list(added.last_us) == [350]
    for number in range(30_000):
        added.issuer_took(str(number), 1)
    added.terminal_waited("0", 100)
    assert list(added.last_us) == [350], "the oldest were forgotten"
    for number in range(20_000, 30_000):
        added.terminal_waited(str(number), 101)
    assert len(added.last_us) == KEPT


def test_figures_of_an_exposition() -> None:
    text = (
        "# HELP authswitch_journal_sync_seconds x\n"
        'authswitch_journal_sync_seconds_bucket{le="0.1"} 9\n'
        "authswitch_journal_sync_seconds_sum 0.5\nauthswitch_journal_sync_seconds_count 100\n"
        'authswitch_answers_total{listener="a"} 30\nauthswitch_answers_total{listener="b"} 10\n'
    )
    found = read_figures(text, 0.02)
    assert (found.write_us, found.work_us) == (5000.0, 500.0)
    both = found + Figures()
    assert both == found
    assert (Figures().write_us, Figures().work_us) == (None, None)


def test_processor_time_of_nobody_is_none() -> None:
    assert processor_time(None) == 0.0
    assert processor_time(2**30) == 0.0


def test_counters_of_no_fleet_draw_as_well() -> None:
    assert drawn(Moment(1, 0, 0.0, merge_counters(()), {}), 80, 24)
