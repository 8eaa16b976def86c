"""How many partitions there are, changed offline: a repeat is still a repeat, and a reversal finds its payment."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.cli.main import app
from switch.journal import changing
from switch.journal.changing import UNFINISHED_NAME
from switch.journal.disk import FileDisk
from switch.journal.numbers import read_numbers, write_numbers
from switch.journal.opening import open_partitions
from switch.journal.original_search import Finder
from switch.journal.partitions import Hold
from switch.journal.replay import Listing
from switch.machine.numbering import BLOCK_NUMBERS
from switch.machine.partitioning import partition_of
from switch.tables.risk import Risk
from switch.tables.rule_terms import BandTerms, RuleTerms
from switch.tables.time_windows import WindowTable
from tests.ext.numbers import spend_numbers
from tests.ext.world import reversal
from tests.switch.killing import killed_at_each_step
from tests.switch.partitioned import CUP_FIRST, CUP_SECOND, ISO, Partitioned, partition_count

TERMINALS = (CUP_FIRST, CUP_SECOND, ISO)


@pytest.fixture
def switch(tmp_path):
    return Partitioned(tmp_path)


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def change(switch, count, *options):
    """The command's answer; it must go well."""
    status, output = call("partitions", "change", switch.config, count, "--json", *options)
    assert status == 0, output
    return json.loads(output)["changed"]


def refusal(switch, count):
    status, output = call("partitions", "change", switch.config, count)
    assert status == 1
    return " ".join(output.split())


def records(switch, directory=None):
    """All records of each partition."""
    found = []
    for one in open_partitions(directory or switch.directory, switch.key):
        found.append([])
        one.reader.replay(Listing(found[-1].append))
    return found


def life(record):
    """What is the same of a record in every journal."""
    places = ("position", "intent", "original", "replaces", "reversal", "advice", "refers_to", "positions")
    return {name: value for name, value in record.items() if name not in places}


def numbers_of_files(switch, count):
    """Up to where numbers are reserved by the file of each partition."""
    names = ["journal.numbers" + (f".{number}" if number else "") for number in range(count)]
    return [read_numbers(switch.folder / name, 0) for name in names]


def drained(switch):
    """All is delivered and acknowledged."""
    for part in switch.parts:
        part.world.advance(1.0)
        for _ in range(3):
            for request in part.issuer.read():
                part.issuer.answer(request)
            part.settle()
    switch.end()


# --- what must hold ---------------------------------------------------------------------------------------------------


def test_a_repeat_is_a_repeat_whatever_becomes_of_the_partitions(switch):
    """1 -> 2 -> 4 -> 1, with payments of each terminal in each of them."""
    told = []
    for before, count in ((1, 1), (1, 2), (2, 4), (4, 1)):
        if count != before:
            assert change(switch, count)["before"] == before
        switch.begin()
        assert len(switch.parts) == count
        for request, answer in told:
            assert switch.send(request) == ([], [answer])
        told += [switch.pay(terminal, code) for terminal in TERMINALS for code in ("00", "51")]
        drained(switch)
    rrns = [answer["37"] for _, answer in told]
    assert len(set(rrns)) == len(rrns), "no reference number came twice"
    for index, (_, answer) in enumerate(told):
        status, output = call("trace", switch.config, answer["37"], "--json")
        (found,) = json.loads(output)["transactions"]
        assert (status, found["response_code"]) == (0, answer["39"]), index


def test_a_reversal_finds_its_payment_in_its_new_partition(switch):
    switch.begin()
    paid = {terminal: switch.pay(terminal) for terminal in TERMINALS}
    drained(switch)
    change(switch, 4)
    switch.begin()
    for terminal, (request, answer) in paid.items():
        part, line = switch.line_of(request)
        taken_back = reversal(part.world, request)
        line.send(taken_back)
        part.journal.commit()
        assert line.read_one()["39"] == "00"
        part.world.tick()
        owed = part.issuer.read_one()
        assert (owed["t"], owed["41"], owed["38"]) == ("0420", terminal, answer["38"]), "as the issuer approved it"
        part.issuer.answer(owed)
    drained(switch)
    assert [sum(record["type"] == "REVERSED" for record in part) for part in records(switch)] == [0, 1, 1, 1]


def test_all_records_are_taken_along_as_old_as_they_were(switch):
    switch.begin()
    for terminal in TERMINALS * 2:
        switch.pay(terminal)
    request = switch.request(ISO)
    switch.send(request)
    for part in switch.parts:
        part.world.advance(16)  # which ends it as a time-out, and reverses it
    drained(switch)
    (before,) = records(switch)
    done = change(switch, 4)
    assert (done["left"], done["claimed"], done["unplaced"]) == (0, 0, 0)
    after = records(switch)
    for partition, part in enumerate(after):
        assert [record["position"] for record in part] == list(range(1, len(part) + 1))
        for record in part:
            if "terminal" in record:
                assert partition_of(record["terminal"], 4) == partition
    assert sum(map(len, after)) == done["records"]
    kinds = ("INTENT", "OUTCOME", "REVERSAL", "ATTEMPT", "REVERSED")
    old = [life(record) for record in before if record["type"] in kinds]
    new = [life(record) for part in after for record in part if record["type"] in kinds]
    assert sorted(new, key=str) == sorted(old, key=str)
    told = [position for record in before if record["type"] == "DELIVERED" for position in record["positions"]]
    assert len(told) == sum(
        len(record["positions"]) for part in after for record in part if record["type"] == "DELIVERED"
    )
    # The window is what it was: every part finds its outcomes, and none is older or younger.
    switch.begin()
    assert sum(part.replayed.remembered for part in switch.parts) == 7
    switch.end()


def test_a_reversal_of_an_unknown_payment_goes_where_its_terminal_does(switch):
    switch.begin()
    never = switch.request(CUP_SECOND)
    part, line = switch.line_of(never)
    taken_back = reversal(part.world, never)
    line.send(taken_back)
    part.journal.commit()
    for wanted in part.world.engine.take_wanted():
        part.world.engine.settle(wanted, None)
    told = line.read_one()
    part.world.tick()
    part.issuer.answer(part.issuer.read_one())
    drained(switch)
    done = change(switch, 2)
    assert (done["left"], done["unplaced"]) == (0, 0)
    first, second = records(switch)
    assert [record["type"] for record in first] == []
    assert [record["original"] for record in second if record["type"] == "REVERSAL"] == [0]
    status, output = call("trace", switch.config, f"{CUP_SECOND}/{taken_back['11']}", "--json")
    (found,) = json.loads(output)["transactions"]
    assert (status, found["partition"], found["rrn"]) == (0, 1, told["37"])
    switch.begin()
    asked, (again,) = switch.send(taken_back)
    assert (asked, again["37"], again["39"]) == ([], told["37"], "00")
    drained(switch)


def refund(switch, request, told, terminal):
    """A refund, by another terminal or the same one, that names the payment as CUP does; it is approved."""
    names = request["60"][2:8] + request["11"] + "0115"
    asked = switch.request(terminal, t="0220", f3="200000", f37=told["37"], f60="25000001", f61=names)
    part, line = switch.line_of(asked)
    line.send(asked)
    part.journal.commit()
    finder = Finder(FileDisk(part.disk.path, exclusive=False), switch.key, days=30)
    for wanted in part.world.engine.take_wanted():
        part.world.engine.settle(wanted, finder.find(wanted, 8 * 3600))
    part.world.tick()
    part.issuer.answer(part.issuer.read_one())
    part.settle()
    assert line.read_one()["39"] == "00"
    return asked


def test_references_are_kept_within_a_partition_and_told_where_they_part(switch):
    """In one partition a refund of another terminal knows its payment; of two, that payment may be in the other one."""
    switch.begin()
    first, second = switch.pay(CUP_FIRST), switch.pay(CUP_FIRST)
    own = refund(switch, *first, CUP_FIRST)
    others = refund(switch, *second, CUP_SECOND)
    drained(switch)
    assert sum(bool(record.get("refers_to")) for part in records(switch) for record in part) == 2
    assert change(switch, 2)["claimed"] == 1
    first_part, second_part = records(switch)
    (kept,) = (record for record in first_part if record.get("refers_to"))
    assert (kept["stan"], kept["terminal"]) == (int(own["11"]), CUP_FIRST)
    (named,) = (record for record in first_part if record["position"] == kept["refers_to"])
    assert named["stan"] == int(first[0]["11"])
    (parted,) = (record for record in second_part if record.get("stan") == int(others["11"]))
    assert parted["refers_to"] == 0


def test_records_of_partitions_whose_clocks_differ_stay_as_old_as_they_were(tmp_path):
    """The own time of one partition's journal is a day ahead of the other's: none of its outcomes is a day younger."""
    switch = Partitioned(tmp_path, 2)
    switch.begin(ahead_s={1: 86_400})
    told = [switch.pay(terminal) for terminal in (CUP_FIRST, ISO, CUP_FIRST, ISO)]
    drained(switch)
    change(switch, 1)
    switch.begin()
    assert switch.parts[0].replayed.remembered == len(told)
    for request, answer in told:
        assert switch.send(request) == ([], [answer])
    (found,) = records(switch)
    stans = [record["stan"] for record in found if record["type"] == "INTENT"]
    assert stans == sorted(stans), "they stand in the order in which they came"
    drained(switch)


def test_only_so_many_days_are_taken_along(switch):
    switch.begin()
    request, answer = switch.pay(ISO)
    drained(switch)
    switch.begin()  # and with it a further file: the payment is not in the newest
    drained(switch)
    change(switch, 2, "--days", 0)
    switch.begin()
    assert switch.send(request) == ([], [answer]), "what may be repeated is taken along whatever is said"
    drained(switch)


def test_numbers_begin_behind_all_that_any_partition_has_reserved(switch):
    switch.begin()
    for terminal in TERMINALS:
        switch.pay(terminal)
    drained(switch)
    change(switch, 4)
    switch.begin()
    for part in switch.parts:
        part.world.engine.tick()
        part.journal.commit()
    far = switch.parts[3].world.engine.state.numbering
    reached = far.limit
    drained(switch)
    beyond = reached + 10 * BLOCK_NUMBERS
    write_numbers(switch.folder / "journal.numbers.2", 0, beyond)
    assert change(switch, 2)["reserved_to"] == beyond
    assert numbers_of_files(switch, 2) == [beyond, beyond]
    switch.begin()
    for number, part in enumerate(switch.parts):
        numbering = part.world.engine.state.numbering
        assert (numbering.learned_instance, numbering.instances) == (number, 2)
        assert numbering.next >= beyond
    drained(switch)


def test_the_days_of_reference_numbers_do_not_go_back(tmp_path):
    """One partition has used up all its numbers, and begins again on later days."""
    switch = Partitioned(tmp_path, 2)
    switch.begin()
    switch.pay(CUP_FIRST)
    switch.pay(ISO)
    numbering = switch.part_of(CUP_FIRST).world.engine.state.numbering
    today = numbering.day
    numbering.begin_behind(numbering.span - 1)
    for _ in "ab":  # it is asked for, and given
        switch.part_of(CUP_FIRST).settle()
    assert numbering.day == today + 1
    drained(switch)
    change(switch, 1)
    switch.begin()
    switch.pay(ISO)
    assert switch.parts[0].world.engine.state.numbering.day == today + 1
    drained(switch)


def test_each_switch_of_several_keeps_to_its_own_numbers(tmp_path):
    switch = Partitioned(tmp_path, 2, instance=1, instances=3)
    switch.begin()
    first = [switch.pay(terminal)[1]["37"][4] for terminal in TERMINALS]
    drained(switch)
    change(switch, 3)
    switch.begin()
    learned = [part.world.engine.state.numbering.learned_instance for part in switch.parts]
    assert learned == [3, 4, 5], "of the nine that three switches of three partitions have"
    second = [switch.pay(terminal)[1]["37"][4] for terminal in TERMINALS]
    drained(switch)
    assert (set(first), set(second)) == (set("23"), set("34"))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_nothing_is_changed_beside_a_daemon(switch):
    with Hold(switch.directory):
        assert "a daemon runs with it; drain it first (`authswitch drain`)" in refusal(switch, 2)
    assert partition_count(switch.directory) == 1


def test_nothing_is_changed_while_something_is_under_way_or_owed(switch):
    switch.begin()
    switch.send(switch.request(ISO))
    switch.end()
    said = refusal(switch, 2)
    assert "1 requests have no outcome (the first at 0:1): the next start ends them" in said
    switch.begin()  # which ends it, and owes its reversal
    switch.end()
    assert "1 reversals or advices are owed (the first at 0:2): start the daemon, wait until" in refusal(switch, 2)
    switch.begin()
    drained(switch)
    change(switch, 2)


def test_nothing_is_changed_while_a_late_approval_stands(switch):
    """The issuer approved what nobody waited for any more, and its reversal found no number yet."""
    switch.begin()
    (asked,), _ = switch.send(switch.request(ISO))
    (part,) = switch.parts
    part.world.advance(16)
    part.journal.commit()
    part.world.tick()
    part.issuer.answer(part.issuer.read_one(), "25")
    part.settle()
    spend_numbers(part.world)
    part.issuer.answer(asked)
    drained(switch)
    assert "1 reversals or advices are owed (the first at 0:1)" in refusal(switch, 2)


def test_nothing_is_changed_while_an_approval_may_be_untold(switch):
    switch.begin()
    request = switch.request(ISO)
    (asked,), _ = switch.send(request)
    part, _ = switch.line_of(request)
    part.issuer.answer(asked)
    part.journal.commit()  # durable, and not told to anybody
    part.disk.release()
    switch.parts = []
    said = refusal(switch, 2)
    assert "nobody knows whether 1 approvals were told (the first at 0:2): their terminals may ask again" in said


def test_what_cannot_be_is_refused(switch):
    for count in (0, 65):
        assert call("partitions", "change", switch.config, count)[0] == 2
    text = switch.config.read_text()
    switch.config.write_text(text.replace("instances = 1\n", "instances = 3\n"))
    assert "64 for each of 3 instances is too much" in refusal(switch, 64)


def test_the_same_number_changes_nothing(switch):
    status, output = call("partitions", "change", switch.config, 1)
    assert (status, output) == (0, "nothing to do: 1 partition already\n")
    assert change(switch, 1) is None


def test_an_older_directory_can_be_changed_at_once(switch):
    switch.begin()
    request, answer = switch.pay(ISO)
    drained(switch)
    for file in (switch.directory / "partition-0").iterdir():
        file.rename(switch.directory / file.name)
    (switch.directory / "partition-0").rmdir()
    (switch.directory / "partitions").unlink()
    assert change(switch, 2)["before"] == 1
    switch.begin()
    assert switch.send(request) == ([], [answer])
    drained(switch)


# --- a crash ----------------------------------------------------------------------------------------------------------


def test_a_crash_at_any_step_leaves_the_old_or_the_new_ones(switch, tmp_path):
    switch.begin()
    paid = [switch.pay(terminal) for terminal in TERMINALS]
    drained(switch)
    shutil.copytree(switch.directory, tmp_path / "before")
    whole = [[life(record) for record in part] for part in records(switch)]
    reserved_to = switch.reserved_to
    seen = set()

    def prepare():
        for path in tmp_path.glob("journal*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(tmp_path / "before", switch.directory)

    def look():
        count = partition_count(switch.directory)
        seen.add(count)
        if count == 1:
            assert [[life(record) for record in part] for part in records(switch)] == whole
        else:
            assert numbers_of_files(switch, count) == [reserved_to] * count, "before the journals take their place"
        # Whatever stands there can be used, and changed.
        assert call("journal", "verify", switch.config)[0] == 0
        change(switch, 2 if count == 1 else 1)
        change(switch, 2)
        assert not list(tmp_path.glob(f"journal*/{UNFINISHED_NAME}"))
        kept = [path for path in tmp_path.glob("journal.2*") if path.is_dir()]
        assert kept
        assert all(partition_count(path) in (1, 2) for path in kept), "what is kept is whole"
        switch.begin()
        for request, answer in paid:
            assert switch.send(request) == ([], [answer])
        drained(switch)

    assert killed_at_each_step(prepare, lambda: call("partitions", "change", switch.config, 2), look) > 15
    assert seen == {1, 2}


def test_all_is_durable_before_it_takes_its_place(switch, monkeypatch):
    switch.begin()
    for terminal in TERMINALS:
        switch.pay(terminal)
    drained(switch)
    durable, swapped = set(), []
    fsync, exchange = os.fsync, changing.exchange

    def note(descriptor):
        fsync(descriptor)
        durable.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def look(fresh, directory):
        fresh = Path(fresh)
        needed = {str(path) for path in (fresh, *fresh.rglob("*")) if path.name != UNFINISHED_NAME}
        assert needed <= {one.removesuffix(".next") for one in durable}
        swapped.append(fresh)
        exchange(str(fresh), directory)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(changing, "exchange", look)
    change(switch, 2)
    assert len(swapped) == 1


def test_a_full_disk_leaves_the_old_ones(switch, monkeypatch):
    switch.begin()
    switch.pay(ISO)
    drained(switch)

    def full(_folder):
        raise OSError(28, "No space left on device", "segment")

    monkeypatch.setattr(changing, "_make_durable", full)
    assert "No space left on device" in refusal(switch, 2)
    assert partition_count(switch.directory) == 1
    assert [path.name for path in switch.folder.glob("journal*")] == ["journal"]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_show_tells_what_each_partition_holds(switch):
    switch.begin()
    switch.pay(ISO)
    drained(switch)
    change(switch, 2)
    status, output = call("partitions", "show", switch.config, "--json")
    answer = json.loads(output)
    assert (status, answer["partitions"], answer["configured"]) == (0, 2, None)
    assert [one["partition"] for one in answer["journals"]] == [0, 1]
    assert [one["next_position"] for one in answer["journals"]] == [1, 4]
    _, output = call("partitions", "show", switch.config)
    assert "2 partitions" in output
    assert "1:4" in output


def test_the_old_ones_are_kept_and_read(switch):
    switch.begin()
    _, answer = switch.pay(ISO)
    drained(switch)
    (switch.config).write_text(
        switch.config.read_text().replace('mode = "files"\n', 'mode = "files"\npartitions = 1\n')
    )
    status, output = call("partitions", "change", switch.config, 2)
    assert status == 0
    assert "2 partitions, of 1 before; 3 records were taken along" in output
    assert "set journal.partitions to 2, or leave it out" in " ".join(output.split())
    (kept,) = (path for path in switch.folder.glob("journal.2*"))
    assert str(kept) in output.replace("\n", "")
    assert partition_count(kept) == 1
    assert call("trace", switch.config, answer["37"], "--directory", kept)[0] == 0


def test_a_case_goes_along_with_its_request(switch):
    rule = RuleTerms(name="all", value="amount", bands=(BandTerms(name="look", then="case", text="look at it"),))
    switch.begin()
    for part in switch.parts:
        part.world.engine.state.use_risk(Risk.build(None, WindowTable(64), rules=[rule]))
    rrns = [switch.pay(terminal, "00")[1]["37"] for terminal in TERMINALS]
    drained(switch)
    change(switch, 4)
    for found in records(switch):
        by_position = {record["position"]: record for record in found}
        ruled = [record for record in found if record["type"] == "RULED"]
        assert len(ruled) == sum(record["type"] == "INTENT" for record in found)
        assert all(by_position[record["request"]]["type"] == "INTENT" for record in ruled)
    for rrn in rrns:
        status, output = call("trace", switch.config, rrn)
        assert status == 0
        assert "raises a case: rule all@1/look: look at it" in " ".join(output.split())
