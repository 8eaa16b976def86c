"""A node's directory has the journals of its own partitions: laid out so, read so, and left so."""

import json

import pytest

from switch.config.mesh_sections import Node
from switch.journal import partitions
from switch.journal.partitions import Hold, Layout, PartitionsError, lay_out, places, read_layout, write_layout
from tests.switch.killing import killed_at_each_step
from tests.switch.partitioned import CUP_FIRST, CUP_SECOND, ISO, Partitioned
from tests.switch.test_partitioned_tools import call, rows

A, B = Node(0, 2), Node(1, 2)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(partitions, "PATIENCE_SECONDS", 0.05)


# --- the layout -------------------------------------------------------------------------------------------------------


def test_a_node_has_the_folders_of_its_partitions_alone(tmp_path):
    for name, node, here in (("a", A, [0, 2, 4]), ("b", B, [1, 3])):
        directory = tmp_path / name
        with Hold(directory, 5, node=node) as hold:
            assert (hold.partitions, list(hold.here)) == (5, here)
        numbers = " ".join(map(str, here))
        said = f"authswitch partitions 2\npartitions 5\nhere {numbers}\n"
        assert (directory / "partitions").read_text() == said
        assert sorted(path.name for path in directory.glob("partition-*")) == [f"partition-{one}" for one in here]
        assert [place.partition for place in places(directory)] == here
        with Hold(directory, 5, node=node):
            pass


def test_a_nodes_directory_is_made_again_after_a_crash_at_each_step(tmp_path):
    directory = tmp_path / "journal"

    def prepare():
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def look():
        with Hold(directory, 4, node=B) as hold:
            assert (hold.partitions, list(hold.here)) == (4, [1, 3])

    assert killed_at_each_step(prepare, lambda: Hold(directory, 4, node=B), look) >= 4


@pytest.mark.parametrize(
    ("written", "node", "reason"),
    [
        (
            Layout(4, [1, 3]),
            A,
            "has the journals of partitions 1, 3 of 4, and this node is to have partitions 0, 2 of 4",
        ),
        (
            Layout(4, range(4)),
            A,
            "has the journals of all of 4 partitions, and this node is to have partitions 0, 2 of 4",
        ),
        (Layout(4, [1, 3]), Node(), "partitions 1, 3 of 4, and this node is to have all of 4 partitions"),
        (Layout(4, [1, 3]), Node(1, 3), "partitions 1, 3 of 4, and this node is to have partition 1 of 4"),
    ],
)
def test_a_directory_of_other_partitions_is_refused_with_what_to_do(tmp_path, written, node, reason):
    write_layout(tmp_path, written)
    with pytest.raises(PartitionsError) as caught:
        Hold(tmp_path, 4, node=node)
    assert reason in str(caught.value)
    assert "Put [[node]] and mesh.node back as they were" in str(caught.value)


def test_another_number_of_partitions_is_told_first(tmp_path):
    write_layout(tmp_path, Layout(4, [0, 2]))
    with pytest.raises(PartitionsError, match=r"are of partitions 0, 2 of 4, and journal.partitions is 6: of several"):
        Hold(tmp_path, 6, node=A)


@pytest.mark.parametrize(
    "content",
    [
        b"authswitch partitions 1\npartitions 4\nhere 0 2\n",
        b"authswitch partitions 2\npartitions 4\n",
        b"authswitch partitions 2\npartitions 4\nhere \n",
        b"authswitch partitions 2\npartitions 4\nhere 0 4\n",
        b"authswitch partitions 2\npartitions 4\nhere 2 0\n",
        b"authswitch partitions 2\npartitions 4\nhere 0 0\n",
        b"authswitch partitions 2\npartitions 4\nhere 0 2",
        b"authswitch partitions 2\npartitions 4\nhere 0,2\n",
        b"authswitch partitions 2\npartitions 65\nhere 0 2\n",
        b"authswitch partitions 2\npartitions 0\nhere 0\n",
        b"authswitch partitions 3\npartitions 4\nhere 0 2\n",
    ],
)
def test_a_damaged_file_is_not_believed(tmp_path, content):
    (tmp_path / "partitions").write_bytes(content)
    for read in (read_layout, places, lambda directory: Hold(directory, 4, node=A)):
        with pytest.raises(PartitionsError, match="bring it back from a copy"):
            read(tmp_path)


def test_an_older_versions_journal_is_not_a_nodes(tmp_path):
    (tmp_path / f"{1:020d}.journal").write_bytes(b"of partition 0 of 1")
    with pytest.raises(PartitionsError, match="are of 1 partition"):
        Hold(tmp_path, 4, node=A)
    assert read_layout(tmp_path) == Layout(1, range(1))


# --- what reads it ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_b(tmp_path_factory):
    """Node b of two: what was partition 1 of 2, with payments of two terminals, and one that stays open."""
    switch = Partitioned(tmp_path_factory.mktemp("nodes"), 2)
    switch.begin()
    switch.told = [switch.pay(terminal) for terminal in (CUP_SECOND, ISO)]
    switch.pay(CUP_FIRST)
    switch.send(switch.request(ISO))
    switch.end()
    whole = switch.directory.rename(switch.folder / "whole")
    switch.directory.mkdir()
    lay_out(switch.directory, 2, B)
    for path in (whole / "partition-1").iterdir():
        path.rename(switch.directory / "partition-1" / path.name)
    return switch


def of_b(node_b, *command, more=()):
    return call(*command, node_b.config, *more)


def test_the_tools_read_a_nodes_directory(node_b):
    status, output = of_b(node_b, "journal", "verify", more=["--json"])
    found = json.loads(output)
    assert (status, [one["partition"] for one in found["partitions"]]) == (0, [1]), output
    assert (found["open_requests"], found["whole"]) == (1, True)
    status, output = of_b(node_b, "journal", "dump", more=["--json"])
    assert (status, {row["partition"] for row in rows(output)}) == (0, {1})
    status, output = of_b(node_b, "journal", "dump", more=["--json", "--from", "1:2", "--to", "1:3"])
    assert [(row["partition"], row["position"]) for row in rows(output)] == [(1, 2), (1, 3)]
    for request, answer in node_b.told:
        for key in (answer["37"], f"{request['41']}/{request['11']}"):
            status, output = of_b(node_b, "trace", more=[key, "--json"])
            (one,) = json.loads(output)["transactions"]
            assert (status, one["partition"], one["rrn"]) == (0, 1, answer["37"])
    status, output = of_b(node_b, "reversals", "list", more=["--json"])
    assert status == 0, output


def test_places_of_another_nodes_partitions_are_told_to_be_elsewhere(node_b):
    for option in ("--from", "--to"):
        status, output = of_b(node_b, "journal", "dump", more=[option, "0:1"])
        words = "0:1: there is no journal of partition 0 of 2 here: look on the node that has it"
        assert (status, words in " ".join(output.replace("│", "").split())) == (2, True), output


@pytest.mark.parametrize("key", [f"{CUP_FIRST}/000003", "632804000123"])
def test_what_another_node_may_have_is_not_said_to_be_nowhere(node_b, key):
    status, output = of_b(node_b, "trace", more=[key])
    assert status == 1
    assert "there is no journal of partition 0 of 2 here: look on the node that has it" in output
    assert "the journal is empty" not in output


def test_partitions_are_shown_and_not_changed(node_b):
    status, output = of_b(node_b, "partitions", "show", more=["--json"])
    assert status == 0, output
    found = json.loads(output)
    assert (found["partitions"], [one["partition"] for one in found["journals"]]) == (2, [1])
    status, output = of_b(node_b, "partitions", "change", more=["4"])
    assert status != 0
    assert "node" in output
    assert read_layout(node_b.directory) == Layout(2, [1])
