"""Notices of what became of an issuer's script in a chip: they reach the issuer, with their chip data."""

from __future__ import annotations

from pathlib import Path

import pytest

import switch.dialect
from switch.tables.risk import Risk
from switch.tables.time_windows import WindowTable
from tests.ext.world import CARD, MERCHANT, issuer_answer, link, purchase

CHIP = "9F26081122334455667788DF3105000000000095050000000000"


def notice(world, **changes):
    """As a CUP terminal sends it, for a payment of before."""
    return {
        "t": "0620",
        "2": CARD,
        "3": "000000",
        "4": "000000001000",
        "11": world.stan(),
        "22": "051",
        "23": "001",
        "25": "00",
        "37": "632800000123",
        "41": "10000001",
        "42": MERCHANT,
        "49": "156",
        "55": CHIP,
        "60": "00000001951",
        "61": "0000010000010115",
        **changes,
    }


@pytest.mark.parametrize("spoken", ["iso87-ascii", "cup"])
def test_it_reaches_the_issuer(make_world, spoken):
    world = make_world(links=[link("bank-a", spoken)], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal("cup"), world.issuer()
    told = notice(world)
    terminal.send(told)
    asked = issuer.read_one()
    assert (asked["t"], asked["55"]) == ("0620", CHIP)
    assert issuer.is_sealed(asked)
    issuer.send(issuer_answer(asked))
    answer = terminal.read_one()
    assert (answer["t"], answer["39"]) == ("0630", "00")
    assert terminal.is_sealed(answer)
    terminal.send(told)
    assert terminal.read_one()["39"] == "00"
    assert not issuer.read(), "a repeat is told what the first was"
    assert CHIP not in repr(world.notes)


def test_one_that_is_not_answered_is_no_payment_to_be_reversed(make_world):
    world = make_world(links=[link("bank-a", "iso87-ascii", timeout_ms=1_000)], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal("cup"), world.issuer()
    terminal.send(notice(world))
    issuer.read_one()
    world.advance(2)
    assert terminal.read_one()["39"] == "98"
    assert world.engine.owed == 0
    terminal.send(notice(world))
    issuer.send(issuer_answer(issuer.read_one()))
    assert terminal.read_one()["39"] == "00"


def test_one_that_no_issuer_wants_is_answered_here(make_world, tmp_path):
    own = Path(switch.dialect.__file__).with_name("iso87-ascii.toml").read_text()
    path = tmp_path / "without.toml"
    path.write_text("\n".join(line for line in own.splitlines() if not line.startswith("script_notice")))
    text = path.read_text().replace(', "script_notice"', "")
    path.write_text(text)
    world = make_world(links=[link("bank-a", str(path))], routes=["6,,,,,,bank-a:1"])
    terminal, issuer = world.terminal("cup"), world.issuer()
    told = notice(world)
    for _ in range(2):
        answer = terminal.ask(told)
        assert (answer["t"], answer["39"]) == ("0630", "00")
        assert terminal.is_sealed(answer)
    assert not issuer.read()
    assert world.engine.owed == 0


def test_one_without_its_mac_is_refused(world):
    assert world.terminal("cup").ask(notice(world), mac=False)["39"] == "A0"


def test_no_rule_of_risk_control_refuses_it(make_world):
    """The issuer wants to know it whatever its card may do by now."""
    risk = Risk.build(
        None, WindowTable(16), countries=b"low,high,country\n622500,622599,408\n", blocked_countries=(408,)
    )
    world = make_world(risk=risk)
    terminal, issuer = world.terminal("cup"), world.issuer()
    assert terminal.ask(purchase(world, "cup"))["39"] != "00"
    terminal.send(notice(world))
    assert issuer.read_one()["t"] == "0620"
