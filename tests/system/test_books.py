"""The books of a real daemon, kept beside it by a process that is killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from urllib.request import urlopen

import pytest

from switch.demo.bookkeeping import payment_differences
from switch.store.opening import Store, parse_url

from .conftest import running
from .daemon import until
from .installation import MERCHANT, TERMINALS
from .nodes import free_ports
from .terminal import Terminal
from .unruly import one_bank

PAYMENTS = 60
KILLS = 3


def authswitch(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "switch", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.asynccontextmanager
async def keeping(config):
    """The process that keeps the books, until it is ended or was killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "switch", "books", "serve", str(config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
        said = await child.stdout.read()
        await child.wait()
        assert child.returncode in (0, -signal.SIGKILL, -signal.SIGTERM), said  # the last: before it had begun


def entries(installation):
    """How many were posted."""
    with contextlib.closing(sqlite3.connect(installation.folder / "books.db")) as database:
        return database.execute("SELECT coalesce(sum(entries), 0) FROM sources").fetchone()[0]


@pytest.fixture
def booked(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.workers = 2
    installation.books = {"url": "sqlite:books.db", "metrics": f"127.0.0.1:{free_ports(1)}"}
    return installation


async def pay(installation, daemon, count):
    """Purchases of several terminals, of which some are declined and some taken back."""
    async with await Terminal.connect(installation, daemon.ports["pos"], "iso87-ascii") as terminal:
        for number in range(count):
            who = TERMINALS[number % len(TERMINALS)]
            stan = installation.stan()
            assert await terminal.code(who, stan=stan, amount_minor=10_000 + number) in ("00", "51", "05", "10")
            if number % 10 == 0:
                await terminal.code(who, kind="refund", amount_minor=500 + number)


async def test_books_agree_with_the_issuer_however_often_they_are_killed(booked):
    async with one_bank(booked) as bank:
        config = booked.write()
        assert (await asyncio.to_thread(authswitch, "books", "upgrade", config))[0] == 0
        async with running(booked) as daemon:
            paying = asyncio.create_task(pay(booked, daemon, PAYMENTS))
            for number in range(KILLS):
                async with keeping(config) as books:
                    posted = entries(booked)
                    await until(lambda least=posted: entries(booked) > least or paying.done(), 60)
                    if number:
                        os.kill(books.pid, signal.SIGKILL)
            await paying
            async with keeping(config):
                await until(lambda: not differences(booked, bank), 60)
                await until(lambda: shows_metrics(booked.books["metrics"]), 30)
        assert differences(booked, bank) == []
        for command in ("verify", "rebuild"):
            status, said, error = authswitch("books", command, config)
            assert (status, error) == (0, ""), said
        _, said, _ = authswitch("books", "balances", config, "--merchant", MERCHANT, "--json")
        (owed,) = map(json.loads, said.splitlines())
        totals = bank.ledger.totals()
        assert owed["amount_minor"] == totals.charged_minor - totals.refunded_minor
        assert totals.charged_minor > PAYMENTS // 2 * 10_000


def differences(installation, bank):
    store = Store.open(parse_url("sqlite:books.db", installation.folder))
    try:
        return payment_differences(store, [bank.ledger])
    finally:
        store.close()


def shows_metrics(address):
    try:
        with urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return False  # not yet
    return all(f'authswitch_books_behind_seconds{{partition="{number}"}}' in text for number in (0, 1))


async def test_a_journal_that_is_damaged_in_one_partition_holds_up_no_other(booked):
    async with one_bank(booked) as bank:
        config = booked.write()
        authswitch("books", "upgrade", config)
        async with running(booked) as daemon:
            await pay(booked, daemon, 20)
        (segment, *_) = sorted((booked.folder / "journal" / "partition-0").glob("*.journal"))
        content = bytearray(segment.read_bytes())
        content[600] ^= 1
        segment.write_bytes(content)
        async with keeping(config):
            by_others = sum(one.terminal in TERMINALS for one in bank.ledger.entries)
            assert by_others
            await until(lambda: entries(booked), 60)
        status, _, said = authswitch("books", "post", config)
        assert status == 1
        assert "partition 0" in said


async def test_books_that_cannot_be_kept_say_why(booked, tmp_path):
    async with one_bank(booked):
        config = booked.write()
        status, _, said = authswitch("books", "serve", config)
        assert status == 1
        assert "authswitch books upgrade" in said
        booked.books = {"url": f"sqlite:{tmp_path}/nowhere/books.db"}
        status, _, said = authswitch("books", "upgrade", booked.write())
        assert status == 1
        assert "nowhere" in said
