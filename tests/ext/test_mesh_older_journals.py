"""A worker that hears of a newer journal of its partition decides nothing more; others hear how far each is."""

from __future__ import annotations

import pytest

from switch.mesh.record_values import decode_record, encode_record
from tests.ext.mesh_world import THERE, Pair, asked_by
from tests.ext.world import link

EPOCH, LIFE, BEGAN = 7, 70, 90
PARTITION = 2
"""That of THERE: the second worker owns it."""

TELL_AGAIN_SECONDS = 0.05


@pytest.fixture
def pair():
    one = Pair(links=[link("bank-a", "iso87-ascii", timeout_ms=5_000)], routes=["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"])
    for number, journal in enumerate([*one.first.journals, *one.second.journals]):
        journal.live({EPOCH: (LIFE + number, BEGAN)})
    return one


def hear_of(worker, epoch=EPOCH, life=LIFE + PARTITION, position=BEGAN):
    """A worker is told what the other one has heard of the journal of THERE, or how far that is."""
    said = encode_record("journal", partition=PARTITION, epoch=epoch, life=life, position=position)
    assert worker.engine.hear(worker.peer, said) == len(said)
    assert worker.peer.fault is None


def newest(pair):
    return pair.first.engine.mesh.heard.newest(PARTITION)


def pay(pair):
    """A payment of THERE, at the first worker; what it is told."""
    terminal, issuer = pair.first.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.first, THERE))
    issuer.answer(issuer.read_one())
    pair.second.sync()
    return terminal.read_one()


def said_by(worker):
    """The records that wait for the other one."""
    left, found = worker.peer.take_output(), []
    while left:
        kind, values, size = decode_record(left)
        found.append((kind, values))
        left = left[size:]
    return found


# --- who tells --------------------------------------------------------------------------------------------------------


def test_how_far_a_journal_is_goes_with_the_answer(pair):
    hear_of(pair.second, epoch=0, life=0, position=0)
    assert pay(pair)["39"] == "00"
    assert newest(pair) == (EPOCH, LIFE + PARTITION, pair.second.journals[0].durable)
    assert pair.second.journals[0].durable > 0
    pair.settle()


def test_nothing_is_told_before_the_other_one_has_said_what_it_heard(pair):
    assert pay(pair)["39"] == "00"
    assert newest(pair) == (0, 0, 0)
    pair.settle()


def test_who_is_told_nothing_else_is_told_now_and_then(pair):
    hear_of(pair.second)
    pair.second.tick()
    assert [kind for kind, _ in said_by(pair.second)] == ["journal"]
    terminal, issuer = pair.second.terminal(), pair.second.issuer()
    pair.carries = False
    terminal.send(asked_by(pair.second, THERE))
    issuer.answer(issuer.read_one())
    pair.second.sync()
    terminal.read_one()
    said_by(pair.second)
    pair.second.journals[0].sync()
    pair.second.tick()
    assert said_by(pair.second) == [], "too soon"
    pair.second.advance(TELL_AGAIN_SECONDS, TELL_AGAIN_SECONDS)
    durable = pair.second.journals[0].durable
    assert [values["position"] for _, values in said_by(pair.second)] == [durable]


def test_only_what_is_newer_is_noted(pair):
    hear_of(pair.first, position=100)
    hear_of(pair.first, position=99)
    hear_of(pair.first, life=1, position=200)
    hear_of(pair.first, epoch=EPOCH - 1, position=300)
    assert newest(pair) == (EPOCH, LIFE + PARTITION, 100)
    hear_of(pair.first, epoch=EPOCH + 1, life=1, position=100)
    assert newest(pair) == (EPOCH + 1, 1, 100)


def test_who_speaks_of_a_journal_of_a_third_is_not_believed(pair):
    said = encode_record("journal", partition=3, epoch=1, life=1, position=1)
    pair.first.engine.hear(pair.first.peer, said)
    assert pair.first.peer.fault == "it speaks of a journal that is neither its own nor here"


# --- who is told ------------------------------------------------------------------------------------------------------


NEWER = [{"epoch": EPOCH + 1}, {"life": 1}, {"epoch": EPOCH - 1, "position": BEGAN + 1}, {"epoch": 1 << 63}]
"""The last is a lie, or the epoch of a journal that was begun very often: nothing tells."""


@pytest.mark.parametrize("heard", NEWER)
def test_who_hears_of_a_newer_journal_decides_nothing(pair, heard):
    assert pay(pair)["39"] == "00"
    hear_of(pair.second, **heard)
    assert pair.second.journals[0].outdated.startswith("worker the other: ")
    issuer = pair.second.issuer()
    for worker in (pair.first, pair.second):
        terminal = worker.terminal()
        terminal.send(asked_by(worker, THERE))
        pair.carry()
        pair.advance(20)
        assert terminal.read() == []
    assert issuer.read() == []
    assert pair.first.journals[0].outdated is None


def test_what_it_owes_is_not_sent_and_what_is_answered_not_told(pair):
    terminal, issuer = pair.second.terminal(), pair.second.issuer()
    terminal.send(asked_by(pair.second, THERE))
    asked = issuer.read_one()
    terminal.send(asked_by(pair.second, THERE, f11="000777"))
    issuer.read_one()
    hear_of(pair.second, epoch=EPOCH + 1)
    issuer.answer(asked)
    pair.second.sync()
    pair.advance(60)
    assert (terminal.read(), [one["t"] for one in issuer.read() if one["t"] != "0800"]) == ([], [])


def test_a_successor_goes_on(pair):
    hear_of(pair.second, epoch=EPOCH - 1, position=BEGAN)
    hear_of(pair.second, position=BEGAN)
    assert pay(pair)["39"] == "00"
    pair.settle()
