"""What is stored can be read and composed again, whatever the lengths of what is blanked out of it."""

from __future__ import annotations

import pytest

from tests.ext.world import CARD, World, change, link, listener, purchase

FRAME = (
    "02003038040020C08000000000000000001999000077221500112602137"
    "6225880000000017=30121010000000000000"
    "10000001898000000000001156"
)
"""A purchase with a track 2 of 37 digits, in ASCII and without a MAC."""

SPOKEN = ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary", "cup"]


def one_link(spoken: str, **changes):
    return World(
        listeners=[listener("iso", "iso87-ascii", mac="none", **changes)],
        links=[link("bank-a", spoken, mac=False, timeout_ms=5000)],
        routes=["6,,,,,,bank-a:1"],
    )


@pytest.mark.parametrize("spoken", SPOKEN)
def test_the_reversal_of_a_purchase_with_an_odd_track_2_leaves(spoken):
    world = one_link(spoken)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.feed(terminal.frame(FRAME.encode()))
    asked = issuer.read_one()
    assert len(asked["35"].rstrip("F")) == 37
    world.advance(5.5)
    assert world.told("reversal_not_composable") == []
    taken_back = issuer.read_one()
    assert taken_back["t"][1:] == "420"
    assert taken_back["4"] == "000000001999"
    assert taken_back["2"] == "6225880000000017"
    assert "35" not in taken_back
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    world.settle()


@pytest.mark.parametrize("size", range(20, 38))
@pytest.mark.parametrize("spoken", ["iso87-binary", "iso93-binary", "cup"])
def test_a_track_2_of_any_length_is_reversed(spoken, size):
    world = one_link(spoken)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(change(purchase(world), f35=f"{CARD}=30121010000000000000000"[:size], f22="022"), mac=False)
    issuer.read_one()
    world.advance(5.5)
    taken_back = issuer.read_one()
    issuer.answer(taken_back)
    assert world.engine.owed == 0
    world.settle()


# --- answers that are repeated ---------------------------------------------------------------------------------------


def answered(world, **changes):
    """A purchase, its answer as the terminal was told and as it is told again."""
    terminal, issuer = world.terminal("iso"), world.issuer()
    request = purchase(world)
    terminal.send(request)
    issuer.answer(issuer.read_one(), **changes)
    first = terminal.read_one()
    again = terminal.ask(request)
    assert terminal.is_sealed(again)
    return first, again


def test_private_fields_of_an_answer_are_told_once_and_not_kept(world):
    first, again = answered(world, f48="CVV2 123", f62="X" * 99)
    assert (first["48"], first["62"]) == ("CVV2 123", "X" * 99)
    assert again == {key: value for key, value in first.items() if key not in ("p", "48", "62", "64")} | {
        "p": again["p"],
        "64": again["64"],
    }
    assert all(
        b"CVV2" not in value for _, one in world.journal.records for value in one.values() if isinstance(value, bytes)
    )


@pytest.mark.parametrize(
    ("chip_data", "kept"),
    [
        ("910A112233445566778830308A023030", True),
        ("9F36020123", True),
        ("57134111111111111111D2512101000001234567FF", False),
        ("910A112233445566778830305A084111111111111111", False),
        ("910A112233445566778830307203860101", False),
        ("91", False),
        ("910A1122", False),
        ("9F", False),
        ("9181", False),
    ],
)
def test_a_repeat_says_again_what_the_issuer_says_to_the_chip(world, chip_data, kept):
    first, again = answered(world, f55=chip_data)
    assert first["55"] == chip_data
    assert again.get("55") == (chip_data if kept else None)


def test_a_cup_answer_repeats_the_terminals_own_fields(world):
    """Field 48 comes from the request: it is in the answer, and in nothing that is kept."""
    terminal, issuer = world.terminal("cup"), world.issuer()
    request = purchase(world, "cup", f48="1234567890", f61="000001000002")
    terminal.send(request)
    issuer.answer(issuer.read_one())
    first = terminal.read_one()
    assert (first["48"], first["60"], first["61"]) == (request["48"], request["60"], request["61"])
    again = terminal.ask(request)
    assert "48" not in again
    assert (again["60"], again["61"]) == (request["60"], request["61"])


@pytest.mark.parametrize("name", ["iso", "cup"])
def test_a_verified_field_is_compared_behind_what_is_not_kept(make_world, name):
    world = make_world(
        links=[link("bank-a", "iso87-binary", match={"verify": [4, 41, 49]})], routes=["6,,,,,,bank-a:1"]
    )
    terminal, issuer = world.terminal(name), world.issuer()
    for track in (f"{CARD}=3012101000000000000", f"{CARD}=30121010000000000000"):
        terminal.send(purchase(world, name, f35=track.replace("=", "D" if name == "cup" else "="), f22="022"))
        asked = issuer.read_one()
        issuer.answer(asked, f49="840")
        assert terminal.read() == []
        issuer.answer(asked)
        assert terminal.read_one()["39"] == "00"
