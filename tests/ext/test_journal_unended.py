"""Requests whose end cannot be written down: no start may forget that they were asked."""

from __future__ import annotations

import pytest

from switch.journal.carry_forward import keep_up
from tests.ext.journal_world import WINDOW_SECONDS, JournalWorld
from tests.ext.numbers import NO_CEILING, spend_numbers
from tests.ext.test_journal_files import fill
from tests.ext.world import Document, IssuerLine, TerminalLine, purchase

SEGMENT_BYTES = 1_300_000
CARRY_RECORDS = 2_000
LIMITS = {"duplicate_window_seconds": 1, "duplicate_window_count_max": 100_000}


def begun() -> tuple[JournalWorld, TerminalLine, IssuerLine, Document]:
    """A world with small segments, and a purchase that an issuer has been asked."""
    world = JournalWorld(limits=LIMITS, begins=False)
    world.begin(SEGMENT_BYTES)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    return world, terminal, issuer, issuer.read_one()


def run_on(world: JournalWorld) -> None:
    """So long that the window is over, and that segments follow one another."""
    for _ in range(12):
        world.advance(WINDOW_SECONDS / 10, step=60)
        fill(world, 1_000)
        keep_up(world.engine.state, world.journal, carry_records=CARRY_RECORDS)
        world.sync()
    names = [name for name in world.memory.files if name.endswith(".journal")]
    assert len(names) > 2


@pytest.mark.parametrize("answers", ["never", "with a part"])
def test_what_could_not_be_reversed_is_reversed_by_the_next_start(answers):
    world, terminal, issuer, question = begun()
    spend_numbers(world)
    if answers != "never":
        issuer.answer(question, "10", f4="000000000001")
    world.advance(20)
    issuer.close()
    world.engine.state.numbering.ceiling = NO_CEILING
    world.advance(1)
    world.sync()
    assert [answer["39"] for answer in terminal.read() if answer["t"] == "0210"] == []
    assert world.count("link_unended_requests_total") == 1
    (told,) = world.told("request_unended")
    assert told["link"] == "bank-a"
    run_on(world)
    after = world.killed(later_s=50_000)
    assert (after.replayed.ended, after.replayed.reversed) == (1, 1)
    sent = after.issuer().read_one()
    assert (sent["t"], sent["90"][4:10]) == ("0420", question["11"])
    settled = after.killed(later_s=10)
    assert (settled.replayed.ended, settled.replayed.resumed) == (0, 1)


def test_what_was_ended_holds_nothing_back():
    world, terminal, issuer, question = begun()
    issuer.answer(question)
    assert terminal.read_one()["39"] == "00"
    run_on(world)
    assert world.count("link_unended_requests_total") == 0
    assert world.killed(later_s=50_000).replayed.records < 9_000
