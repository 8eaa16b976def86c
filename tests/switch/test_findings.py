"""What ``journal verify`` counts as open."""

from __future__ import annotations

from switch.journal.disk import ScriptedDisk
from switch.journal.findings import Findings
from switch.journal.replay import JournalReader
from tests.ext.journal_world import KEY
from tests.ext.seeking_world import approve, bought, taking_back, world_of


def test_a_reversal_whose_original_was_found_is_not_open_when_that_is_settled():
    world = world_of("iso87-ascii", "iso87-ascii")
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    approve(world, terminal, bank, request)
    terminal = world.later(700)
    terminal.ask(taking_back(world, request))
    world.tick()
    bank.answer(bank.read_one())
    world.sync()
    findings = Findings()
    findings.read(JournalReader(ScriptedDisk(world.memory), KEY))
    assert world.engine.owed == 0
    assert findings.records["CANCELLED"] == 1
    assert findings.open_reversals == 0
