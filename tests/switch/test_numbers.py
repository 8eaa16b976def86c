"""Numbers of simulated terminals from run to run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from switch.simulators.stans import RESERVED, SPREAD, STAN_COUNT, Numbers, default_file


def test_a_run_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    path = tmp_path / "state" / "stans.json"
    first = Numbers(path, "127.0.0.1:5830")
    first.used(40)
    second = Numbers(path, "127.0.0.1:5830")
    assert second.first == (first.first + SPREAD + 40) % STAN_COUNT
    other = Numbers(path, "127.0.0.1:5831")
    assert Numbers(path, "127.0.0.1:5830").first == (second.first + RESERVED) % STAN_COUNT, "the run before was killed"
    assert Numbers(path, "127.0.0.1:5831").first == (other.first + RESERVED) % STAN_COUNT


def test_the_first_run_begins_by_the_clock(tmp_path: Path) -> None:
    before = int(time.time())
    first = Numbers(tmp_path / "stans.json", "a:1").first
    assert (first - before) % STAN_COUNT < 60


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a:1": "x"}', '{"a:1": null}', "\xff"])
def test_a_file_that_says_nothing_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "stans.json"
    path.write_text(content, encoding="latin-1")
    Numbers(path, "a:1").used(1)
    assert isinstance(Numbers(path, "a:1").first, int)


def test_numbers_stay_below_a_million(tmp_path: Path) -> None:
    path = tmp_path / "stans.json"
    path.write_text(f'{{"a:1": {STAN_COUNT - 1}}}')
    Numbers(path, "a:1").used(5)
    assert Numbers(path, "a:1").first == SPREAD + 4


def test_a_folder_that_cannot_be_written_is_no_obstacle() -> None:
    Numbers(Path("/proc/none/stans.json"), "a:1").used(3)


def test_where_numbers_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_file() == tmp_path / "authswitch" / "stans.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_file() == Path.home() / ".local" / "state" / "authswitch" / "stans.json"
