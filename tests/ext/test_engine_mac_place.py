"""A MAC covers what stands before it, so nothing may stand after it."""

from __future__ import annotations

import iso8583
import pytest

from switch.crypto.mac import compute_mac
from tests.ext.world import ISO_TAK, ZAK, World, issuer_answer, purchase, seal


def sealed_in_64(document, spoken, key):
    """The MAC in field 64, over all before it, though later fields follow."""
    raw, parts = iso8583.encode({**document, "64": "0" * 16}, spoken.layout)
    before = sum(len(parts[name]["data"]) + len(parts[name]["len"]) for name in parts if stands_before_64(name))
    mac = compute_mac("x9.19", key, bytes(raw[:before]))[:8].hex().upper()
    return bytes(raw[:before]) + mac.encode() + bytes(raw[before + 16 :])


def stands_before_64(name):
    return not name.isdigit() or int(name) < 64


@pytest.fixture
def world():
    built = World()
    yield built
    built.settle()


def test_request_with_fields_behind_its_mac(world):
    terminal, issuer = world.terminal("iso"), world.issuer("bank-a")
    document = purchase(world, "iso", f102="ACCOUNT1")
    terminal.feed(terminal.frame(sealed_in_64(document, terminal.dialect, ISO_TAK)))
    assert terminal.read_one()["39"] == "63"
    assert issuer.read() == []
    terminal.feed(terminal.frame(seal(document, terminal.dialect, "x9.19", ISO_TAK)))
    issuer.answer(issuer.read_one())
    assert terminal.read_one()["39"] == "00"


def test_answer_with_fields_behind_its_mac_counts_as_none(world):
    terminal, issuer = world.terminal("iso"), world.issuer("bank-a")
    terminal.send(purchase(world, "iso"))
    answer = issuer_answer(issuer.read_one(), f102="ACCOUNT1")
    issuer.feed(issuer.frame(sealed_in_64(answer, issuer.dialect, ZAK)))
    assert all(told["39"] != "00" for told in terminal.read())
    assert world.count("link_mac_failures_total", link="bank-a") == 1
