"""Another master key while a real daemon runs: what it owes is paid by the next start, and nothing is drained first."""

import asyncio
import copy
import json
import os
import shutil
import signal
import subprocess

import pytest

from switch.keys.key import check_value

from .conftest import running
from .daemon import Daemon, until
from .installation import TERMINALS
from .terminal import Terminal
from .test_trace import authswitch
from .unruly import hold, one_bank

SPOKEN = "iso87-ascii"
ZAK = "link/bank-a/zak"
ALGORITHM = "3des-2key"
UNREADABLE = "the key file cannot be opened: what was opened before stays in use"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "48151623"


@pytest.fixture
def own_keys(installation):
    """An installation with a key file that no other test has."""
    installation.folder.mkdir(exist_ok=True)
    secrets = copy.copy(installation.secrets)
    for path in (secrets.key_file, secrets.master_key_file):
        shutil.copy2(path, installation.folder)
    secrets.folder = installation.folder
    installation.secrets = secrets
    return installation


async def keys(installation, *arguments, stdin=None):
    """What ``authswitch keys`` says; it must go well."""
    config = installation.folder / "switch.toml"
    status, output, errors = await authswitch("keys", "--config", config, *arguments, stdin=stdin)
    assert status == 0, errors
    return output


async def replaced(installation, bank, *options):
    """Another key in the file, made by the issuer, and the issuer's own from now on."""
    value = os.urandom(16)
    bank._mac = bank._mac.with_key(value)
    command = ("import", ZAK, "--components", "1", "--kcv", check_value(ALGORITHM, value), "--replace", *options)
    await keys(installation, *command, stdin=value.hex())


async def owe(installation, daemon, bank, terminal):
    """One reversal more that waits."""
    owed = (await daemon.status())["reversals_waiting"]
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
        assert await line.code(terminal) == "68"

    async def waits():
        return (await daemon.status())["reversals_waiting"] == owed + 1

    await until(waits)


async def test_what_a_daemon_owes_outlives_its_master_key(own_keys):
    installation = own_keys
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.workers = 2
    new = installation.folder / "master-2.key"
    async with one_bank(installation, timeout_ms=200, reversal={"interval_ms": 60_000}) as bank:
        bank.mangle = hold
        daemon = await Daemon(installation.write()).start()
        try:
            for terminal in TERMINALS[:4]:
                await owe(installation, daemon, bank, terminal)
            await keys(installation, "change-master-key", "--new-master-key-file", new)
            # A worker that dies is there again, with the keys that its daemon began with, and says what it lacks.
            await daemon.counted("authswitch_key_file_unreadable", 1)
            os.kill((await daemon.status())["workers"][0]["pid"], signal.SIGKILL)
            await daemon.event("worker serves", times=3)
            told = (await daemon.get("/readyz"))[1]
            assert "this master key does not open it" in told
            assert "put the right one there, or name where it is in the configuration" in told
            await owe(installation, daemon, bank, TERMINALS[4])
        finally:
            daemon.kill()
        owed = 5

        # The old master key starts nothing, and says why.
        status, _, errors = await authswitch("serve", installation.folder / "switch.toml")
        assert status != 0
        assert "this master key does not open it" in errors

        installation.secrets.master_key_file.rename(installation.folder / "master-1.key")
        new.rename(installation.secrets.master_key_file)
        bank.mangle = None
        bank.held.clear()
        before = bank.counters.reversals
        async with running(installation) as daemon:
            assert sum(said["resumed"] + said["reversed"] for said in daemon.said("journal replayed")) >= owed

            async def is_settled():
                return (await daemon.status())["reversals_waiting"] == 0

            await until(is_settled)
            assert bank.counters.reversals - before >= owed
            rows = {row["name"]: row for row in json.loads(await keys(installation, "journal", "--json"))}
            assert [rows[f"journal/{number}/jwk"]["segments"] > 0 for number in (2, 1)] == [True, True]
        status, output, _ = await authswitch("journal", "verify", installation.folder / "switch.toml", "--json")
        assert status == 0
        assert json.loads(output)["open_reversals"] == 0


async def test_a_running_daemon_follows_its_master_key_to_another_place(own_keys):
    """Named in the configuration, or put where the former one was; and keys of links are taken up as ever."""
    installation = own_keys
    installation.workers = 2
    new = installation.folder / "master-2.key"
    async with one_bank(installation) as bank, running(installation) as daemon:
        await keys(installation, "change-master-key", "--new-master-key-file", new)
        await daemon.event(UNREADABLE, times=2)
        config = installation.folder / "switch.toml"
        config.write_text(config.read_text().replace(str(installation.secrets.master_key_file), str(new)))
        await daemon.event("the key file can be opened again", times=2)
        await daemon.counted("authswitch_key_file_unreadable", 0)
        await replaced(installation, bank)
        await daemon.counted("authswitch_link_keys_waiting", 1)
        assert "SIGHUP takes them up" in (await daemon.get("/readyz"))[1]
        daemon.signal(signal.SIGHUP)
        await daemon.event("keys taken up", times=2)
        await daemon.counted("authswitch_link_keys_waiting", 0)
        # What is put in the former place is found, too.
        await keys(installation, "change-master-key", "--new-master-key-file", installation.folder / "master-3.key")
        await daemon.event(UNREADABLE, times=4)
        (installation.folder / "master-3.key").rename(installation.secrets.master_key_file)
        await daemon.event("the key file can be opened again", times=4)
        # Whoever is forked while nothing can be opened has the keys that its predecessor took up.
        installation.secrets.key_file.unlink()
        for number, row in enumerate((await daemon.status())["workers"]):
            os.kill(row["pid"], signal.SIGKILL)
            await daemon.event("worker serves", times=3 + number)
        for terminal in TERMINALS[:8]:
            async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
                assert await line.code(terminal) == "00"
        assert bank.counters.mac_failures == 0


async def test_a_daemon_whose_master_key_is_in_a_token(own_keys, monkeypatch):
    installation = own_keys
    installation.journal = {"mode": "files", "directory": "journal"}
    installation.workers = 2
    folder = installation.folder
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    initialize = ["softhsm2-util", "--init-token", "--free", "--label", "switch", "--so-pin", "11111111", "--pin", PIN]
    await asyncio.to_thread(subprocess.run, initialize, check=True, capture_output=True)
    (folder / "pin").write_text(PIN)
    (folder / "pin").chmod(0o600)
    async with one_bank(installation):
        config = installation.write()
        token = f'{{ module = "{MODULE}", token = "switch", key = "master", pin_file = "pin" }}'
        of_file = f'master_key_file = "{installation.secrets.master_key_file}"'
        assert of_file in config.read_text()
        new = folder / "new.toml"
        new.write_text(config.read_text().replace(of_file, f"master_key_token = {token}"))
        await keys(installation, "change-master-key", "--new-config", new)
        for _ in range(2):
            daemon = await Daemon(new, [PIN]).start()
            try:
                # A worker that is forked later has the keys that the start has read.
                os.kill((await daemon.status())["workers"][1]["pid"], signal.SIGKILL)
                await until(daemon.is_whole)
                for terminal in TERMINALS[:4]:
                    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
                        assert await line.code(terminal) == "00"
            except BaseException:
                daemon.kill()
                raise
            daemon.end_status = 0
            await daemon.stop()
        status, output, _ = await authswitch("journal", "verify", new, "--json")
        assert status == 0
        assert json.loads(output)["open_requests"] == 0
