"""Commands as operators give them: they reach the daemon that is meant, or nobody."""

import asyncio
import json
import shutil
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from .conftest import never_said, running
from .daemon import Daemon
from .unruly import one_bank


async def command(*arguments):
    """``authswitch ...``: exit status, and all that it said in one line."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "switch", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await child.communicate()
    return child.returncode, " ".join(output.decode().split())


def at(config, address):
    """The same configuration with its admin side at an address."""
    config.write_text(config.read_text().replace('bind = "127.0.0.1:0"', f'bind = "{address}"', 1))
    return config


@pytest.mark.parametrize("is_copied", [False, True])
async def test_a_stranger_s_daemon_is_not_drained(installation, new_installation, is_copied):
    """Of another name; or of a copy of the same configuration, beside whose journal nobody runs."""
    other = new_installation()
    for one in (installation, other):
        one.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation) as bank:
        other.listener("pos", "iso87-ascii")
        other.link(port=bank.port)
        async with running(installation) as daemon:
            config = at(other.write(), f"127.0.0.1:{daemon.admin_port}")
            (other.folder / "journal").mkdir()
            if not is_copied:
                config.write_text(config.read_text().replace('"switch-1"', '"switch-9"'))
            for question in ("drain", "status"):
                status, output = await command(question, config)
                assert status == 1
                assert f"switch-1 (instance {daemon.said('serving')[0]['instance']}" in output
                assert "it was asked nothing" in output
            status, output = await command("reversals", "list", config)
            assert status == 1
            assert await daemon.is_ready()
            own = at(installation.folder / "switch.toml", f"127.0.0.1:{daemon.admin_port}")
            status, output = await command("drain", own, "--token-file", own.parent / "operator.token")
            assert (status, await daemon.ended()) == (0, 0)
            assert not (installation.folder / "journal" / "instance.json").exists()


async def test_another_instance_of_the_same_configuration_is_not_the_one(installation):
    """The one that was looked up has died since, and its successor is not asked what it was to be asked."""
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation):
        first = await Daemon(installation.write(), never_said(installation.secrets)).start()
        shutil.copy(installation.folder / "journal" / "instance.json", installation.folder / "before.json")
        first.kill()
        await first.ended()
        async with running(installation) as daemon:
            own = at(installation.folder / "switch.toml", f"127.0.0.1:{daemon.admin_port}")
            assert (await command("status", own))[0] == 0
            shutil.copy(installation.folder / "before.json", installation.folder / "journal" / "instance.json")
            status, output = await command("drain", own, "--token-file", own.parent / "operator.token")
            assert (status, "it was asked nothing" in output) == (1, True)
            assert await daemon.is_ready()


async def test_unix_socket_of_a_real_daemon(installation):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "admin.sock"
        async with one_bank(installation):
            config = at(installation.write(), f"unix:{path}")
            config.write_text(config.read_text().replace("[log]", 'scrape_bind = "127.0.0.1:0"\n[log]', 1))
            daemon = await Daemon(config, never_said(installation.secrets)).start()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (await daemon.status())["name"] == "switch-1"
            second = Daemon(config)
            with pytest.raises(AssertionError, match="another daemon listens on unix:"):
                await second.start()
            daemon.signal(signal.SIGKILL)
            await daemon.ended()
            assert path.exists()
            daemon = await Daemon(config, never_said(installation.secrets)).start()
            status, output = await command("status", config, "--json")
            assert (status, json.loads(output)["instance"]) == (0, daemon.said("serving")[0]["instance"])
            assert (await command("drain", config))[0] == 0
            assert await daemon.ended() == 0
            assert not path.exists()
