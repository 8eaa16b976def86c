"""A journal whose sensitive fields an earlier version overwrote: what it owes is sent, and nothing of it is kept on."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import pytest

from tests.ext.journal_world import JournalWorld, records_of
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import change, link, listener

WRITTEN = json.loads((Path(__file__).parents[1] / "vectors" / "journal_overwritten.json").read_text())
REQUESTS = WRITTEN["requests"]
"""``told`` was approved, ``owed`` timed out, ``unknown`` is a reversal whose payment nobody has seen, ``opened`` was at
the issuer when the process died: each with a track 2 of 37 digits."""

WORLD = {
    "listeners": [listener("iso", "iso87-binary", mac="none"), listener("cup", "cup")],
    "links": [link("bank-a", "iso87-binary", mac=False, timeout_ms=5000)],
    "routes": ["6,,,,,,bank-a:1"],
}


@pytest.fixture
def world():
    disk = MemoryDisk()
    for name, content in WRITTEN["files"].items():
        disk.files[name] = bytearray(zlib.decompress(base64.b64decode(content)))
    built = JournalWorld(disk, now_s=WRITTEN["now_s"] + 1, **WORLD)
    yield built
    built.settle()


def test_all_that_it_owes_is_sent(world):
    issuer = world.issuer()
    world.tick()
    sent = {one["4"]: one for one in issuer.read()}
    assert sent.keys() == {"000000002000", "000000003000", "000000004000"}
    for name, amount in (("owed", "000000002000"), ("unknown", "000000003000"), ("opened", "000000004000")):
        assert sent[amount]["t"] in ("0420", "0421")
        assert (sent[amount]["2"], sent[amount]["41"]) == (REQUESTS[name]["2"], REQUESTS[name]["41"])
        assert "35" not in sent[amount]
        issuer.answer(sent[amount])
    assert world.engine.owed == 0
    assert world.told("reversal_not_composable") == []


def test_a_payment_that_it_knows_is_told_again_and_can_be_reversed(world):
    terminal, issuer = world.terminal("iso"), world.issuer()
    world.tick()
    for one in issuer.read():
        issuer.answer(one)
    terminal.send(REQUESTS["told"], mac=False)
    again = terminal.read_one()
    assert (again["39"], again["38"]) == ("00", "A1B2C3")
    assert "48" not in again
    assert again["55"] == "910A11223344556677883030"
    data = REQUESTS["told"]
    named = f"0200{data['11']}{data['7']}" + "0" * 22
    terminal.send(change(data, t="0400", f35=None, f48=None, f11="000900", f90=named), mac=False)
    assert terminal.read_one()["39"] == "00"
    world.tick()
    taken_back = issuer.read_one()
    assert (taken_back["4"], taken_back["38"]) == (data["4"], "A1B2C3")
    issuer.answer(taken_back)
    assert world.engine.owed == 0


def test_what_is_written_anew_has_neither_blanks_nor_private_fields(world):
    records, _ = records_of(world.memory)
    (reversal,) = [one for one in records if one["type"] == "REVERSAL" and one["cause"] == "restart"]
    assert bytes(19) not in reversal["message"]
    assert len(reversal["message"]) < len(next(one for one in records if one["type"] == "INTENT")["message"]) - 19
