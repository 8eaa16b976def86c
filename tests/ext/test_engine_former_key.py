"""Answers under a link's MAC key that another one has replaced."""

from __future__ import annotations

import pytest

from tests.ext.world import ZAK, World, purchase

NEW = bytes(range(0x20, 0x30))
GRACE_S = 10.0


@pytest.fixture
def changed():
    """A request under way, asked under the former key; then the link has another one."""
    world = World()
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    asked = issuer.read_one()
    link = world.engine.state.links[0]
    link.set_mac_key("x9.19", NEW, 1)
    return world, terminal, issuer, asked, link


def keep_former(world, link, key=ZAK):
    link.set_former_mac_key("x9.19", key, 1, world.engine.state.calendar.now_ns + int(GRACE_S * 1e9))


def counted(world):
    names = ("link_former_key_answers_total", "link_mac_failures_total")
    return [world.count(name, link="bank-a") for name in names]


def test_an_answer_under_the_former_key_is_taken_and_counted(changed):
    world, terminal, issuer, asked, link = changed
    keep_former(world, link)
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
    assert counted(world) == [1, 0]


def test_without_the_former_key_it_ends_nothing(changed):
    world, terminal, issuer, asked, _ = changed
    issuer.answer(asked)
    assert terminal.read() == []
    assert counted(world) == [0, 1]


def test_another_key_than_both_ends_nothing(changed):
    world, terminal, issuer, asked, link = changed
    keep_former(world, link, bytes(range(0x40, 0x50)))
    issuer.answer(asked)
    assert terminal.read() == []
    assert counted(world) == [0, 1]


def test_its_time_ends(changed):
    world, terminal, issuer, asked, link = changed
    link.set_former_mac_key("x9.19", ZAK, 1, world.engine.state.calendar.now_ns)
    issuer.answer(asked)
    assert terminal.read() == []
    assert counted(world) == [0, 1]


def test_a_former_key_is_forgotten(changed):
    world, terminal, issuer, asked, link = changed
    keep_former(world, link)
    keep_former(world, link, None)
    issuer.answer(asked)
    assert terminal.read() == []


def test_an_answer_without_a_mac_is_not_taken_for_one_under_the_former_key(changed):
    world, terminal, issuer, asked, link = changed
    keep_former(world, link)
    issuer.answer(asked, mac=False)
    assert terminal.read() == []
    assert counted(world) == [0, 1]


def test_a_former_key_must_suit_the_algorithm(changed):
    world, *_, link = changed
    with pytest.raises(ValueError, match=r"x9\.19"):
        keep_former(world, link, bytes(5))
