"""How a journal's directory is laid out, and how an older one is taken over."""

from __future__ import annotations

import fcntl
import os
import shutil

import pytest

from switch.config.mesh_sections import ALONE, Node
from switch.journal import partitions
from switch.journal.disk import exchange
from switch.journal.partitions import (
    Hold,
    Layout,
    PartitionsError,
    held_alone,
    lay_out,
    partition_folder,
    places,
    read_layout,
    unfit,
    write_layout,
)
from tests.switch.killing import killed_at_each_step
from tests.switch.partitioned import partition_count

OLD = {
    f"{1:020d}.journal": b"first",
    f"{1:020d}.index": b"its index",
    f"{900:020d}.journal": b"second",
    "next.segment": b"prepared",
    "ages.json": b"{}",
}
BESIDE = {"instance.json": b"who runs", "notes.txt": b"somebody's own"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(partitions, "PATIENCE_SECONDS", 0.05)


@pytest.fixture
def old(tmp_path):
    """The directory of an older version."""
    return written(tmp_path / "journal", OLD | BESIDE)


def written(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- a new one --------------------------------------------------------------------------------------------------------


def test_a_new_directory_has_one_partition_or_as_many_as_are_wanted(tmp_path):
    for wanted, count in ((None, 1), (1, 1), (4, 4)):
        directory = tmp_path / f"journal-{wanted}"
        with Hold(directory, wanted) as hold:
            assert hold.partitions == count
        assert (directory / "partitions").read_bytes() == b"authswitch partitions 1\npartitions %d\n" % count
        assert [(place.partition, place.folder.name) for place in places(directory)] == [
            (number, f"partition-{number}") for number in range(count)
        ]
        assert all(place.folder.stat().st_mode & 0o777 == 0o700 for place in places(directory))
        with Hold(directory) as again:
            assert again.partitions == count


def test_a_new_directory_is_made_again_after_a_crash_at_each_step(tmp_path):
    directory = tmp_path / "journal"

    def look():
        with Hold(directory, 3) as hold:
            assert hold.partitions == partition_count(directory) == 3
        assert sorted(path.name for path in directory.iterdir()) == [
            "partition-0",
            "partition-1",
            "partition-2",
            "partitions",
        ]

    killed = killed_at_each_step(lambda: shutil.rmtree(directory, ignore_errors=True), lambda: Hold(directory, 3), look)
    assert killed >= 6  # folders, the file, and its name


def test_the_folders_are_durable_before_the_file_that_tells_of_them(tmp_path, monkeypatch):
    steps = []

    def noted(work, what):
        def do(path, *rest):
            steps.append((what, path))
            work(path, *rest)

        return do

    monkeypatch.setattr(partitions, "sync_folder", noted(partitions.sync_folder, "sync"))
    monkeypatch.setattr(partitions, "put_durably", noted(partitions.put_durably, "put"))
    lay_out(tmp_path, 2)
    assert steps == [("sync", tmp_path), ("put", tmp_path / "partitions")]


# --- an older version's -----------------------------------------------------------------------------------------------


def assert_taken_over(directory):
    assert partition_count(directory) == 1
    assert files_of(partition_folder(directory, 0)) == OLD
    assert files_of(directory) == BESIDE | {"partitions": b"authswitch partitions 1\npartitions 1\n"}


def test_an_older_directory_is_taken_over(old):
    with Hold(old) as hold:
        assert hold.partitions == 1
    assert_taken_over(old)
    with Hold(old, 1):
        assert_taken_over(old)


def test_an_older_directory_is_taken_over_after_a_crash_at_each_step(old):
    def prepare():
        shutil.rmtree(old)
        written(old, OLD | BESIDE)

    def look():
        everything = [
            name for folder in (old, partition_folder(old, 0)) if folder.is_dir() for name in files_of(folder)
        ]
        assert sorted(name for name in everything if name in OLD) == sorted(OLD), "each file stands in one place"
        with Hold(old):
            assert_taken_over(old)

    assert killed_at_each_step(prepare, lambda: Hold(old), look) >= len(OLD) + 3


def test_an_older_directory_is_of_one_partition_whatever_is_wanted(old):
    with pytest.raises(PartitionsError, match=r"are of 1 partition, and journal.partitions is 4: set it to 1"):
        Hold(old, 4)
    assert_taken_over(old)


def test_nothing_is_taken_over_from_a_daemon_that_runs(old):
    descriptor = os.open(old, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # as older versions hold it
    with pytest.raises(PartitionsError, match="another daemon writes its journal there"):
        Hold(old)
    os.close(descriptor)
    assert files_of(old) == OLD | BESIDE


def test_no_file_is_taken_over_onto_another(old):
    written(partition_folder(old, 0), {f"{900:020d}.journal": b"another"})
    with pytest.raises(PartitionsError, match=r"900\.journal stands there and in partition-0: two journals are mixed"):
        Hold(old)
    assert files_of(partition_folder(old, 0))[f"{900:020d}.journal"] == b"another"


def test_what_an_older_version_began_beside_the_partitions_is_not_passed_over(old):
    with Hold(old):
        pass
    (old / f"{1:020d}.journal").write_bytes(b"begun anew by an older version")
    with pytest.raises(PartitionsError, match="an older version has begun a journal of its own there"):
        Hold(old)


# --- another number, and what is no layout ----------------------------------------------------------------------------


def test_another_number_than_configured_is_refused_with_what_to_do(tmp_path):
    with Hold(tmp_path / "journal", 2):
        pass
    with pytest.raises(PartitionsError) as caught:
        Hold(tmp_path / "journal", 4)
    assert "its journals are of 2 partitions, and journal.partitions is 4: set it to 2" in str(caught.value)
    assert "`authswitch partitions change CONFIG 4`" in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "node"),
    [(Layout(4, [0, 2]), Node(0, 2)), (Layout(4, [0, 2]), ALONE), (Layout(4, range(4)), Node(1, 2))],
    ids=["of a node", "no node any more", "of a machine alone"],
)
def test_the_number_of_partitions_of_several_nodes_cannot_be_changed(layout, node):
    reason = unfit(layout, 6, node)
    assert "Set it to 4 on all of them, or drain all and begin with new directories" in reason
    assert "partitions change" not in reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"authswitch partitions 1\npartitions 0\n",
        b"authswitch partitions 1\npartitions 65\n",
        b"authswitch partitions 1\npartitions 100\n",
        b"authswitch partitions 1\npartitions 02\n",
        b"authswitch partitions 1\npartitions 2",
        b"authswitch partitions 1\npartitions 2\n\n",
        b"authswitch partitions 2\npartitions 2\n",
        b"partitions 2\n",
    ],
)
def test_the_file_is_read_strictly(tmp_path, content):
    (tmp_path / "partitions").write_bytes(content)
    for read in (read_layout, places, Hold):
        with pytest.raises(PartitionsError, match="does not say of how many partitions the journals are"):
            read(tmp_path)


def test_the_file_that_says_how_many_is_not_made_up(tmp_path):
    with Hold(tmp_path / "journal", 2):
        pass
    (tmp_path / "journal" / "partitions").unlink()
    written_into = partition_folder(tmp_path / "journal", 1) / f"{1:020d}.journal"
    written_into.write_bytes(b"")
    with pytest.raises(PartitionsError, match="its file `partitions` is missing; bring it back from a copy"):
        lay_out(tmp_path / "journal", 2)
    with pytest.raises(PartitionsError, match="has folders of partitions and no file `partitions`"):
        places(tmp_path / "journal")


def test_one_partitions_folder_alone_is_partition_0_of_1(tmp_path):
    written(tmp_path / "copy", OLD)
    (place,) = places(tmp_path / "copy")
    assert (place.partition, place.folder) == (0, tmp_path / "copy")


# --- who has it -------------------------------------------------------------------------------------------------------


def test_a_directory_is_shared_by_its_partitions_and_by_nobody_who_changes_it(tmp_path):
    with Hold(tmp_path), Hold(tmp_path), pytest.raises(PartitionsError, match=r"a daemon runs with it; drain it first"):
        held_alone(tmp_path).__enter__()
    with held_alone(tmp_path), pytest.raises(PartitionsError, match="`authswitch partitions change` is at work"):
        Hold(tmp_path)


def test_a_directory_that_was_replaced_while_it_was_opened_is_told_of(tmp_path, monkeypatch):
    """As `partitions change` does it: what was locked is not what stands there now."""
    directory, other = tmp_path / "journal", tmp_path / "other"
    for one in (directory, other):
        Hold(one, 2).release()
    lock = partitions._lock

    def late(descriptor, operation):
        exchange(str(directory), str(other))
        return lock(descriptor, operation)

    monkeypatch.setattr(partitions, "_lock", late)
    with pytest.raises(PartitionsError, match="was replaced just now; start again"):
        Hold(directory)


def of(count):
    """The layout of a machine alone."""
    return Layout(count, range(count))


def test_the_number_is_written_whole_or_not_at_all(tmp_path):
    write_layout(tmp_path, of(2))

    def look():
        assert partition_count(tmp_path) in (2, 3)

    killed_at_each_step(lambda: write_layout(tmp_path, of(2)), lambda: write_layout(tmp_path, of(3)), look)
    assert partition_count(tmp_path) == 3
