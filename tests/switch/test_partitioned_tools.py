"""What reads the journal reads that of all partitions, and says of which one everything is."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from switch.cli.main import app
from switch.journal.partitions import partition_folder
from switch.journal.positions import Position, parse_position
from tests.ext.world import CARD
from tests.switch.partitioned import CUP_FIRST, CUP_SECOND, ISO, Partitioned


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def rows(output):
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Two partitions, with payments of three terminals in turn; then one that stays open."""
    switch = Partitioned(tmp_path_factory.mktemp("two"), 2)
    switch.begin()
    switch.told = [switch.pay(terminal) for terminal in (CUP_FIRST, CUP_SECOND, ISO, CUP_FIRST)]
    switch.send(switch.request(ISO))
    switch.end()
    return switch


# --- positions --------------------------------------------------------------------------------------------------------


def test_positions_are_written_with_their_partition():
    assert str(Position(0, 1234)) == "0:1234"
    assert parse_position("1:7", 2) == Position(1, 7)
    assert parse_position("1234", 1) == parse_position("0:1234", 1) == Position(0, 1234)


@pytest.mark.parametrize(
    ("text", "partitions", "reason"),
    [
        ("7", 2, 'needed to know of which of 2 partitions: 0:7 to 1:7, got "7"'),
        ("2:7", 2, 'there are partitions 0 to 1, got "2:7"'),
        ("1:7", 1, 'there is only partition 0, got "1:7"'),
        ("0:0", 1, 'needed PARTITION:POSITION, such as 0:1234, positions from 1 on, got "0:0"'),
        ("0:", 1, "needed PARTITION:POSITION"),
        (":7", 1, "needed PARTITION:POSITION"),
        ("-1:7", 1, "needed PARTITION:POSITION"),
        ("0:7:7", 1, "needed PARTITION:POSITION"),
        ("0:7 ", 1, "needed PARTITION:POSITION"),
    ],
)
def test_what_is_no_position_is_said(text, partitions, reason):
    with pytest.raises(ValueError, match=r"needed|there (is|are)") as caught:
        parse_position(text, partitions)
    assert reason in str(caught.value)


# --- verify and dump --------------------------------------------------------------------------------------------------


def test_verify_counts_all_partitions_and_each(lived):
    status, output = call("journal", "verify", lived.config, "--json")
    answer = json.loads(output)
    assert (status, answer["whole"], answer["intent_records"], answer["open_requests"]) == (0, True, 5, 1)
    assert [(one["partition"], one["intent_records"], one["open_requests"]) for one in answer["partitions"]] == [
        (0, 2, 0),
        (1, 3, 1),
    ]
    assert answer["records"] == sum(one["records"] for one in answer["partitions"])
    ends = [f"{one['partition']}:{one['next_position']}" for one in answer["partitions"]]
    status, output = call("journal", "verify", lived.config)
    assert (status, output.splitlines()[-1]) == (0, f"  next position: {', '.join(ends)}")


def test_damage_says_in_which_partition_it_is(lived, tmp_path):
    shutil.copytree(lived.directory, tmp_path / "copy")
    (segment,) = partition_folder(tmp_path / "copy", 1).glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[600] ^= 1
    segment.write_bytes(content)
    status, output = call("journal", "verify", lived.config, "--directory", tmp_path / "copy")
    assert status == 1
    assert "partition 1: 00000000000000000001.journal: byte" in output
    status, output = call("journal", "verify", lived.config, "--directory", tmp_path / "copy", "--json")
    assert (status, json.loads(output)["partition"]) == (1, 1)
    # What is whole can be read by itself.
    whole = partition_folder(tmp_path / "copy", 0)
    assert call("journal", "verify", lived.config, "--directory", whole)[0] == 0


def test_dump_shows_all_by_time(lived):
    status, output = call("journal", "dump", lived.config, "--json")
    found = rows(output)
    assert status == 0
    assert {row["partition"] for row in found} == {0, 1}
    assert [row["time"] for row in found] == sorted(row["time"] for row in found)
    for partition in (0, 1):
        positions = [row["position"] for row in found if row["partition"] == partition]
        assert positions == list(range(1, len(positions) + 1))
    assert [row["terminal"] for row in found if row["type"] == "INTENT"] == [CUP_FIRST, CUP_SECOND, ISO, CUP_FIRST, ISO]
    assert CARD not in output


def test_dump_names_places_with_their_partition(lived):
    _, output = call("journal", "dump", lived.config)
    lines = [line.split() for line in output.splitlines()]
    assert {line[0].partition(":")[0] for line in lines} == {"0", "1"}
    for line in lines:
        if line[2] == "OUTCOME":
            (intent,) = [word for word in line if word.startswith("intent=")]
            assert intent.partition("=")[2].partition(":")[0] == line[0].partition(":")[0]


def test_dump_of_a_terminal_and_of_a_range(lived):
    _, output = call("journal", "dump", lived.config, "--json", "--terminal", CUP_FIRST)
    assert {(row["partition"], row["terminal"]) for row in rows(output)} == {(0, CUP_FIRST)}
    _, output = call("journal", "dump", lived.config, "--json", "--from", "1:2", "--to", "1:3")
    assert [(row["partition"], row["position"]) for row in rows(output)] == [(1, 2), (1, 3)]
    for arguments, reason in (
        (["--from", "2"], "of which of 2 partitions"),
        (["--from", "0:1", "--to", "1:3"], "are of two partitions"),
        (["--to", "2:1"], "there are partitions 0 to 1"),
    ):
        status, output = call("journal", "dump", lived.config, *arguments)
        assert (status, reason in " ".join(output.split())) == (2, True), output


# --- trace and reversals ----------------------------------------------------------------------------------------------


def test_trace_finds_a_terminal_in_its_partition_and_a_card_in_all(lived):
    for (request, answer), partition in zip(lived.told, (0, 1, 1, 0), strict=True):
        for key in (answer["37"], f"{request['41']}/{request['11']}"):
            status, output = call("trace", lived.config, key, "--json")
            (found,) = json.loads(output)["transactions"]
            assert (status, found["partition"], found["rrn"]) == (0, partition, answer["37"])
            assert {step["partition"] for step in found["steps"]} == {partition}
    status, output = call("trace", lived.config, "*0014", "--json")
    found = json.loads(output)["transactions"]
    assert [one["partition"] for one in found] == [0, 1, 1, 0, 1]
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)


def test_a_terminal_is_looked_for_in_its_partition_alone(lived, tmp_path):
    shutil.copytree(lived.directory, tmp_path / "copy")
    for segment in partition_folder(tmp_path / "copy", 1).glob("*.journal"):
        content = bytearray(segment.read_bytes())
        content[600] ^= 1
        segment.write_bytes(content)
    request, answer = lived.told[0]
    where = ("--directory", tmp_path / "copy")
    assert call("trace", lived.config, f"{request['41']}/{request['11']}", *where)[0] == 0
    status, output = call("trace", lived.config, answer["37"], *where)
    assert (status, "partition 1: " in output) == (1, True)


def test_trace_shows_places_with_their_partition(lived):
    _, answer = lived.told[1]
    _, output = call("trace", lived.config, answer["37"])
    assert " 1:1 " in output
    assert " 1:2 " in output


def test_reversals_are_listed_of_all_partitions(tmp_path):
    switch = Partitioned(tmp_path, 2)
    switch.begin()
    for terminal in (ISO, CUP_FIRST):
        switch.send(switch.request(terminal))
    switch.end()
    switch.begin()  # which reverses both
    switch.end()
    status, output = call("reversals", "list", switch.config, "--directory", switch.directory, "--json")
    owed = json.loads(output)["owed"]
    assert status == 0
    assert sorted((entry["partition"], entry["terminal"]) for entry in owed) == [(0, CUP_FIRST), (1, ISO)]
    assert [entry["age_seconds"] for entry in owed] == sorted((entry["age_seconds"] for entry in owed), reverse=True)


def test_a_partition_that_has_not_begun_is_none_yet(lived, tmp_path):
    shutil.copytree(lived.directory, tmp_path / "copy")
    for segment in partition_folder(tmp_path / "copy", 1).glob("*"):
        segment.unlink()
    status, output = call("journal", "verify", lived.config, "--directory", tmp_path / "copy", "--json")
    assert (status, [one["partition"] for one in json.loads(output)["partitions"]]) == (0, [0])


def test_one_partition_is_shown_in_the_same_form(tmp_path):
    switch = Partitioned(tmp_path)
    switch.begin()
    _, answer = switch.pay(ISO)
    switch.end()
    _, output = call("journal", "dump", switch.config)
    assert [line.split()[0] for line in output.splitlines()] == ["0:1", "0:2", "0:3"]
    _, output = call("journal", "dump", switch.config, "--from", "2", "--to", "0:2", "--json")
    assert [(row["partition"], row["position"], row["type"]) for row in rows(output)] == [(0, 2, "OUTCOME")]
    assert " 0:1 " in call("trace", switch.config, answer["37"])[1]
