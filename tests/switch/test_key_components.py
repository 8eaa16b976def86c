"""A key that different people enter, each a component: nobody two, nobody another's, and nothing of a wrong whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from switch.cli import keys as command
from switch.keys import Key, KeyFile
from switch.keys.components import COMPONENT_USAGE, written_person
from switch.keys.key import check_value, combine_components
from switch.keys.master import create_master_key
from switch.keys.names import check_name

ZMK = "link/bank-a/zmk"
PARTS = [bytes(range(start, start + 16)) for start in (1, 40, 99)]
VALUE = combine_components(PARTS)
KCV = check_value("3des-2key", VALUE)
PEOPLE = ("alice", "bob@bank.example", "carol")


class Ceremony:
    """A key file, and people who come one after the other."""

    def __init__(self, folder, monkeypatch):
        self.path = folder / "keys.sealed"
        self.master = folder / "master.key"
        self.monkeypatch = monkeypatch
        KeyFile.create(self.path, create_master_key(self.master)).close()

    def keys(self, *arguments, typed="", status=0):
        where = ["--file", str(self.path), "--master-key-file", str(self.master)]
        result = CliRunner().invoke(command.app, [*where, *map(str, arguments)], input=typed)
        assert result.exit_code == status, result.output
        return " ".join(result.output.replace("│", " ").split())

    def enter(self, by, number, part, *, status=0, options=(), kcv=KCV, count=3):
        self.monkeypatch.setattr(command, "system_user", lambda: by)
        arguments = ("component", ZMK, "--number", number, "--of", count, "--kcv", kcv, *options)
        said = self.keys(*arguments, typed=part.hex(), status=status)
        assert part.hex().upper() not in said.upper()
        return said

    def names(self):
        said = self.keys("list", "--json")
        return [one["name"] for one in __import__("json").loads(said)]


@pytest.fixture
def ceremony(tmp_path, monkeypatch):
    return Ceremony(tmp_path, monkeypatch)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_last_one_makes_the_key(ceremony, order):
    for place, number in enumerate(order):
        part = PARTS[number - 1]
        said = ceremony.enter(PEOPLE[place], number, part)
        assert f"component {number}: 16 bytes, kcv {check_value('3des-2key', part)}" in said
        if place < 2:
            wanting = ", ".join(map(str, sorted(order[place + 1 :])))
            assert f"component {number} is kept; wanting: {wanting}" in said
            assert ZMK not in ceremony.names()
    assert f"{ZMK}: zmk, 3des-2key, kcv {KCV}" in said
    assert ceremony.names() == [ZMK], "no component is left"


def test_nobody_enters_two(ceremony):
    ceremony.enter("alice", 1, PARTS[0])
    said = ceremony.enter("alice", 2, PARTS[1], status=1)
    assert "alice has entered component 1: another person enters the others" in said
    assert "component 1 was entered already, by alice" in ceremony.enter("bob", 1, PARTS[1], status=1)
    assert len(ceremony.names()) == 1


def test_a_wrong_whole_leaves_nothing(ceremony):
    ceremony.enter("alice", 1, PARTS[0])
    ceremony.enter("bob", 2, PARTS[1])
    said = ceremony.enter("carol", 3, bytes(range(7, 23)), status=1)
    assert f"not {KCV}: enter all of them again" in said
    assert ceremony.names() == []


def test_a_weak_whole_leaves_nothing(ceremony):
    weak = bytes([0xFE] * 16)
    kcv = check_value("3des-2key", weak)
    ceremony.enter("alice", 1, PARTS[0], kcv=kcv, count=2)
    other = combine_components([PARTS[0], weak])
    assert "a weak key" in ceremony.enter("bob", 2, other, kcv=kcv, count=2, status=1)
    assert ceremony.names() == []


PARITY = bytes([1] * 16)
CANCELLING = {
    "zeros": bytes(16),
    "parity alone": PARITY,
    "the same": PARTS[0],
    "the same but for parity": combine_components([PARTS[0], PARITY]),
    "the same half": PARTS[0][:8] + PARTS[2][8:],
    "what two others make": combine_components(PARTS[:2]),
}


@pytest.mark.parametrize("third", CANCELLING.values(), ids=CANCELLING)
def test_a_component_that_cancels_out_is_not_taken(ceremony, third):
    """Else fewer people than there are components would have the key."""
    ceremony.enter("alice", 1, PARTS[0], count=4)
    ceremony.enter("bob", 2, PARTS[1], count=4)
    assert "it cancels out" in ceremony.enter("carol", 3, third, count=4, status=1)
    assert len(ceremony.names()) == 2
    assert "wanting: 4" in ceremony.enter("carol", 3, PARTS[2], count=4)


def test_all_mean_the_same_whole(ceremony):
    ceremony.enter("alice", 1, PARTS[0])
    said = ceremony.enter("bob", 2, PARTS[1], kcv="ABCD", status=1)
    assert f"was begun with 3 components, of 3des-2key, and the check value {KCV}" in said
    assert "was begun with 3 components" in ceremony.enter("bob", 2, PARTS[1], count=2, status=1)
    said = ceremony.enter("bob", 2, bytes(24), options=("--algorithm", "3des-3key"), status=1)
    assert "was begun with 3 components, of 3des-2key" in said


def test_a_key_that_is_there_is_replaced_only_when_that_is_said(ceremony):
    ceremony.keys("generate", ZMK)
    assert "exists already" in ceremony.enter("alice", 1, PARTS[0], status=1)
    for number, by in enumerate(PEOPLE, 1):
        said = ceremony.enter(by, number, PARTS[number - 1], options=("--replace",))
    assert f"kcv {KCV}" in said


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"number": 4}, "--number is above 3"), ({"kcv": "xy12"}, "even number of hex"), ({"kcv": "08D"}, "even number")],
)
def test_what_is_asked_wrongly(ceremony, changed, words):
    arguments = {"by": "alice", "number": 1, "part": PARTS[0], "kcv": KCV} | changed
    assert words in ceremony.enter(**arguments, status=2)


def test_components_come_in_and_go_out_by_no_other_command(ceremony):
    ceremony.enter("alice", 1, PARTS[0])
    (name,) = ceremony.names()
    ceremony.keys("generate", "link/x/zmk")
    assert "a component goes to nobody" in ceremony.keys("export", name, "--under", "link/x/zmk", status=2)
    assert "by `keys component` alone" in ceremony.keys("generate", f"any/{COMPONENT_USAGE}", status=2)
    ceremony.keys("remove", name)
    ceremony.enter("alice", 2, PARTS[1])


def test_components_of_another_key_with_a_longer_name_are_not_taken(ceremony):
    with KeyFile.open(ceremony.path, bytes.fromhex(ceremony.master.read_text())) as file:
        name = f"component/1/3/{KCV}/alice/other/{ZMK}/{COMPONENT_USAGE}"
        file.put(Key(name, COMPONENT_USAGE, "3des-2key", PARTS[0]))
        file.save()
    assert "wanting: 2, 3" in ceremony.enter("alice", 1, PARTS[0])


@given(st.text(min_size=1, max_size=20))
@settings(deadline=None)
def test_anybodys_name_can_stand_in_a_keys_name(person):
    check_name(f"component/1/{written_person(person)[:90]}/cmp")
    assert "/" not in written_person(person)
