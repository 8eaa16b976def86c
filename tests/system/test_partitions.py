"""How many partitions the journals are of, changed between the lives of a real daemon."""

import json
from types import SimpleNamespace

from .conftest import running
from .daemon import until
from .installation import TERMINALS
from .terminal import Terminal
from .test_trace import authswitch
from .unruly import one_bank

SPOKEN = "iso87-ascii"
SOME = TERMINALS[:6]
"""Of four partitions there are some in each."""


async def say(terminal, request):
    """Send a request; the bytes of its answer."""
    terminal.send(request)
    _, data, _ = await terminal.receive()
    return data


async def is_settled(daemon):
    return (await daemon.status())["reversals_waiting"] == 0


async def change(config, count):
    """The command's answer; it must go well."""
    status, output, errors = await authswitch("partitions", "change", config, count, "--json")
    assert status == 0, errors
    return json.loads(output)["changed"]


def receipt(terminal, request, answer):
    """What a terminal keeps of a payment to take it back."""
    asked = terminal.profile.scan(request)
    return SimpleNamespace(
        kind="purchase",
        rrn=answer.text(37),
        authorization_code=answer.text(38),
        stan=asked.text(11),
        batch="000001",
        at="26" + asked.text(7),
    )


async def test_a_repeat_is_a_repeat_whatever_becomes_of_the_partitions(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    told = {}
    async with one_bank(installation) as bank:
        config = installation.write()
        for before, count in ((1, 1), (1, 2), (2, 4), (4, 1)):
            if count != before:
                assert (await change(config, count))["before"] == before
            async with (
                running(installation) as daemon,
                await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal,
            ):
                assert len((await daemon.status())["partitions"]) == count
                for request, answer in told.items():
                    assert await say(terminal, request) == answer
                for name in SOME:
                    request = installation.request(SPOKEN, terminal=name)
                    told[request] = await say(terminal, request)
                status, _, errors = await authswitch("partitions", "change", config, count + 1)
                assert (status, "a daemon runs with it; drain it first" in errors) == (1, True)
        assert bank.counters.requests == len(told)
        assert bank.counters.reversals == 0
    rrns = [terminal.profile.scan(answer).text(37) for answer in told.values()]
    assert len(set(rrns)) == len(rrns), "no reference number came twice"


async def test_a_terminal_takes_back_what_it_paid_in_another_partition(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    async with one_bank(installation) as bank:
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal,
        ):
            paid = [installation.request(SPOKEN, terminal=name) for name in SOME]
            answers = [terminal.profile.scan(await say(terminal, request)) for request in paid]
        await change(daemon.config, 4)
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal,
        ):
            for name, request, answer in zip(SOME, paid, answers, strict=True):
                taken_back = installation.request(SPOKEN, "reversal", name, original=receipt(terminal, request, answer))
                assert terminal.profile.scan(await say(terminal, taken_back)).text(39) == "00"
            await until(lambda: is_settled(daemon))
            assert bank.counters.reversals == len(paid)
        _, output, _ = await authswitch("journal", "verify", daemon.config, "--json")
        found = json.loads(output)["partitions"]
        assert [one["open_reversals"] for one in found] == [0] * 4
        _, output, _ = await authswitch("journal", "dump", daemon.config, "--json")
        reversals = [record for record in map(json.loads, output.splitlines()) if record["type"] == "REVERSAL"]
        assert len(reversals) == len(paid)
        assert all(record["original"] for record in reversals), "each payment was known"


async def test_an_older_directory_is_taken_over_by_the_next_start(installation):
    installation.journal = {"mode": "files", "directory": "journal"}
    directory = installation.folder / "journal"
    async with one_bank(installation) as bank:
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal,
        ):
            request = installation.request(SPOKEN)
            told = await say(terminal, request)
        for file in (directory / "partition-0").iterdir():
            file.rename(directory / file.name)
        (directory / "partition-0").rmdir()
        (directory / "partitions").unlink()
        async with (
            running(installation) as daemon,
            await Terminal.connect(installation, daemon.ports["pos"], SPOKEN) as terminal,
        ):
            assert await say(terminal, request) == told
        assert bank.counters.requests == 1
        assert (directory / "partitions").read_text() == "authswitch partitions 1\npartitions 1\n"
