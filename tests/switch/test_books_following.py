"""The books follow journals that daemons write: what is durable, once, from any position on, over restarts."""

from __future__ import annotations

import json
import shutil
from itertools import count

import pytest
from typer.testing import CliRunner

from switch.books import following
from switch.books.following import SETTLED_SECONDS, JournalFollower
from switch.books.keeping import ENDS_SEEN
from switch.cli.main import app
from switch.journal.opening import open_partitions
from switch.journal.partitions import partition_folder
from switch.journal.posted import needed_by_books
from switch.journal.replay import JournalDamaged
from tests.ext.world import CARD, reversal
from tests.switch.partitioned import CUP_FIRST, CUP_SECOND, ISO, Partitioned

CARD_KEY = bytes(32)
MERCHANT = "898000000000001"


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def rows(output):
    return [json.loads(line) for line in output.splitlines()]


class Books:
    """A switch and its books."""

    def __init__(self, folder, partitions=1):
        self.switch = Partitioned(folder, partitions)
        self.config = self.switch.config
        self.config.write_text(self.config.read_text() + '[books]\nurl = "sqlite:books.db"\n')
        assert call("books", "upgrade", self.config)[0] == 0

    def live(self):
        """A life of the daemon: a payment that stands, one that is declined, one that is taken back, a refund."""
        switch = self.switch
        switch.begin()
        switch.pay(ISO)
        switch.pay(ISO, "51")
        taken_back, _ = switch.pay(ISO)
        part, line = switch.line_of(taken_back)
        stan = switch.request(ISO)["11"]
        line.send(reversal(part.world, taken_back, f11=stan))
        part.journal.commit()
        line.read()
        part.world.tick()
        part.issuer.answer(part.issuer.read_one())
        switch.pay(CUP_FIRST)
        for each in switch.parts:
            each.settle()
        switch.end()

    def reader(self, partition=0):
        return open_partitions(self.switch.directory, self.switch.key)[partition]

    def events(self, next_position=None, partition=0):
        """All events from a position on."""
        return all_of(JournalFollower(self.reader(partition), CARD_KEY, next_position, clock=count().__next__))


def all_of(follower):
    """What a follower tells until it comes to the end, and once more."""
    found, ends = [], 0
    while ends < ENDS_SEEN:
        stretch = follower.read()
        found += stretch.events
        ends += not (stretch.has_more or follower.waits)
    return found


@pytest.fixture
def books(tmp_path):
    return Books(tmp_path)


@pytest.fixture
def lived(books):
    books.live()
    books.live()
    return books


def test_what_moves_money_is_told_once(lived):
    events = lived.events()
    assert [event[1] for event in events] == ["approved", "approved", "taken back", "approved"] * 2
    first, second, ended, last = events[:4]
    assert ended[2] == second[2]
    assert ended[4] == "terminal"
    assert first[4:11] == ("purchase", first[5], 156, "bank-a", ISO, MERCHANT, f"{CARD[:6]}{'*' * 6}{CARD[-4:]}")
    assert last[8] == CUP_FIRST
    assert len(first[11]) == 16
    assert first[11] == second[11]
    assert CARD not in repr(events)


def test_from_any_position_on_the_same_is_told(lived):
    events = lived.events()
    for position in range(1, events[-1][0] + 2):
        assert lived.events(position) == [event for event in events if event[0] >= position]


@pytest.mark.parametrize("bytes_at_once", [1, 300])
def test_little_at_once_is_the_same(lived, bytes_at_once, monkeypatch):
    events = lived.events()
    monkeypatch.setattr(following, "BYTES_AT_ONCE", bytes_at_once)
    assert lived.events() == events


def test_what_may_not_be_durable_yet_is_not_told(books):
    switch = books.switch
    switch.begin()
    now = [0.0]
    follower = JournalFollower(books.reader(), CARD_KEY, None, clock=lambda: now[0])
    request = switch.request(ISO)
    part, line = switch.line_of(request)
    (asked,), _ = switch.send(request)
    part.issuer.answer(asked)
    part.journal.commit()
    while follower.read().has_more or not follower.waits:
        pass
    assert follower.read().events == []
    # Another batch begins behind it: so it is durable.
    line.read()
    part.settle()
    (event,) = follower.read().events
    assert event[1] == "approved"
    switch.end()


def test_the_last_batch_is_made_durable_by_whoever_reads_it(books, monkeypatch):
    switch = books.switch
    switch.begin()
    switch.pay(ISO)
    request = switch.request(ISO)
    part, _ = switch.line_of(request)
    (asked,), _ = switch.send(request)
    part.issuer.answer(asked)
    part.journal.commit()
    now = [0.0]
    follower = JournalFollower(books.reader(), CARD_KEY, None, clock=lambda: now[0])
    synchronized = []
    monkeypatch.setattr("os.fdatasync", synchronized.append)
    found = []
    while (stretch := follower.read()).has_more or not follower.waits:
        found += stretch.events
    now[0] = SETTLED_SECONDS - 0.1
    assert follower.read().events == []
    assert synchronized == []
    now[0] = SETTLED_SECONDS
    found += follower.read().events
    assert len(synchronized) == 1
    assert [event[1] for event in found + stretch.events] == ["approved"] * 2
    assert not follower.waits
    switch.end()


def test_a_daemon_is_followed_over_its_restarts(books):
    follower, found = None, []
    for _ in range(3):
        books.live()
        follower = follower or JournalFollower(books.reader(), CARD_KEY, None, clock=count().__next__)
        found += all_of(follower)
    assert found == books.events()


def test_an_older_copy_of_the_journal_is_refused(lived, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(lived.switch.directory, copy)
    lived.live()
    assert call("books", "post", lived.config)[0] == 0
    shutil.rmtree(lived.switch.directory)
    copy.rename(lived.switch.directory)
    status, said = call("books", "post", lived.config)
    assert status == 1
    assert "the journal ends there, and it was read up to position" in said


def test_what_is_not_there_any_more_is_told(lived):
    folder = partition_folder(lived.switch.directory, 0)
    first, *_ = sorted(folder.glob("*.journal"))
    first.unlink()
    with pytest.raises(JournalDamaged, match="position 1, which comes next, is not there any more"):
        lived.events(1)
    assert [event[1] for event in lived.events()] == ["approved", "approved", "taken back", "approved"]


def test_a_gap_in_the_journal_is_told(books):
    for _ in range(3):
        books.live()
    folder = partition_folder(books.switch.directory, 0)
    _, second, *_ = sorted(folder.glob("*.journal"))
    second.unlink()
    with pytest.raises(JournalDamaged, match="begins at position"):
        books.events()


# --- commands -----------------------------------------------------------------------------------------------------


def test_commands(lived):
    config = lived.config
    status, said = call("books", "post", config)
    assert (status, said.split(": ")[1]) == (0, "8 entries posted\n")
    assert call("books", "post", config)[1].endswith(": 0 entries posted\n")
    status, said = call("books", "balances", config, "--json")
    balances = {(one["kind"], one["owner"]): one["amount_minor"] for one in rows(said)}
    standing = [event for event in lived.events() if event[1] == "approved"]
    gone = {event[2] for event in lived.events() if event[1] == "taken back"}
    owed = sum(event[5] for event in standing if event[2] not in gone)
    assert balances == {("pending", MERCHANT): owed, ("receivable", "bank-a"): owed}
    assert "898000000000001  pending" in call("books", "balances", config, "--merchant", MERCHANT)[1]
    day = rows(call("books", "status", config, "--json")[1])[0]["business_day"]
    assert day in call("books", "status", config)[1]
    lines = rows(call("books", "statement", config, MERCHANT, "--from", day, "--json")[1])
    assert len(lines) == 8
    assert lines[-1]["balance_minor"] == owed
    said = call("books", "statement", config, MERCHANT, "--from", day)[1]
    assert "before" in said
    assert "8 lines" in said
    assert call("books", "verify", config) == (
        0,
        "whole: every entry is as it was posted, and every balance is what its postings sum up to\n",
    )
    assert rows(call("books", "verify", config, "--json")[1]) == [{"whole": True, "flaws": []}]
    status, said = call("books", "rebuild", config)
    assert status == 0
    assert "8 entries" in said
    assert said.endswith("the same\n")
    assert call("books", "balances", config, "--through", "2001-01-01", "--json") == (0, "")


def test_books_of_several_partitions(tmp_path):
    books = Books(tmp_path, 2)
    books.switch.begin()
    for terminal in (CUP_FIRST, CUP_SECOND, ISO):
        books.switch.pay(terminal)
    books.switch.end()
    assert call("books", "post", books.config)[1].endswith(": 3 entries posted\n")
    made = rows(call("books", "rebuild", books.config, "--json")[1])
    assert [(one["partition"], one["entries"], one["agrees"]) for one in made] == [(0, 1, True), (1, 2, True)]


def test_books_that_somebody_changed_are_told_from_those_of_the_journal(lived):
    call("books", "post", lived.config)
    import sqlite3

    with sqlite3.connect(lived.config.parent / "books.db") as database:
        database.execute("UPDATE balances SET debits_minor = debits_minor + 1")
        database.execute("UPDATE sources SET chain = ?", (bytes(32),))
    database.close()
    status, said = call("books", "verify", lived.config)
    assert status == 1
    assert "is not what its postings sum up to" in said
    status, said = call("books", "rebuild", lived.config)
    assert status == 1
    assert "the books have 8" in said


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (("balances",), 0, ""),
        (("statement", MERCHANT, "--from", "2026-01-01"), 1, "has no account pending"),
        (("statement", MERCHANT, "--from", "soon"), 2, "needed a day such as"),
        (("statement", MERCHANT, "--from", "2026-01-01", "--kind", "purse"), 2, "there is no account purse"),
        (("balances", "--through", "32"), 2, "needed a day such as"),
    ],
)
def test_what_there_is_not(books, command, status, said):
    name, *arguments = command
    result = call("books", name, books.config, *arguments)
    assert result[0] == status
    assert said in result[1]


def test_without_books_in_the_configuration(tmp_path):
    switch = Partitioned(tmp_path)
    for command in ("upgrade", "post", "balances", "verify", "rebuild"):
        status, said = call("books", command, switch.config)
        assert status == 2, command
        assert "books" in said


def test_without_tables_or_the_key(tmp_path):
    switch = Partitioned(tmp_path)
    switch.config.write_text(switch.config.read_text() + '[books]\nurl = "sqlite:books.db"\n')
    status, said = call("books", "post", switch.config)
    assert status == 1
    assert "books/cik" in said
    assert call("books", "upgrade", switch.config)[1].endswith("tables of version 0001 made\n")
    assert call("books", "upgrade", switch.config)[1].endswith("is of version 0001 already\n")


def test_another_number_of_partitions_is_refused_where_there_are_books(lived):
    status, said = call("partitions", "change", lived.config, 2)
    assert status == 1
    assert "there is [books]" in said


def test_books_say_up_to_where_they_need_the_journal(lived):
    folder = partition_folder(lived.switch.directory, 0)
    assert needed_by_books(folder) == 0
    call("books", "post", lived.config)
    first, second = sorted(folder.glob("*.journal"))
    assert needed_by_books(folder) > int(first.name.partition(".")[0])
    assert needed_by_books(folder) <= int(second.name.partition(".")[0])
    (folder / "posted").write_text("nonsense")
    assert needed_by_books(folder) == 0
