"""Other keys of terminals while a real daemon runs: nothing is refused as long as the former ones are kept."""

import os
import signal

import pytest

from switch.keys.file import KeyFile
from switch.keys.master import load_master_key
from tests.backoffice.conftest import server, store_url
from tests.backoffice.registry import WHY

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .test_link_keys import SPOKEN, pays
from .test_master_key import keys, own_keys
from .test_registry_of_store import shop
from .test_trace import authswitch
from .unruly import one_bank

__all__ = ["own_keys", "server", "shop", "store_url"]

FORMER = "authswitch_former_key_requests_total"


async def taken_up(daemon, workers):
    """Tell the daemon, and wait until all its workers have them."""
    count = len(daemon.said("terminal keys taken up"))
    daemon.signal(signal.SIGHUP)
    await until(lambda: len(daemon.said("terminal keys taken up")) == count + workers)


async def is_refused(installation, daemon, terminal):
    """Whether a payment is refused; the answer has its MAC under the key that the daemon knows."""
    async with await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as line:
        line.send(installation.request(SPOKEN, terminal=terminal))
        return (await line.receive())[2].text(39) != "00"


def of_now(installation):
    """The terminals' MAC keys that are in the file."""
    secrets = installation.secrets
    with KeyFile.open(secrets.key_file, load_master_key(secrets.master_key_file, None)) as file:
        names = [f"terminal/{terminal}/tak" for terminal in TERMINALS]
        return {name: file.get(name).value for name in names}


@pytest.mark.parametrize("workers", [1, 2])
async def test_terminals_go_on_under_their_former_keys(own_keys, workers):
    installation = own_keys
    installation.workers = workers
    secrets = installation.secrets
    old = dict(secrets.keys)
    async with one_bank(installation), running(installation) as daemon:
        await keys(installation, "rotate", "--all")
        new = old | of_now(installation)
        assert all(new[name] != old[name] for name in of_now(installation))
        secrets.keys = new
        assert await is_refused(installation, daemon, TERMINALS[0]), "the daemon was not told yet"
        await taken_up(daemon, workers)
        for secrets.keys in (new, old, new, old):
            for terminal in TERMINALS[:3]:
                assert await pays(installation, daemon, terminal) == "00"
        assert await daemon.metric(FORMER, listener="pos") == 6
        await keys(installation, "rotate", "--end")
        await taken_up(daemon, workers)
        secrets.keys = new
        assert await pays(installation, daemon, TERMINALS[0]) == "00"
        failures = await daemon.metric("authswitch_mac_failures_total", listener="pos")
        secrets.keys = old
        assert await is_refused(installation, daemon, TERMINALS[0])
        await daemon.counted("authswitch_mac_failures_total", failures + 1, listener="pos")


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_start_takes_former_keys_up(own_keys, workers):
    installation = own_keys
    installation.workers = workers
    secrets = installation.secrets
    old = dict(secrets.keys)
    async with one_bank(installation):
        async with running(installation):
            await keys(installation, "rotate", "--all")
        new = old | of_now(installation)
        secrets.keys = new
        async with running(installation) as daemon:
            for secrets.keys in (new, old):
                assert await pays(installation, daemon, TERMINALS[0]) == "00"


async def test_a_worker_that_dies_comes_back_with_the_keys_taken_up_last(own_keys):
    installation = own_keys
    installation.workers = 2
    secrets = installation.secrets
    old = dict(secrets.keys)
    async with one_bank(installation), running(installation) as daemon:
        await keys(installation, "rotate", "--all")
        new = old | of_now(installation)
        secrets.keys = new
        await taken_up(daemon, 2)
        for row in (await daemon.status())["workers"]:
            os.kill(row["pid"], signal.SIGKILL)
            await until(daemon.is_whole)
        for secrets.keys in (new, old):
            for terminal in TERMINALS[:3]:
                assert await pays(installation, daemon, terminal) == "00"
        assert not daemon.said("keys of a terminal not taken up: those of before stay in use")


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_row_that_changes_before_the_daemon_is_told_refuses_nobody(own_keys, shop, workers):
    installation = own_keys
    installation.workers = workers
    secrets = installation.secrets
    old = dict(secrets.keys)
    async with one_bank(installation):
        await shop.takes_over(TERMINALS[:2])
        async with running(installation) as daemon:
            await keys(installation, "rotate", "--all")
            new = old | of_now(installation)
            for times, deed in enumerate(["suspend", "release"], 1):
                await shop.does("terminals", deed, TERMINALS[0], *WHY)
                await daemon.event("registry changed", times=times * workers)
            for secrets.keys in (old, new):
                assert {await pays(installation, daemon, TERMINALS[0]) for _ in range(2 * workers)} == {"00"}
            await taken_up(daemon, workers)
            for secrets.keys in (old, new):
                for terminal in TERMINALS[:2]:
                    assert await pays(installation, daemon, terminal) == "00"


@pytest.mark.parametrize("usage", ["tak", "tpk", "tmk", "tdk"])
async def test_a_key_file_with_a_key_of_another_algorithm_is_refused_as_a_whole(own_keys, usage):
    """16 bytes of SM4 or AES are as long as two keys of DES."""
    installation = own_keys
    first = f"terminal/{TERMINALS[0]}"
    async with one_bank(installation), running(installation) as daemon:
        algorithm = "aes-128" if usage == "tak" else "sm4"
        await keys(installation, "generate", f"{first}/{usage}", "--algorithm", algorithm, "--replace")
        await keys(installation, "rotate", TERMINALS[1])
        daemon.signal(signal.SIGHUP)
        line = await daemon.event("keys not taken up: those of before stay in use")
        assert f"{first}/{usage} is a key for {algorithm}" in line["reason"]
        status, output, errors = await authswitch("check", installation.folder / "switch.toml")
        assert status
        assert f"{first}/{usage} is a key for {algorithm}" in output + errors
        for terminal in TERMINALS[:2]:
            assert await pays(installation, daemon, terminal) == "00", "under the keys of before"
        assert await daemon.metric(FORMER, listener="pos") == 0, "these are still the present ones"
        await keys(installation, "generate", f"{first}/tdk", "--algorithm", "3des-2key", "--replace")
        if usage == "tdk":
            await taken_up(daemon, 1)
            assert await pays(installation, daemon, TERMINALS[1]) == "00"
            assert await daemon.metric(FORMER, listener="pos") == 1
