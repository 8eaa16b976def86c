"""Which of the journal's segments go: by time that has elapsed, whatever clocks show, and never one that is needed."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from switch.base.stats import Stats
from switch.journal.ages import AGES_NAME, Ages
from switch.journal.directory_keeper import Keeper, Rules
from switch.journal.disk import FileDisk
from switch.journal.guarded_time import JUMP_SECONDS, UNWATCHED_SECONDS_MAX, GuardedTime, Moment
from switch.journal.retention import SegmentFile, Segments, expired

HOUR, DAY, YEAR = 3_600.0, 86_400.0, 365 * 86_400.0
START = 1_800_000_000.0
RULES = Rules(age_min_s=2 * HOUR, age_max_s=30 * DAY, bytes_max=None)


class Clocks:
    """Wall clock and boot clock of a machine."""

    def __init__(self):
        self.wall_s, self.boot_s, self.boots = START, 1_000.0, 1

    def __call__(self) -> Moment:
        return Moment(self.wall_s, self.boot_s, f"boot-{self.boots}")

    def pass_by(self, seconds: float) -> None:
        self.wall_s += seconds
        self.boot_s += seconds

    def boot(self, off_s: float) -> None:
        self.wall_s += off_s
        self.boot_s, self.boots = 10.0, self.boots + 1


@pytest.fixture
def clocks():
    return Clocks()


# --- time -------------------------------------------------------------------------------------------------------------


def test_guarded_time_goes_as_the_boot_clock_does(clocks):
    guarded = GuardedTime(START, clocks())
    clocks.pass_by(DAY)
    assert guarded.advance(clocks()) == 0
    assert guarded.time_s == START + DAY
    clocks.wall_s += YEAR
    assert guarded.advance(clocks()) == pytest.approx(YEAR)
    assert guarded.time_s == START + DAY
    clocks.wall_s -= 2 * YEAR
    assert guarded.advance(clocks()) == pytest.approx(-2 * YEAR)
    clocks.pass_by(60)
    assert guarded.advance(clocks()) == 0
    assert guarded.time_s == START + DAY + 60


def test_steering_the_clock_is_no_jump(clocks):
    guarded = GuardedTime(START, clocks())
    clocks.wall_s += JUMP_SECONDS / 2
    assert guarded.advance(clocks()) == 0


def test_from_boot_to_boot_a_day_at_most_is_believed(clocks):
    guarded = GuardedTime(START, clocks())
    clocks.boot(HOUR)
    assert guarded.advance(clocks()) == 0
    assert guarded.time_s == START + HOUR
    clocks.boot(YEAR)
    assert guarded.advance(clocks()) == pytest.approx(YEAR - UNWATCHED_SECONDS_MAX)
    assert guarded.time_s == START + HOUR + UNWATCHED_SECONDS_MAX
    clocks.boot(-YEAR)
    assert guarded.advance(clocks()) == pytest.approx(-YEAR)
    assert guarded.time_s == START + HOUR + UNWATCHED_SECONDS_MAX


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0, 40 * DAY)),
        st.tuples(st.just("set"), st.floats(-3 * YEAR, 3 * YEAR)),
        st.tuples(st.just("boot"), st.floats(0, 90 * DAY)),
    ),
    max_size=30,
)


@given(steps, st.booleans())
def test_nothing_is_ever_older_than_it_is(course, is_kept):
    """Whatever is done to the clocks, and whether or not it is written down in between."""
    clocks = Clocks()
    guarded, really_s = GuardedTime(START, clocks()), 0.0
    for what, seconds in course:
        if what == "set":
            clocks.wall_s += seconds
        else:
            really_s += seconds
            clocks.pass_by(seconds) if what == "pass" else clocks.boot(seconds)
        if what == "boot" and seconds < UNWATCHED_SECONDS_MAX and clocks.wall_s - guarded.seen.wall_s > seconds:
            really_s += UNWATCHED_SECONDS_MAX  # nobody can tell how long the machine was off, but for a day
        guarded.advance(clocks())
        if is_kept:
            guarded = GuardedTime.read(json.loads(json.dumps(guarded.written())))
        assert guarded.time_s - START <= really_s + 1e-3


# --- which files ------------------------------------------------------------------------------------------------------


def files(*sizes):
    return [SegmentFile(f"{1 + 100 * n:020d}.journal", 1 + 100 * n, size, START) for n, size in enumerate(sizes)]


class TestExpired:
    LIMITS = {"age_min_s": 1_000.0, "age_max_s": 5_000.0, "bytes_max": None, "low_water": 10_000}  # noqa: RUF012

    def gone(self, sizes, ages, **changes):
        some = files(*sizes)
        age_of = {file.name: age for file, age in zip(some, ages, strict=True)}
        return [
            (file.first_position, reason)
            for file, reason in expired(some, lambda file: age_of[file.name], **{**self.LIMITS, **changes})
        ]

    def test_by_age(self):
        assert self.gone([10] * 5, [9_000, 6_000, 4_000, 10, 0]) == [(1, "age"), (101, "age")]

    def test_by_size(self):
        ages = [4_000, 3_000, 2_000, 1_500, 0]
        assert self.gone([10] * 5, ages, bytes_max=30) == [(1, "size"), (101, "size")]
        assert len(self.gone([10] * 5, ages, bytes_max=1)) == 3

    def test_nothing_young(self):
        assert self.gone([10] * 4, [900, 800, 700, 0], bytes_max=1) == []

    def test_nothing_open(self):
        ages = [9_000] * 5
        assert self.gone([10] * 5, ages, low_water=0) == []
        assert self.gone([10] * 5, ages, low_water=150) == [(1, "age")]
        assert self.gone([10] * 5, ages, low_water=201) == [(1, "age"), (101, "age")]

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_the_newest_stay(self, count):
        assert self.gone([10] * count, [9_000] * count, bytes_max=1) == []


# --- a real directory -------------------------------------------------------------------------------------------------

HEAD = struct.Struct("<8sIIqqq")
BATCH = struct.Struct("<IIqIIIBB2xq16s4xI")


def write_segment(folder: Path, first: int, began_s: float, last_s: float, size: int = 4_096) -> str:
    """A file that begins as a segment does, with two batches of records."""
    head = HEAD.pack(b"ASWJRNL1", 3, 128, first, 1, int(began_s * 1e6)).ljust(128, b"\0")
    batches = b"".join(
        BATCH.pack(0x48435442, 128, first, 1, 10, 10, 1, 0, int(at_s * 1e6), bytes(16), 0).ljust(128, b"\0")
        for at_s in (began_s, last_s)
    )
    name = f"{first:020d}.journal"
    (folder / name).write_bytes((head + batches).ljust(size, b"\0"))
    return name


class Journal:
    """As much of a journal as its keeper sees."""

    low_water = 1_000_000
    lost = ""

    def condemn(self, reason: str) -> None:
        self.lost = reason


class Kept:
    """A directory with segments, and what looks after it."""

    def __init__(self, folder: Path, clocks: Clocks, rules: Rules = RULES):
        self.folder, self.clocks, self.rules = folder, clocks, rules
        self.disk = FileDisk(str(folder), exclusive=True)
        self.next = 1
        self.start()

    def start(self) -> None:
        """As at a start of the daemon."""
        self.journal, self.stats = Journal(), Stats(65_536)
        self.keeper = Keeper(self.journal, self.disk, self.rules, self.stats, self.clocks)

    def write(self, lasts_s: float = DAY) -> str:
        """A segment is filled, in so long a time."""
        began_s = self.clocks.wall_s
        self.clocks.pass_by(lasts_s)
        name = write_segment(self.folder, self.next, began_s, self.clocks.wall_s)
        self.next += 2
        return name

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.journal"))

    def metric(self, name: str) -> float:
        start = name if "{" in name else f"{name}{{"
        text = self.stats.exposition().decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


@pytest.fixture
def kept(tmp_path, clocks):
    folder = tmp_path / "journal"
    folder.mkdir()
    one = Kept(folder, clocks)
    yield one
    one.disk.release()


@pytest.fixture
def lines():
    """What is logged, as events with their values."""
    with structlog.testing.capture_logs() as found:
        yield found


def said(lines, event):
    return [line for line in lines if line["event"] == event]


def test_old_segments_go_and_every_one_is_told(kept, lines):
    names = [kept.write() for _ in range(4)]
    kept.keeper.retain()
    kept.clocks.pass_by(26 * DAY)
    kept.keeper.retain()
    assert kept.names() == names
    kept.clocks.pass_by(DAY + 60)
    kept.keeper.retain()
    assert kept.names() == names[1:]
    (line,) = said(lines, "journal segment removed")
    assert (line["segment"], line["reason"], line["size"]) == (names[0], "age", 4_096)
    assert line["first_record"].startswith("2027-01-15T08:00:00")
    assert line["last_record"].startswith("2027-01-16T08:00:00")
    assert kept.metric('authswitch_journal_segments_removed_total{partition="0",reason="age"}') == 1
    assert kept.metric("authswitch_journal_segments_bytes") == 3 * 4_096


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_clock_that_is_set_ahead_removes_nothing(kept, lines, is_restarted, is_known):
    names = [kept.write(lasts_s=HOUR) for _ in range(5)]
    if is_known:
        kept.keeper.retain()
    kept.clocks.wall_s += YEAR
    names += [kept.write(lasts_s=60) for _ in range(2)]
    if is_restarted:
        kept.start()
    for _ in range(10):
        kept.clocks.pass_by(10)
        kept.keeper.retain()
    assert kept.names() == names
    assert not said(lines, "journal segment removed")
    if is_known:
        (line,) = said(lines, "the clock was set: no journal segment is older for it")
        assert line["seconds"] == pytest.approx(YEAR)
        assert kept.metric("authswitch_clock_jumps_total") == 1
        assert kept.metric("authswitch_clock_jump_seconds") == YEAR
        kept.clocks.pass_by(2 * HOUR)
        kept.keeper.retain()
        assert kept.metric("authswitch_clock_jump_seconds") == 0


@pytest.mark.parametrize("off_s", [-YEAR, YEAR])
def test_segments_go_in_time_whatever_the_clock_showed(kept, off_s):
    """Wrong by a year for a day, and set right again: what was written meanwhile is as old as it is."""
    kept.keeper.retain()
    kept.clocks.wall_s += off_s
    for _ in range(4):
        kept.write(lasts_s=6 * HOUR)
        kept.keeper.retain()
    kept.clocks.wall_s -= off_s
    for _ in range(29):
        kept.clocks.pass_by(DAY)
        kept.keeper.retain()
    assert len(kept.names()) == 4
    kept.clocks.pass_by(2 * DAY)
    kept.keeper.retain()
    assert len(kept.names()) == 2, "the newest two stay"


def test_size_does_not_remove_what_may_be_needed(kept, lines):
    kept.rules = Rules(age_min_s=2 * DAY, age_max_s=30 * DAY, bytes_max=2 * 4_096)
    kept.start()
    names = []
    for _ in range(4):
        names.append(kept.write())
        kept.keeper.retain()
    assert kept.names() == names[1:], "of the others the last record is younger than two days"
    assert kept.metric("authswitch_journal_above_limit_bytes") == 4_096
    assert len(said(lines, "the journal is larger than retention_bytes: nothing in it may go yet")) >= 1
    (line,) = said(lines, "journal segment removed")
    assert line["reason"] == "size"


def test_what_is_open_stays(kept):
    names = [kept.write() for _ in range(5)]
    kept.journal.low_water = 4
    kept.clocks.pass_by(50 * DAY)
    kept.keeper.retain()
    kept.clocks.pass_by(50 * DAY)
    kept.keeper.retain()
    assert kept.names() == names[1:]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"clock": {}}', b'{"clock": 1, "ended_s": []}', b"\xff"])
def test_without_its_notes_segments_stay_longer(kept, content):
    names = [kept.write() for _ in range(4)]
    kept.keeper.retain()
    (kept.folder / AGES_NAME).write_bytes(content)
    kept.start()
    kept.clocks.pass_by(25 * DAY)
    kept.keeper.retain()
    assert kept.names() == names
    kept.clocks.pass_by(31 * DAY)
    kept.keeper.retain()
    assert kept.names() == names[2:]


def test_trouble_is_told_once(kept, lines, monkeypatch):
    monkeypatch.setattr(Ages, "save", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    kept.write()
    kept.keeper.retain()
    kept.keeper.retain()
    (line,) = said(lines, "old journal segments cannot be removed")
    assert "No space left" in line["reason"]


def test_last_record(kept):
    name = kept.write(lasts_s=100)
    segments = Segments(kept.disk)
    assert segments.last_record_s(name) == kept.clocks.wall_s
    (kept.folder / name).write_bytes(b"short")
    assert segments.last_record_s(name) is None


# --- a directory that is lost -----------------------------------------------------------------------------------------


def rename(kept, _names):
    kept.folder.rename(kept.folder.with_name("elsewhere"))


def replace(kept, names):
    rename(kept, names)
    shutil.copytree(kept.folder.with_name("elsewhere"), kept.folder)


def remove(kept, _names):
    shutil.rmtree(kept.folder)


def remove_one(kept, names):
    (kept.folder / names[1]).unlink()


def replace_one(kept, names):
    (kept.folder / "copy").write_bytes((kept.folder / names[1]).read_bytes())
    (kept.folder / "copy").rename(kept.folder / names[1])


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (rename, "cannot be found: No such file or directory"),
        (replace, "is another directory than at the start"),
        (remove, "cannot be found"),
        (remove_one, f"segment {3:020d}.journal was removed"),
        (replace_one, f"segment {3:020d}.journal is another file than before"),
    ],
)
def test_loss_is_noticed(kept, done, words):
    names = [kept.write() for _ in range(3)]
    kept.keeper.retain()
    kept.keeper.look()
    assert kept.journal.lost == ""
    done(kept, names)
    kept.keeper.look()
    assert words in kept.journal.lost


def test_what_is_not_needed_may_be_taken_away(kept, lines):
    names = [kept.write() for _ in range(4)]
    kept.clocks.pass_by(3 * HOUR)
    kept.keeper.retain()
    kept.clocks.pass_by(3 * HOUR)
    kept.keeper.look()
    (kept.folder / names[0]).unlink()
    kept.keeper.look()
    assert kept.journal.lost == ""
    assert said(lines, "journal segment removed by somebody else") == [
        {"event": "journal segment removed by somebody else", "segment": names[0], "log_level": "warning"}
    ]


def test_what_retention_removes_is_no_loss(kept):
    for _ in range(4):
        kept.write()
    kept.keeper.look()
    kept.keeper.retain()
    kept.clocks.pass_by(40 * DAY)
    kept.keeper.retain()
    assert len(kept.names()) == 2
    kept.keeper.look()
    assert kept.journal.lost == ""
