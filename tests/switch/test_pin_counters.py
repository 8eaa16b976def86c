"""Key serial numbers over restarts: what a daemon knew when it ended, and what becomes of a file that is none."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from switch.base.stats import Stats
from switch.config import load_config
from switch.server.pin_counters import UNREADABLE, CounterKeeper, counters_file, open_counters, write_counters
from tests.ext.test_device_counters import known

from .test_journaling import CONFIG

BASE_KEY = '\n[[base_key]]\nserial_numbers = "FFFF987654"\nkey = "dukpt/acme/bdk"\n'
KNOWN = [
    (0xFFFF9876543210E00000 >> 21, False, 0x1F, "10000002", 2**64 - 1, 1_795_000_000),
    (0x1234567890123456, True, 2**31 + 1, "T 7", 0, 2**31),
    (2**59 - 1, False, 1, "", 0, 0),
]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "switch.toml").write_text(CONFIG + BASE_KEY)
    return load_config(tmp_path / "switch.toml")


def keeper(config, counters, **options):
    stats = Stats(1 << 20)
    stats.use_worker(0)
    return CounterKeeper(config, counters, stats, **{"writes": True, "is_alone": False, **options}), stats


def test_the_next_start_knows_them(config):
    counters = open_counters(config)
    for one in KNOWN:
        counters.learn(*one)
    write_counters(config, counters)
    lines = counters_file(config).read_text().split("\n")
    assert f"FFFF9876543210E0001F FFFFFFFFFFFFFFFF {1_795_000_000:08X} 10000002" in lines
    assert sorted(known(open_counters(config, is_shared=True))) == sorted(KNOWN)


async def test_they_are_written_while_it_runs(config):
    counters = open_counters(config)
    keeping, _ = keeper(config, counters)
    keeping.keep()
    assert not counters_file(config).exists(), "there is nothing new"
    counters.learn(*KNOWN[0])
    keeping.keep()
    await keeping.stop()
    assert known(open_counters(config)) == KNOWN[:1]


async def test_who_is_alone_writes_at_its_end(config):
    counters = open_counters(config)
    counters.learn(*KNOWN[1])
    await keeper(config, counters, writes=False)[0].stop()
    assert not counters_file(config).exists()
    await keeper(config, counters, is_alone=True)[0].stop()
    assert known(open_counters(config)) == KNOWN[1:2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: text.replace("E0001F", "E0001G"),
        lambda text: text.replace("3 devices", "2 devices"),
        lambda _: "",
        lambda text: "x" + text,
    ],
)
def test_a_file_that_is_damaged_is_told_of_and_stops_nothing(config, damage):
    counters = open_counters(config)
    for one in KNOWN:
        counters.learn(*one)
    write_counters(config, counters)
    file = counters_file(config)
    file.write_text(damage(file.read_text()))
    with capture_logs() as said:
        assert known(open_counters(config)) == []
    assert [line["event"] for line in said] == [UNREADABLE]


async def test_a_file_that_cannot_be_written_is_told_of_once(config):
    counters = open_counters(config)
    counters_file(config).mkdir()
    keeping, stats = keeper(config, counters)
    with capture_logs() as said:
        for counter in (1, 2):
            counters.learn(1, True, counter)
            keeping._next_s = 0.0
            keeping.keep()
            await keeping.stop()
    assert [line["event"] for line in said] == [CounterKeeper.UNWRITTEN]
    assert stats.value(keeping._gauge) == 1
    counters_file(config).rmdir()
    keeping._next_s = 0.0
    keeping.keep()
    await keeping.stop()
    assert stats.value(keeping._gauge) == 0


def test_without_base_keys_there_is_no_file(tmp_path):
    (tmp_path / "switch.toml").write_text(CONFIG)
    config = load_config(tmp_path / "switch.toml")
    assert counters_file(config) is None
    write_counters(config, open_counters(config))
    assert asyncio.run(keeper(config, open_counters(config), is_alone=True)[0].stop()) is None
