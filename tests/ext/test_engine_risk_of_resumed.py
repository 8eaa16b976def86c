"""Risk control of a request that waited for its original: it is judged as it came, whatever came in between."""

import pytest

from switch.dialect.kinds import Kind
from switch.dialect.model import ENTRY_MODES
from switch.tables.risk import Risk
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

from .seeking_world import approve, bought, world_of
from .test_originals_referred import referring

TYPED, CHIP = "012", "051"
MANUAL = (1 << ENTRY_MODES.index("manual")) | (1 << ENTRY_MODES.index("manual_pin"))


def no_typed_refund():
    rule = RuleTerms(name="no-typed-refund", kinds=1 << Kind.REFUND, entries=MANUAL, count_max=0)
    return Risk.build(None, WindowTable(64), rules=[rule])


@pytest.mark.parametrize("between", [TYPED, CHIP])
@pytest.mark.parametrize(("mode", "code"), [(TYPED, "65"), (CHIP, "00")])
def test_it_is_judged_by_how_its_own_card_was_read(mode, code, between):
    world = world_of("iso87-ascii", "iso87-ascii", risk=no_typed_refund())
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world, f22=CHIP)
    _, told = approve(world, terminal, bank, request)
    world.is_sought = False
    terminal.send(referring(world, "refund", request, told, f22=mode))
    world.tick()
    other = world.terminal("pos")
    other.send(bought(world, f22=between))
    world.tick()
    for asked in bank.read():
        bank.answer(asked)
    world.is_sought = True
    for _ in range(2):
        world.tick()
    for asked in bank.read():
        bank.answer(asked)
    world.tick()
    assert [answer["39"] for answer in terminal.read()] == [code]
