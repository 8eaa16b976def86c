"""`trace` on a terminal's own reversal of a payment that is not known: by each number that somebody may have of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from switch.cli.reversals import app as reversals_app
from switch.journal.disk import ScriptedDisk
from switch.journal.replay import JournalReader
from switch.saf.owed_entries import list_entries
from switch.tracing.finding import find
from switch.tracing.query import Query
from switch.tracing.verdict import verdict
from tests.ext.journal_world import KEY, records_of
from tests.ext.seeking_world import DIALECTS, bought, taking_back, world_of
from tests.ext.test_engine_advice import advice
from tests.ext.world import CARD, change, purchase, reversal
from tests.switch.test_tracing import Lived

WINDOW = timedelta(seconds=600)


def promised(spoken):
    """A terminal takes an unknown payment back while the link is down: the world, what was said, told and owed."""
    world = world_of(spoken, spoken)
    terminal, bank = world.terminal("pos"), world.issuer()
    bank.close()
    world.tick()
    request = bought(world)
    asked = taking_back(world, request)
    told = terminal.ask(asked)
    settle(world)
    (owed,) = [record for record in records_of(world.memory)[0] if record["type"] == "REVERSAL"]
    assert owed["rrn"] != told["37"]
    return world, request, asked, told, owed


def settle(world):
    world.journal.end_turn()
    world.advance(0.25)
    world.journal.end_turn()
    world.sync()


def found_by(world, **asked):
    """The one that a query finds."""
    (story,) = find(JournalReader(ScriptedDisk(world.memory), KEY), Query(**asked), WINDOW).stories
    return story, verdict(story, str, None)


@pytest.mark.parametrize("spoken", DIALECTS)
@pytest.mark.parametrize("number", ["told", "owed", "terminal", "card"])
def test_any_number_tells_what_is_owed_to_whom(spoken, number):
    world, _, asked, told, owed = promised(spoken)
    query = {
        "told": {"rrn": told["37"]},
        "owed": {"rrn": owed["rrn"]},
        "terminal": {"terminal": asked["41"], "stan": int(asked["11"])},
        "card": {"pan_last": CARD[-4:]},
    }
    story, judged = found_by(world, **query[number])
    assert (story.first["terminal"], story.first["stan"]) == (asked["41"], int(asked["11"]))
    assert (story.rrn, story.rrn_owed, story.link) == (told["37"], owed["rrn"], "bank-a")
    assert story.amount == "10.00 (currency 156)"
    assert judged.code == "reversal_under_way"
    assert f"link bank-a is told of it under RRN {owed['rrn']}" in judged.words
    assert "not sent yet, since the link is down or busy" in judged.words
    assert "the charge may stand at the issuer until the reversal is acknowledged" in judged.money
    assert f"`authswitch reversals list --rrn {owed['rrn']}`" in judged.money


@pytest.mark.parametrize("spoken", [one for one in DIALECTS if one != "cup"])
def test_the_payments_stan_tells_of_its_reversal(spoken):
    world, request, asked, told, owed = promised(spoken)
    story, judged = found_by(world, terminal=request["41"], stan=int(request["11"]))
    assert story.overtakes
    assert "one that still comes is refused" in judged.words
    assert f"the reversal itself is RRN {told['37']}, STAN {asked['11']}" in judged.money
    assert f"link bank-a is told of it under RRN {owed['rrn']}" in judged.money


@pytest.mark.parametrize("number", ["told", "owed"])
def test_it_was_acknowledged(number):
    world, _, _, told, owed = promised("iso87-ascii")
    bank = world.issuer()
    world.tick()
    bank.answer(bank.read_one())
    settle(world)
    story, judged = found_by(world, rrn={"told": told["37"], "owed": owed["rrn"]}[number])
    assert judged.code == "reversed"
    assert "reversals list" not in judged.money
    assert [record["type"] for record in story.records] == ["OUTCOME", "REVERSAL", "DELIVERED", "ATTEMPT", "REVERSED"]


def test_two_are_told_apart():
    world, first, _, told, owed = promised("iso87-ascii")
    terminal = world.terminal("pos")
    other = terminal.ask(taking_back(world, bought(world)))
    settle(world)
    assert found_by(world, rrn=told["37"])[0].rrn_owed == owed["rrn"]
    assert found_by(world, rrn=other["37"])[0].rrn_owed not in (owed["rrn"], None)
    again = terminal.ask(taking_back(world, first))
    settle(world)
    assert found_by(world, rrn=again["37"])[0].rrn_owed not in (owed["rrn"], None), "a second reversal of the same"


class TestCommands:
    """What ``authswitch reversals`` says to the number that a terminal was told."""

    @pytest.fixture
    def lived(self, tmp_path):
        one = Lived(tmp_path)
        yield one
        one.end()

    def run(self, lived, *arguments):
        lived.journal.commit()
        where = ("--directory", str(lived.folder / "journal")) if arguments[0] == "list" else ()
        config = [str(lived.folder / "switch.toml")]
        result = CliRunner().invoke(reversals_app, [*arguments, *config, *where])
        return result.exit_code, result.output

    def owed(self, lived):
        lived.issuer.close()
        told = lived.terminal.ask(change(reversal(lived.world, purchase(lived.world)), f37=None))
        lived.settle()
        (entry,) = list_entries(lived.world.engine.state)[1]
        assert entry["rrn"] != told["37"]
        return told["37"], entry["rrn"]

    def test_list_by_the_number_that_the_terminal_was_told(self, lived):
        told, owed = self.owed(lived)
        status, output = self.run(lived, "list", "--rrn", told)
        assert status == 0
        assert f"RRN {told} is what the terminal was told; the reversal is owed under RRN {owed}" in output
        assert "1 owed" in output
        status, output = lived.run(told)
        assert f"rrn owed  {owed}" in output

    def test_small_letters_are_letters(self, lived):
        told, owed = self.owed(lived)
        assert lived.run(told.lower())[0] == 0
        status, output = self.run(lived, "list", "--rrn", owed.lower())
        assert (status, "1 owed" in output) == (0, True)

    def test_list_of_only_one_sort(self, lived):
        lived.terminal.send(purchase(lived.world))
        asked = lived.issuer.read_one()
        lived.issuer.close()
        lived.world.advance(16)
        lived.terminal.read_one()
        told = lived.terminal.ask(advice(lived.world))
        lived.settle()
        rrns = {"reversal": asked["37"], "advice": told["37"]}
        for what, other in (("reversal", "advice"), ("advice", "reversal")):
            status, output = self.run(lived, "list", "--what", what)
            assert (status, "1 owed" in output) == (0, True)
            assert rrns[what] in output
            assert rrns[other] not in output

    def test_list_by_a_number_of_nothing(self, lived):
        status, output = self.run(lived, "list", "--rrn", "632804000123")
        assert (status, "0 owed" in output) == (0, True)
        assert "nothing of RRN 632804000123 is owed; `authswitch trace " in output

    def test_list_of_a_link_that_there_is_not(self, lived):
        status, output = self.run(lived, "list", "--link", "bank_a")
        assert status == 1
        assert "there is no link bank_a; there are bank-a" in output
