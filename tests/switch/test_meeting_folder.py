"""Where workers find each other: a folder that is cleared away when nobody has it, and nothing else is."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from switch.server.meeting_folder import PREFIX, MeetingFolder, clear_away

LEFT = f"{PREFIX}abcd_123"
KILLED = """
import os, signal, socket
from switch.server.meeting_folder import MeetingFolder
folder = MeetingFolder()
socket.socket(socket.AF_UNIX).bind(str(folder.path / "0.socket"))
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def parent(monkeypatch):
    """The folder for temporary files: a short one, since sockets are in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def left(parent, name=LEFT):
    """What somebody left who was killed."""
    folder = parent / name
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "0.socket"))
    return folder


def test_it_is_the_users_own_and_goes_at_the_end(parent):
    folder = MeetingFolder()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder.path / "0.socket"))
    folder.close()
    assert list(parent.iterdir()) == []


def test_what_a_killed_daemon_left_is_removed_by_the_next(parent):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(parent)}, stdout=subprocess.PIPE, check=False
    )
    (there,) = parent.iterdir()
    assert killed.stdout.decode().strip() == str(there)
    folder = MeetingFolder()
    assert list(parent.iterdir()) == [folder.path]
    folder.close()


def test_what_somebody_has_stays(parent):
    first = MeetingFolder()
    second = MeetingFolder()
    assert {one.name for one in parent.iterdir()} == {first.path.name, second.path.name}
    for one in (first, second):
        one.close()
    assert list(parent.iterdir()) == []


def test_nothing_else_is_touched(parent, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("mine")
    (parent / LEFT).symlink_to(elsewhere)
    for name in (f"{PREFIX}notes", "authswitch-abcd_123"):
        left(parent, name)
    full = left(parent, f"{PREFIX}abcd_456")
    (full / "file").write_text("mine")
    (parent / f"{PREFIX}abcd_789").write_text("a file")
    before = sorted(one.name for one in parent.iterdir())
    clear_away(parent)
    assert sorted(one.name for one in parent.iterdir()) == before
    assert (elsewhere / "file").read_text() == (full / "file").read_text() == "mine"


def test_what_another_user_has_there_stays(parent, monkeypatch):
    folder = left(parent)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    clear_away(parent)
    assert (folder / "0.socket").exists()


def test_one_that_is_put_in_its_place_meanwhile_stays(parent, monkeypatch):
    folder = left(parent)
    lock = fcntl.flock

    def replaced(descriptor, how):
        lock(descriptor, how)
        folder.rename(parent / "moved")
        left(parent)

    monkeypatch.setattr(fcntl, "flock", replaced)
    clear_away(parent)
    assert (folder / "0.socket").exists()


def test_one_that_is_cleared_away_before_it_is_locked_is_made_anew(parent, monkeypatch):
    """By another daemon that starts at the same moment."""
    lock, made = fcntl.flock, []

    def late(descriptor, how):
        if not made:
            made.append(next(parent.iterdir()))
            made[0].rmdir()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    folder = MeetingFolder()
    assert folder.path.is_dir()
    assert folder.path != made[0]
    folder.close()


def test_where_nothing_can_be_read_the_daemon_starts_all_the_same(tmp_path):
    clear_away(tmp_path / "missing")
