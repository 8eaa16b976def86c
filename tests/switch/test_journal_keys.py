"""The journal over a change of the master key: nothing that is owed gets lost, wherever the change is cut off."""

from __future__ import annotations

import itertools
import json
import os
import signal
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switch.base.stats import Stats
from switch.check.configuration import check_config
from switch.cli.journal import app as journal_app
from switch.cli.keys import app as keys_app
from switch.cli.trace import app as trace_app
from switch.journal import replay_into
from switch.journal.commit import JournalFiles
from switch.journal.disk import FileDisk
from switch.journal.file_heads import key_id
from switch.journal.opening import open_partitions
from switch.journal.replay import JournalDamaged
from switch.keys import Key, KeyFile, KeyFileError, load_master_key
from switch.keys.journal_keys import JOURNAL_KEYS_MAX, journal_keys, kept_journal_keys, renew_journal_key, wrapping_key
from switch.keys.master import create_master_key
from tests.ext.test_partitioning import crc32c
from tests.ext.world import World, purchase
from tests.switch.journal_key import make_key_file
from tests.switch.test_journaling import CONFIG

WRAPPED_KEY_AT = 68
KEY_ID_AT = 116
TABLES = {
    "merchants": "id,name,state,category,kinds",
    "terminals": "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate",
    "routes": "low,high,kinds,currencies,amount_min,amount_max,links",
}


class Switch:
    """A switch with a journal, of which each life begins with the keys as its files have them then."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "switch.toml"
        self.config.write_text(CONFIG)
        self.directory = folder / "journal"
        self.directory.mkdir()
        self.files = (folder / "keys.sealed", folder / "master.key")
        self.stans = itertools.count(1)
        make_key_file(folder)

    def name_master_key(self, name):
        """Let the configuration name another file."""
        self.files = (self.files[0], self.folder / name)
        self.config.write_text(CONFIG.replace("master.key", name))

    @property
    def keys(self):
        """The journal's, as the files have them."""
        with KeyFile.open(self.files[0], load_master_key(self.files[1])) as file:
            return journal_keys(file)

    def live(self, *, keys=None, is_cut_off=True):
        """A life with one approval, and one request whose outcome nobody knows; what its replay found."""
        journal = JournalFiles(4 << 20, Stats(65_536))
        world = World(journal=journal)
        world.sync = journal.commit
        disk = FileDisk(str(self.directory), exclusive=True)
        try:
            found = replay_into(
                world.engine.state, journal, disk, keys or self.keys, segment_bytes=16 << 20, window_seconds=60
            )
            terminal, issuer = world.terminal("iso"), world.issuer()
            while message := issuer.read():
                issuer.answer(message[0])
            terminal.send(self._purchase(world))
            issuer.answer(issuer.read_one())
            self.told = terminal.read_one()
            if is_cut_off:
                terminal.send(self._purchase(world))
                issuer.read_one()
            journal.stop()
        finally:
            disk.release()
        return found

    def _purchase(self, world):
        return purchase(world, f11=f"{next(self.stans):06d}")

    def run(self, app, *arguments, status=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    def command(self, *arguments, status=0):
        """``authswitch keys``."""
        return self.run(keys_app, "--config", self.config, *arguments, status=status)

    def change(self, name, **options):
        """Change the master key, and name it in the configuration."""
        said = self.command("change-master-key", "--new-master-key-file", self.folder / name, **options)
        self.name_master_key(name)
        return said

    def rows(self, *arguments):
        """What ``keys journal`` says, by the key's name."""
        return {row["name"]: row for row in json.loads(self.command("journal", "--json", *arguments))}

    def segments(self):
        return sorted(self.directory.rglob("*.journal"))

    def key_ids(self):
        """By which the heads of segments name their keys, the oldest first."""
        return [path.read_bytes()[KEY_ID_AT : KEY_ID_AT + 8] for path in self.segments()]


@pytest.fixture
def switch(tmp_path):
    return Switch(tmp_path)


def test_what_is_owed_is_found_under_another_master_key(switch):
    switch.live()
    first, before = switch.keys, switch.told
    said = switch.change("master-2.key")
    assert "from then on the journal's new segments are sealed under journal/2/jwk" in said
    found = switch.live()
    assert found.reversed == 1, "the request that the first life left open"
    second = switch.keys
    assert second[32:] == first
    assert switch.key_ids() == [key_id(first), key_id(second[:32])]
    verified = json.loads(switch.run(journal_app, "verify", switch.config, "--json"))
    assert verified["whole"]
    assert switch.run(journal_app, "dump", switch.config).count("INTENT") == 4
    for told in (before, switch.told):
        assert "approved" in switch.run(trace_app, switch.config, told["37"])


def test_an_old_master_key_is_of_no_use_any_more(switch):
    switch.live()
    switch.change("master-2.key")
    switch.live()
    switch.name_master_key("master.key")
    assert "this master key does not open it" in switch.run(journal_app, "verify", switch.config, status=1)
    with pytest.raises(JournalDamaged, match="is sealed under the journal key"):
        switch.live(keys=wrapping_key(load_master_key(switch.folder / "master.key")))


def test_several_changes_while_a_daemon_goes_on_with_the_keys_of_its_start(switch):
    began_with = switch.keys
    switch.change("master-2.key")
    switch.change("master-3.key")
    switch.live(keys=began_with)
    switch.live()
    assert switch.key_ids() == [key_id(began_with), key_id(switch.keys[:32])]
    assert list(switch.rows()) == ["journal/3/jwk", "journal/2/jwk", "journal/1/jwk"]


def test_no_start_without_a_key_that_a_segment_needs(switch):
    switch.live()
    switch.change("master-2.key")
    switch.live()
    before = {path: path.read_bytes() for path in switch.segments()}
    for lacking in (switch.keys[:32], switch.keys[32:]):
        with pytest.raises(JournalDamaged, match=r"neither the key file nor the master key has.*bring back the key"):
            switch.live(keys=lacking)
    assert {path: path.read_bytes() for path in switch.segments()} == before, "and nothing was written"


def without_key_id(path):
    """A segment as versions wrote it whose heads name no key."""
    content = bytearray(path.read_bytes())
    content[KEY_ID_AT : KEY_ID_AT + 8] = bytes(8)
    content[124:128] = struct.pack("<I", crc32c(bytes(content[:124])))
    path.write_bytes(content)


def test_segments_that_name_no_key_are_opened_by_whichever_fits(switch):
    switch.live()
    without_key_id(switch.segments()[0])
    switch.change("master-2.key")
    assert switch.rows()["journal/1/jwk"]["segments"] == 1
    assert switch.live().reversed == 1
    with pytest.raises(JournalDamaged, match="no key of the journal opens it, and it names none"):
        open_partitions(switch.directory, switch.keys[:32])[0].reader.require_keys()


def test_a_changed_head_is_not_told_for_a_missing_key(switch):
    switch.live()
    path = switch.segments()[0]
    content = bytearray(path.read_bytes())
    content[WRAPPED_KEY_AT] ^= 1
    content[124:128] = struct.pack("<I", crc32c(bytes(content[:124])))
    path.write_bytes(content)
    switch.change("master-2.key")
    with pytest.raises(JournalDamaged, match="head was changed, though its checksum fits: the journal key") as told:
        open_partitions(switch.directory, switch.keys)[0].reader.require_keys()
    assert "bring the segment back from a copy" in str(told.value)


def test_check_says_what_a_start_could_not_read(switch):
    for table, columns in TABLES.items():
        (switch.folder / f"{table}.csv").write_text(columns + "\n")
    switch.live()
    older = switch.files[0].read_bytes()

    def unreadable():
        problems = check_config(switch.config).problems
        return [one.reason for one in problems if one.key == "journal.directory" and one.severity == "error"]

    switch.change("master-2.key")
    assert unreadable() == []
    switch.live()
    assert unreadable() == []
    switch.name_master_key("master.key")
    switch.files[0].write_bytes(older)
    (reason,) = unreadable()
    assert f"it is sealed under the journal key {switch.key_ids()[1].hex()}, and neither" in reason


# --- cut off ----------------------------------------------------------------------------------------------------------

STEPS = ("open", "write", "fsync", "link", "unlink", "rename", "replace")


def cut_off_at(step, action):
    """Run something in a process that ends before its call number ``step`` of the system; whether it was cut off."""
    child = os.fork()
    if child == 0:
        left = step

        def counted(call):
            def counting(*arguments, **keywords):
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return call(*arguments, **keywords)

            return counting

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        with suppress(BaseException):
            action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_change_that_is_cut_off_anywhere_is_finished_by_the_same_command(tmp_path):
    steps = 0
    while True:
        (tmp_path / str(steps)).mkdir()
        switch = Switch(tmp_path / str(steps))
        switch.live()
        was_cut_off = cut_off_at(
            steps,
            lambda at=switch: CliRunner().invoke(
                keys_app,
                [
                    "--config",
                    str(at.config),
                    "change-master-key",
                    "--new-master-key-file",
                    str(at.folder / "master-2.key"),
                ],
            ),
        )
        # Whichever state it is in, one of the two master keys opens all of it.
        try:
            keys = switch.keys
        except KeyFileError:
            switch.name_master_key("master-2.key")
            keys = switch.keys
        for one in open_partitions(switch.directory, keys):
            one.reader.require_keys()
        switch.name_master_key("master.key")
        switch.change("master-2.key")
        assert switch.live().reversed == 1
        assert len(switch.keys) == 64
        if not was_cut_off:
            break
        steps += 1
    assert steps > 8, "each step was cut off once"


def test_a_second_run_says_that_it_is_done(switch):
    switch.change("master-2.key")
    assert "is sealed under the master key in" in switch.change("master-2.key")
    assert len(switch.keys) == 64, "no further key was made"


def test_a_new_master_key_that_is_there_already_is_durable_before_anything_is_sealed_under_it(switch, monkeypatch):
    new = switch.folder / "master-2.key"
    create_master_key(new)
    synced, fsync = [], os.fsync

    def told(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told)
    switch.change("master-2.key")
    assert synced[:2] == [new, switch.folder]


# --- which key is needed ----------------------------------------------------------------------------------------------


def test_a_key_goes_when_no_segment_needs_it(switch):
    switch.live()
    switch.change("master-2.key")
    rows = switch.rows()
    assert rows["journal/2/jwk"]["needed"] == "new segments are sealed under it"
    assert rows["journal/1/jwk"]["needed"] == "segments are sealed under it"
    assert "journal/2/jwk must stay" in switch.command("remove", "journal/2/jwk", status=1)
    assert "journal/1/jwk must stay: segments" in switch.command("remove", "journal/1/jwk", status=1)
    switch.live()
    assert "must stay: segments are sealed under it" in switch.command("remove", "journal/1/jwk", status=1)
    switch.segments()[0].unlink()
    assert "no: it may be removed" in switch.command("journal")
    switch.command("remove", "journal/1/jwk")
    assert list(switch.rows()) == ["journal/2/jwk"]
    assert switch.live(is_cut_off=False).reversed == 1
    switch.change("master-3.key")
    assert list(switch.rows()) == ["journal/3/jwk", "journal/2/jwk"]


def test_a_key_stays_that_a_daemon_may_be_about_to_write_under(switch):
    switch.change("master-2.key")
    switch.change("master-3.key")
    said = switch.command("remove", "journal/2/jwk", status=1)
    assert "a daemon may be writing under an older key than the newest: start it once with this key file" in said
    switch.live()
    switch.command("remove", "journal/2/jwk")


def test_older_journals_and_copies_need_their_keys(switch):
    switch.live()
    (older := switch.folder / "journal.20260101T000000Z").mkdir()
    for path in switch.segments():
        path.rename(older / path.name)
    switch.change("master-2.key")
    switch.live()
    assert switch.rows()["journal/1/jwk"]["directories"] == [str(older)]
    older.rename(copy := switch.folder / "elsewhere")
    assert switch.rows()["journal/1/jwk"]["segments"] == 0
    assert switch.rows("--directory", copy)["journal/1/jwk"]["directories"] == [str(copy)]
    assert "must stay" in switch.command("remove", "journal/1/jwk", "--directory", copy, status=1)


def test_without_the_journal_nobody_can_tell_which_key_is_needed(switch):
    switch.change("master-2.key")
    where = ["--file", switch.files[0], "--master-key-file", switch.files[1]]
    said = switch.run(keys_app, *where, "remove", "journal/1/jwk", status=1)
    assert "needed is --config with a configuration that names the journal" in said


@pytest.mark.parametrize("arguments", [["generate"], ["import", "--kcv", "000000"]])
def test_keys_of_the_journal_are_made_by_no_other_command(switch, arguments):
    said = switch.command(arguments[0], "journal/7/jwk", *arguments[1:], status=2)
    assert "the journal's keys are made by" in said


def test_keys_of_the_journal_are_not_handed_out(switch):
    switch.change("master-2.key")
    switch.command("generate", "link/bank-a/zmk", "--algorithm", "aes-256")
    said = switch.command("export", "journal/1/jwk", "--under", "link/bank-a/zmk", status=2)
    assert "the journal's keys go to nobody else" in said


def test_keys_of_two_nodes_are_not_called_the_same(tmp_path):
    names = []
    for node in range(3):
        with KeyFile.create(tmp_path / f"{node}.sealed", bytes([node]) * 32) as file:
            made = [renew_journal_key(file, node, 3).name for _ in range(3)]
            assert made == [f"journal/{number}/jwk" for number in range(node + 4, node + 13, 3)]
            names += [key.name for key in kept_journal_keys(file)]
    assert len(names) == len(set(names)) == 12


def test_numbers_of_keys_end(tmp_path):
    with KeyFile.create(tmp_path / "keys", bytes(32)) as file:
        file.put(Key(f"journal/{JOURNAL_KEYS_MAX}/jwk", "jwk", "aes-256", bytes(32)))
        with pytest.raises(KeyFileError, match="the journal has no number left"):
            renew_journal_key(file)


def test_a_new_master_key_is_there_as_a_whole_or_not_at_all(tmp_path):
    steps = 0
    while cut_off_at(steps, lambda: create_master_key(tmp_path / "master.key")):
        if (tmp_path / "master.key").exists():
            assert len(load_master_key(tmp_path / "master.key")) == 32
            (tmp_path / "master.key").unlink()
        steps += 1
    assert steps > 3
