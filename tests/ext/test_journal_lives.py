"""Each start of a journal raises its epoch durably, whatever the clock says, and knows what came before it."""

import errno

import pytest

from switch.journal.disk import FileDisk, ScriptedDisk
from switch.journal.lives import LIVES_NAME, LivesDamagedError, begin_life, read_lives
from switch.machine.journal_interface import Journal
from tests.simulation.disk import SimulatedDisk

KEPT = 40
SLOT_BYTES = 512


@pytest.fixture
def disk(tmp_path):
    return FileDisk(str(tmp_path), exclusive=True)


def begin(disk, count, began=10):
    """So many lives, one after the other."""
    for number in range(count):
        lives = begin_life(disk, 100 + number, began * number)
    return lives


def test_each_life_has_an_epoch_above_that_before(disk):
    assert read_lives(disk) == {}
    assert begin(disk, 3) == {3: (102, 20), 2: (101, 10), 1: (100, 0)}
    assert list(read_lives(disk)) == [3, 2, 1]
    assert disk.names() == [LIVES_NAME]


def test_the_latest_lives_are_kept(disk):
    lives = begin(disk, KEPT + 5)
    assert list(lives) == list(range(KEPT + 5, 5, -1))
    assert read_lives(disk) == lives


def test_a_life_may_begin_at_a_higher_epoch(disk):
    begin(disk, 3)
    assert begin_life(disk, 7, 0, 90) == {90: (7, 0)}
    assert begin_life(disk, 8, 5, 4) == {91: (8, 5), 90: (7, 0)}


@pytest.mark.parametrize("lives", [2, 3])
def test_of_a_torn_beginning_the_life_before_is_left(disk, tmp_path, lives):
    before = begin(disk, lives - 1)
    untorn = (tmp_path / LIVES_NAME).read_bytes()
    begin_life(disk, 200, 50)
    content = bytearray((tmp_path / LIVES_NAME).read_bytes())
    changed = next(at for at in range(0, len(content), SLOT_BYTES) if content[at:][:64] != untorn[at:][:64])
    content[changed + 20] ^= 1
    (tmp_path / LIVES_NAME).write_bytes(content)
    assert read_lives(disk) == before
    assert begin_life(disk, 201, 50)[lives] == (201, 50)


def test_what_is_not_as_it_was_written_is_refused(disk, tmp_path):
    begin(disk, 2)
    content = (tmp_path / LIVES_NAME).read_bytes()
    for damaged in (b"", bytes(len(content)), content[20:], b"\xff" * len(content)):
        (tmp_path / LIVES_NAME).write_bytes(damaged)
        with pytest.raises(LivesDamagedError, match="bring it back from a copy"):
            begin_life(disk, 1, 0)


def test_a_beginning_that_did_not_end_is_no_hindrance(disk, tmp_path):
    (tmp_path / f"{LIVES_NAME}.new").write_bytes(b"half")
    assert begin(disk, 1) == {1: (100, 0)}


class Failing:
    """A disk on which one call fails."""

    def __init__(self, disk, call, error):
        self._disk, self._call, self._error = disk, call, error

    def __getattr__(self, name):
        if name == self._call:
            raise OSError(self._error, "it fails")
        return getattr(self._disk, name)


class Random:
    def random(self):
        return 0.5


@pytest.mark.parametrize("lives", [0, 2])
@pytest.mark.parametrize("call", ["create", "open", "read", "write", "sync", "rename", "sync_directory"])
def test_what_cannot_be_made_durable_has_not_begun(lives, call):
    simulated = SimulatedDisk(Random(), lambda _: False)
    before = begin(ScriptedDisk(simulated), lives) if lives else {}
    is_needed = call not in (("create", "rename", "sync_directory") if lives else ("read",))
    failing = ScriptedDisk(Failing(simulated, call, errno.EIO))
    if is_needed:
        with pytest.raises(OSError, match=LIVES_NAME):
            begin_life(failing, 7, 30)
        assert call in ("sync", "sync_directory") or read_lives(ScriptedDisk(simulated)) == before
    else:
        assert begin_life(failing, 7, 30)[lives + 1] == (7, 30), "a full disk keeps nobody from starting again"


# --- who is a successor -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        ((0, 0, 0), None),  # nobody has heard of any
        ((7, 70, 500), None),  # this life
        ((6, 60, 90), None),  # the one before, and all of it
        ((5, 50, 80), None),
        ((4, 1, 70), None),  # before what is kept
        ((8, 70, 0), "epoch 8 was heard of, and this is 7"),
        ((7, 71, 0), "another journal was heard of in epoch 7"),
        ((6, 61, 0), "another journal was heard of in epoch 6"),
        ((6, 60, 91), "position 91 of epoch 6 was heard of, and it had 90 at most"),
        ((5, 50, 81), "position 81 of epoch 5 was heard of, and it had 80 at most"),
        ((4, 1, 71), "position 71 of epoch 4 was heard of, and it had 70 at most"),
    ],
)
def test_a_journal_is_a_successor_if_it_has_had_all_that_was_heard_of(heard, why):
    journal = Journal()
    assert journal.why_outdated(*heard) is None, "nothing survives of it"
    journal.live({7: (70, 90), 6: (60, 80), 5: (50, 70)})
    assert journal.why_outdated(*heard) == why
