"""The journal's operator side: configuration, opening, retention, and ``authswitch journal``."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from switch.base.stats import Stats
from switch.cli.journal import app, presentable
from switch.cli.reversals import app as reversals_app
from switch.cli.trace import app as trace_app
from switch.config import read_config
from switch.journal import JournalError, replay_into
from switch.journal.boot import since_boot_ns
from switch.journal.carry_forward import keep_up
from switch.journal.commit import JournalFiles
from switch.journal.directory_keeper import Rules
from switch.journal.disk import FileDisk
from switch.journal.replay import ReplayStopped
from switch.journal.resuming import Progress
from switch.keys.master import create_master_key
from switch.server import journal as stores
from switch.server.journal import Store
from tests.ext.test_journal_room import FullWorld
from tests.ext.world import CARD, World, purchase
from tests.switch.journal_key import make_key_file, read_keys

CONFIG = """
[switch]
name = "switch-1"
acquirer_id = "10000001"
[journal]
mode = "files"
directory = "journal"
[keys]
file = "keys.sealed"
master_key_file = "master.key"
[registry]
merchants = "merchants.csv"
terminals = "terminals.csv"
[routes]
file = "routes.csv"
[[listener]]
name = "pos"
bind = "127.0.0.1:5830"
dialect = "cup"
[[link]]
name = "bank-a"
dialect = "iso87-ascii"
endpoints = ["127.0.0.1:7001"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "switch.toml").write_text(CONFIG)
    (tmp_path / "journal").mkdir()
    return tmp_path


@pytest.fixture
def lived(folder):
    """A folder whose journal holds an approval and a request without an outcome."""
    key = make_key_file(folder)
    journal = JournalFiles(4 << 20, Stats(65_536))
    world = World(journal=journal)
    world.sync = journal.commit
    disk = FileDisk(str(folder / "journal"), exclusive=True)
    replay_into(world.engine.state, journal, disk, key, segment_bytes=16 << 20, window_seconds=60)
    terminal, issuer = world.terminal("iso"), world.issuer()
    terminal.send(purchase(world))
    issuer.answer(issuer.read_one())
    terminal.read_one()
    terminal.send(purchase(world))
    issuer.read_one()
    journal.stop()
    disk.release()
    return folder


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def problems(folder, old, new):
    path = folder / "changed.toml"
    path.write_text(CONFIG.replace(old, new))
    return {problem.key: problem.reason for problem in read_config(path)[1] if problem.severity == "error"}


class TestConfiguration:
    def test_files_need_a_directory(self, folder):
        assert problems(folder, 'directory = "journal"\n', "") == {"journal.directory": 'is required with mode "files"'}

    def test_files_need_a_master_key(self, folder):
        keys = '[keys]\nfile = "keys.sealed"\nmaster_key_file = "master.key"\n'
        text = CONFIG.replace(keys, "").replace('dialect = "cup"', 'dialect = "cup"\nmac = "none"')
        (folder / "changed.toml").write_text(text)
        found = {problem.key: problem.reason for problem in read_config(folder / "changed.toml")[1]}
        assert found["keys"] == "is required, since the journal is sealed under the master key"

    def test_segments_have_room_for_buffers(self, folder):
        added = 'directory = "journal"\nsegment_bytes = 16_777_216\nbuffer_bytes = 8_388_608'
        assert problems(folder, 'directory = "journal"', added) == {
            "journal.segment_bytes": "16,777,216 is below four times buffer_bytes, which is 8,388,608"
        }

    def test_files_are_no_reason_for_a_warning(self, folder):
        config, found = read_config(folder / "switch.toml")
        assert config.journal.directory == folder / "journal"
        assert "journal.mode" not in {problem.key for problem in found}


class TestStore:
    def test_directory_is_made_and_held(self, folder):
        keys = make_key_file(folder)
        shutil.rmtree(folder / "journal")
        config, _ = read_config(folder / "switch.toml")
        first = Store(config, Stats(1 << 20), keys)
        assert (folder / "journal").stat().st_mode & 0o777 == 0o700
        with pytest.raises(JournalError, match="another daemon writes its journal there"):
            Store(config, Stats(1 << 20), keys)
        assert first.journal.failed, "it takes no records before it has been recovered"

    def test_each_partition_has_a_journal_of_its_own(self, folder):
        keys = make_key_file(folder)
        (folder / "switch.toml").write_text(CONFIG.replace('mode = "files"\n', 'mode = "files"\npartitions = 2\n'))
        config, _ = read_config(folder / "switch.toml")
        stats = Stats(1 << 20)
        stores = [Store(config, stats, keys, partition) for partition in range(2)]
        assert [(store.partition, store.partitions) for store in stores] == [(0, 2), (1, 2)]
        assert [store.directory for store in stores] == [folder / "journal" / f"partition-{n}" for n in range(2)]
        world = World(journal=stores[1].journal)
        assert stores[1].recover(world.engine.state).position == 0
        for store in stores:
            store.keep_house(world.engine.state)
        text = stats.exposition().decode()
        assert 'authswitch_journal_failed{partition="0"} 1' in text
        assert 'authswitch_journal_failed{partition="1"} 0' in text
        with pytest.raises(JournalError, match="another daemon writes its journal there"):
            Store(config, stats, keys, 1)
        with pytest.raises(JournalError, match=r"partition-2: cannot be opened: No such file"):
            Store(config, stats, keys, 2)
        for store in stores:
            store.close(None)
        Store(config, stats, keys, 1).close(None)

    def test_damage_is_told_with_advice(self, lived):
        (segment,) = segment_paths(lived / "journal")
        content = bytearray(segment.read_bytes())
        content[300] ^= 1
        segment.write_bytes(content)
        config, _ = read_config(lived / "switch.toml")
        stats = Stats(1 << 20)
        store = Store(config, stats, read_keys(lived))
        world = World(journal=store.journal)
        with pytest.raises(JournalError, match=r"journal .*: 0+1\.journal: byte \d+, position 1: .*journal verify"):
            store.recover(world.engine.state)

    def test_recovery_and_gauges(self, lived):
        config, _ = read_config(lived / "switch.toml")
        stats = Stats(1 << 20)
        store = Store(config, stats, read_keys(lived))
        world = World(journal=store.journal)
        replayed = store.recover(world.engine.state)
        assert (replayed.records, replayed.ended, replayed.resumed) == (4, 1, 0)
        store.keep_house(world.engine.state)
        text = stats.exposition().decode()
        assert 'authswitch_journal_failed{partition="0"} 0' in text
        assert 'authswitch_journal_position{partition="0"} 6' in text
        assert store.journal.low_water == 0 or store.journal.low_water <= 4
        store.journal.stop()

    @pytest.mark.parametrize(
        ("originals_days", "window_s", "age_min_s"),
        [(30, 600, 30 * 86_400), (1, 7 * 86_400, 7 * 86_400 + 3_600)],
        ids=["originals", "repeats"],
    )
    def test_files_stay_as_long_as_repeats_and_originals_need_them(
        self, folder, monkeypatch, originals_days, window_s, age_min_s
    ):
        keys = make_key_file(folder)
        added = f"originals_days = {originals_days}\nretention_days = 40\nretention_bytes = 1_000_000_000\n"
        text = CONFIG.replace('mode = "files"\n', f'mode = "files"\n{added}')
        (folder / "switch.toml").write_text(f"{text}[limits]\nduplicate_window_seconds = {window_s}\n")
        built = []
        monkeypatch.setattr(stores, "Keeper", lambda _journal, _disk, rules, _stats, partition: built.append(rules))
        Store(read_config(folder / "switch.toml")[0], Stats(1 << 20), keys)
        assert built == [Rules(age_min_s=age_min_s, age_max_s=40 * 86_400, bytes_max=1_000_000_000)]

    def test_what_was_asked_one_file_before_its_outcome_is_not_charged_again(self, folder, monkeypatch):
        """The window counts from the outcome: what was asked before that is read for as long as it was under way."""
        keys = make_key_file(folder)
        journal = JournalFiles(65_536, Stats(65_536), record_bytes_max=2_048)
        world = World(journal=journal, limits=WINDOW)
        world.now_s = began_s = since_boot_ns() / 1e9
        world._set_clock()
        world.sync = journal.commit
        disk = FileDisk(str(folder / "journal"), exclusive=True)
        replay_into(world.engine.state, journal, disk, keys, segment_bytes=204_800, window_seconds=60)
        terminal, issuer, request = world.terminal("iso"), world.issuer(), purchase(world)
        terminal.send(request)
        asked = issuer.read_one()
        world.advance(2)
        begin_next_file(world, folder / "journal")
        world.advance(10)
        issuer.answer(asked)
        told = terminal.read_one()
        begin_next_file(world, folder / "journal")
        journal.stop()
        disk.release()
        # The window begins after the second file does, and before the outcome that is in there.
        later_s = 2 + 60 + 5
        monkeypatch.setattr(stores, "since_boot_ns", lambda: round((began_s + later_s) * 1e9))
        (folder / "switch.toml").write_text(f"{CONFIG}[limits]\nduplicate_window_seconds = 60\n")
        store = Store(read_config(folder / "switch.toml")[0], Stats(1 << 20), keys)
        world = World(journal=store.journal, limits=WINDOW)
        world.now_s = began_s + later_s
        world.sync = store.journal.commit
        store.recover(world.engine.state)
        terminal, issuer = world.terminal("iso"), world.issuer()
        terminal.send(request)
        assert issuer.read() == []
        assert terminal.read_one()["37"] == told["37"]
        store.close(None)

    def test_what_is_owed_does_not_outlive_a_disk_without_room(self, folder):
        keys = make_key_file(folder)
        store = Store(read_config(folder / "switch.toml")[0], Stats(1 << 20), keys)
        full = FullWorld()
        store.journal = full.journal
        assert store.keeps, "the file that is begun has room"
        full.fill_to_the_end()
        assert not full.journal.broken
        assert not store.keeps


WINDOW = {"duplicate_window_seconds": 60}


def begin_next_file(world, folder):
    """Refusals until one more file is begun."""
    terminal = world.terminal("iso")
    count = len(segment_paths(folder))
    while len(segment_paths(folder)) == count:
        terminal.ask(purchase(world, f2="5" * 16))
        keep_up(world.engine.state, world.journal)
    terminal.close()


def segment_paths(folder):
    return sorted(folder.glob("*.journal"))


class TestCommand:
    def test_verify(self, lived):
        status, output = call("verify", lived / "switch.toml")
        assert status == 0
        assert "the journal is whole\n" in output
        assert "records: 4" in output
        status, output = call("verify", lived / "switch.toml", "--json")
        answer = json.loads(output)
        assert (answer["whole"], answer["intent_records"], answer["open_requests"]) == (True, 2, 1)
        assert (answer["open_reversals"], answer["torn_bytes"]) == (0, 0)
        assert [(one["partition"], one["next_position"]) for one in answer["partitions"]] == [(0, 5)]

    def test_verify_of_a_torn_copy(self, lived):
        shutil.copytree(lived / "journal", lived / "copy")
        (segment,) = segment_paths(lived / "copy")
        segment.write_bytes(segment.read_bytes()[:-20])
        status, output = call("verify", lived / "switch.toml", "--directory", lived / "copy")
        assert status == 0
        assert "whole but for its torn tail" in output
        assert "records: 2" in output

    def test_verify_of_a_damaged_journal(self, lived):
        (segment,) = segment_paths(lived / "journal")
        content = bytearray(segment.read_bytes())
        content[300] ^= 1
        segment.write_bytes(content)
        status, output = call("verify", lived / "switch.toml")
        assert status == 1
        assert "position 1: the batch here is damaged" in output
        status, output = call("verify", lived / "switch.toml", "--json")
        assert status == 1
        assert json.loads(output)["whole"] is False
        assert json.loads(output)["position"] == 1

    def test_dump(self, lived):
        status, output = call("dump", lived / "switch.toml")
        lines = output.splitlines()
        assert status == 0
        assert [line.split()[2] for line in lines] == ["INTENT", "OUTCOME", "INTENT", "DELIVERED"]
        assert "pan=622500******0014" in lines[0]
        assert "kind=purchase" in lines[0]
        assert "reason=approved" in lines[1]
        assert "positions=0:2" in lines[3]
        assert CARD not in output

    def test_dump_of_some(self, lived):
        _status, output = call("dump", lived / "switch.toml", "--json", "--from", 2)
        shown = [json.loads(line) for line in output.splitlines()]
        assert [record["position"] for record in shown] == [2, 3, 4]
        assert shown[1]["message_bytes"] > 100
        rrn = shown[1]["rrn"]
        assert len(call("dump", lived / "switch.toml", "--rrn", rrn)[1].splitlines()) == 1
        assert call("dump", lived / "switch.toml", "--terminal", "99999999") == (0, "")
        assert len(call("dump", lived / "switch.toml", "--to", 2)[1].splitlines()) == 2

    def test_asked_wrongly(self, lived):
        (lived / "off.toml").write_text(CONFIG.replace('mode = "files"\ndirectory = "journal"', 'mode = "off"'))
        assert call("verify", lived / "off.toml")[0] == 2
        assert call("verify", lived / "none.toml")[0] == 2
        (lived / "master.key").unlink()
        status, output = call("dump", lived / "switch.toml")
        assert status == 2
        assert "master.key" in output

    @pytest.mark.parametrize(
        ("command", "arguments"),
        [(app, ("verify",)), (app, ("dump",)), (trace_app, ()), (reversals_app, ("list", "--directory"))],
    )
    def test_a_folder_without_a_journal(self, lived, command, arguments):
        """It is an error, not a journal in which nothing is: the folder is probably another one."""
        empty = lived / "empty"
        empty.mkdir()
        (empty / "notes.txt").write_text("none")
        config = lived / "switch.toml"
        words = [*arguments, empty, config] if "list" in arguments else [*arguments, config, "--directory", empty]
        words += ["10000002/000001"] if command is trace_app else []
        result = CliRunner().invoke(command, [str(word) for word in words])
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            f"authswitch: {empty}: no journal is in this folder: it has no file of a segment (NUMBER.journal)"
        ]

    def test_wrong_master_key(self, lived):
        (lived / "master.key").unlink()
        create_master_key(lived / "master.key")
        status, output = call("verify", lived / "switch.toml")
        assert status == 1
        assert "this master key does not open it" in output

    def test_unknown_numbers_are_shown_as_they_are(self):
        shown = presentable({"position": 1, "type": "OUTCOME", "wall_us": 0, "kind": 200, "reason": 200})
        assert (shown["kind"], shown["reason"], shown["time"]) == (200, 200, "1970-01-01T00:00:00.000000+00:00")


def test_a_replay_that_is_stopped_has_written_nothing(lived):
    before = {path.name: path.read_bytes() for path in (lived / "journal").iterdir()}
    journal = JournalFiles(4 << 20, Stats(65_536))
    world = World(journal=journal)
    progress = Progress()
    progress.stop()
    disk = FileDisk(str(lived / "journal"), exclusive=False)
    key = read_keys(lived)
    with pytest.raises(ReplayStopped):
        replay_into(
            world.engine.state, journal, disk, key,
            segment_bytes=16 << 20, window_seconds=60, progress=progress,
        )  # fmt: skip
    assert {path.name: path.read_bytes() for path in (lived / "journal").iterdir()} == before
