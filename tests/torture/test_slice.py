"""A slice of ``make torture``: a real switch, killed and let down by its disk; and the proof that it can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from switch.machine.partitioning import partition_of
from switch.simulators.ledger import Entry, Identity, Ledger
from switch.simulators.receipts import Receipt

from .books import Comparison, compare_trace
from .course import FIRST_LIVES, LIVES, Settings, Torture

SLICE = Settings(
    kills=3, terminals=9, rate=60, lives=("failed_sync", "full_start", "start"), traces=3, partitions=3, workers=1
)


async def torture(settings: Settings, folder: Path) -> Torture:
    run = Torture(settings, folder, folder / "disk" / "journal")
    try:
        await run.run()
    finally:
        run.disk.close()
    return run


async def test_a_killed_switch_loses_no_transaction(tmp_path: Path) -> None:
    run = await torture(SLICE, tmp_path)
    assert run.differences == [], "\n".join(run.differences)
    assert run.kills.total() >= SLICE.kills - 1  # one may end by itself, as it was told to
    assert run.happened["journal failures: Input/output error"] >= 1  # a life that ends by itself is made up for
    assert run.happened["starts without room"] >= 1
    assert run.comparison is not None
    assert run.comparison.purchases > 0


async def test_killed_workers_lose_no_transaction(tmp_path: Path) -> None:
    run = await torture(replace(SLICE, kills=2, lives=("worker",), workers=2), tmp_path)
    assert run.differences == [], "\n".join(run.differences)
    assert run.happened["workers killed"] >= run.kills.total() > 0
    assert run.comparison is not None
    assert run.comparison.purchases > 0


async def test_a_disk_that_lies_is_found(tmp_path: Path) -> None:
    """What the switch believed to be durable is gone: its books cannot agree with those of the issuers."""
    run = await torture(replace(SLICE, kills=1, lives=("serve",), lying=True), tmp_path)
    assert run.bytes_lost > 0
    assert any("has no INTENT" in difference for difference in run.differences), run.differences


def test_every_kind_of_life_is_met() -> None:
    assert set(FIRST_LIVES) == set(LIVES)


# --- the comparison ---------------------------------------------------------------------------------------------------

INTENT = {
    "type": "INTENT",
    "partition": 0,
    "position": 1,
    "terminal": "T1",
    "kind": "purchase",
    "amount_minor": 100,
    "rrn": "1",
}
OUTCOME = {
    "type": "OUTCOME",
    "partition": 0,
    "position": 2,
    "intent": 1,
    "approved": True,
    "rrn": "1",
    "authorization_code": "A1",
}
REVERSAL = {"type": "REVERSAL", "partition": 0, "position": 3, "original": 1, "replaces": 0}
REVERSED = {"type": "REVERSED", "partition": 0, "position": 4, "reversal": 3, "original": 1}
DECLINE = {**OUTCOME, "approved": False}


def receipt(state: str = "approved", rrn: str = "1") -> Receipt:
    return Receipt("purchase", "T1", "M1", "000001", "000001", "", "", 100, "156", rrn, "A1", "00", state)


def ledger(*states: str) -> Ledger:
    book = Ledger("bank")
    for number, state in enumerate(states):
        entry = Entry("purchase", f"{number:06d}", "", "1", "T1", "M1", "", 100, "156", "", "", "A1", state)
        book.add(Identity("2", entry.stan, "", "1", "T1"), entry)
    return book


@pytest.mark.parametrize(
    ("receipts", "states", "records"),
    [
        ([receipt()], ["approved"], [INTENT, OUTCOME]),
        ([receipt("declined")], ["declined"], [INTENT, DECLINE]),
        ([receipt("declined")], [], [INTENT, DECLINE]),
        ([receipt("reversed")], ["reversed"], [INTENT, OUTCOME, REVERSAL, REVERSED]),
        ([receipt("taken_back", "")], ["reversed"], [INTENT, DECLINE, REVERSAL, REVERSED]),
        ([receipt("declined", "")], [], []),
    ],
)
def test_books_that_agree(receipts, states, records) -> None:
    assert Comparison(receipts, [ledger(*states)], records).differences == []


@pytest.mark.parametrize(
    ("receipts", "states", "records", "words"),
    [
        ([receipt()], ["approved"], [], "has no INTENT"),
        ([receipt()], ["approved"], [INTENT], "has 0 outcomes"),
        ([receipt()], ["approved"], [INTENT, OUTCOME, {**OUTCOME, "position": 9}], "has 2 outcomes"),
        ([receipt()], ["reversed"], [INTENT, OUTCOME], "stands; its issuer has it as reversed"),
        ([receipt("declined")], ["approved"], [INTENT, DECLINE], "does not stand; its issuer has it as approved"),
        ([receipt("reversed")], ["reversed"], [INTENT, OUTCOME, REVERSAL], "was never acknowledged"),
        ([receipt()], ["approved", "approved"], [INTENT, OUTCOME], "was booked 2 times"),
        (
            [receipt()],
            ["approved"],
            [INTENT, OUTCOME, {**INTENT, "position": 7}, {**DECLINE, "intent": 7, "position": 8}],
            "was forwarded 2 times",
        ),
        ([], ["approved"], [INTENT, OUTCOME], "has no receipt"),
        ([receipt("unknown", "")], ["reversed"], [INTENT, DECLINE], "has come to no end"),
        ([receipt(rrn="2")], ["approved"], [INTENT, OUTCOME], "has RRN and code"),
    ],
)
def test_differences_are_told(receipts, states, records, words) -> None:
    found = Comparison(receipts, [ledger(*states)], records).differences
    assert any(words in difference for difference in found), found


def test_a_part_is_of_what_was_asked_for() -> None:
    book = ledger("approved")
    book.entries[0].amount_minor, book.entries[0].part_of_minor = 40, 100
    slip = replace(receipt(), amount_minor=40, part_of_minor=100)
    assert Comparison([slip], [book], [INTENT, OUTCOME]).differences == []


def test_positions_count_within_a_partition() -> None:
    owner = partition_of("T1", 2)
    mine = [{**record, "partition": owner} for record in (INTENT, OUTCOME)]
    others = [{**record, "partition": 1 - owner} for record in (REVERSAL, REVERSED)]
    assert Comparison([receipt()], [ledger("approved")], mine + others, 2).differences == []
    astray = [{**record, "partition": 1 - owner} for record in (INTENT, OUTCOME)]
    found = Comparison([receipt()], [ledger("approved")], astray, 2).differences
    assert found == [f"journal: INTENT {1 - owner}:1 is of another partition's terminal T1"]
    twice = Comparison([receipt()], [ledger("approved")], [*mine, {**INTENT, "partition": 1 - owner}], 2).differences
    assert f"journal: two partitions have given RRN 1, the last at {1 - owner}:1" in twice


@pytest.mark.parametrize(
    ("state", "codes", "words"),
    [
        ("approved", ["approved_and_delivered"], None),
        ("approved", ["approved_perhaps_delivered"], None),
        ("voided", ["voided"], None),
        ("completed", ["completed"], None),
        ("voided", ["approved_and_delivered"], "its terminal has it as voided"),
        ("taken_back", ["reversed"], None),
        ("approved", ["declined"], "its terminal has it as approved"),
        ("declined", ["approved_and_delivered"], "its terminal has it as declined"),
        ("approved", [], "is found 0 times"),
        ("declined", [], None),
        ("approved", ["approved_and_delivered"] * 2, "is found 2 times"),
    ],
)
def test_what_trace_says_is_compared(state, codes, words) -> None:
    facts = {"terminal": "T1", "kind": "purchase", "amount_minor": 100}
    found = compare_trace(receipt(state), [{**facts, "verdict": {"code": code, "words": code}} for code in codes])
    assert (words is None) == (found == [])
    assert words is None or words in found[0]
