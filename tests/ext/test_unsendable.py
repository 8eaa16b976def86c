"""What cannot be composed is told once, counted, listed with its field, kept, and sent when it can be."""

from __future__ import annotations

import pytest

from switch.saf.owed_entries import list_entries, note_overdue
from switch.tracing.owed import Opener
from switch.tracing.story import Story
from switch.tracing.verdict import verdict
from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.world import link, purchase

ROUTES = ["6,,,,,,bank-a:1"]


def links(spoken):
    return {"links": [link("bank-a", spoken, mac=False, timeout_ms=5000)], "routes": ROUTES}


@pytest.fixture
def changed():
    """A world whose link speaks another dialect than the one in which its reversal is kept."""
    before = JournalWorld(**links("iso87-binary"))
    terminal, issuer = before.terminal("iso"), before.issuer()
    terminal.send(purchase(before))
    issuer.read_one()
    return before.killed(**links("iso87-ascii"))


def entry(world):
    (listed,) = list_entries(world.engine.state)[1]
    return listed


def test_it_is_told_once_counted_and_listed_with_its_field(changed):
    assert entry(changed)["fault"] is None
    issuer = changed.issuer()
    changed.advance(120)
    assert issuer.read() == []
    told = changed.told("reversal_not_composable")
    assert [(one["link"], one["field"]) for one in told] == [("bank-a", "t")]
    assert (entry(changed)["state"], entry(changed)["fault"]) == ("not composable", "MTI")
    assert [unsendable for *_, unsendable in note_overdue(changed.engine.state)] == [1]
    issuer.close()
    assert entry(changed)["state"] == "not composable"


def test_it_is_sent_when_the_dialect_is_back(changed):
    changed.issuer()
    changed.advance(10)
    back = changed.killed(**links("iso87-binary"))
    issuer = back.issuer()
    back.tick()
    assert entry(back)["fault"] is None
    issuer.answer(issuer.read_one())
    assert back.engine.owed == 0
    assert [unsendable for *_, unsendable in note_overdue(back.engine.state)] == [0]
    back.settle()


def test_the_journal_alone_says_so_in_the_list_and_in_trace(changed):
    records, _ = records_of(changed.memory)
    for world, fault in ((changed, "MTI"), (changed.killed(**links("iso87-binary")), None)):
        opener = Opener(world.config)
        story = Story(records)
        (owed,) = story.reversals
        owed.fault = opener.fault(owed.written)
        assert owed.fault == fault
        judged = verdict(story, str, "68")
        assert judged.code == "reversal_under_way"
        assert ("cannot be sent: MTI cannot be written in the dialect of link bank-a" in judged.words) == bool(fault)
