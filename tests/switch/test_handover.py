"""Desk and workers are joined by the supervisor, whoever of them is forked anew, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import time

import pytest

from switch.admin.health import Readiness
from switch.base.stats import Stats
from switch.server.control import LocalWorker, answer_questions
from switch.server.desk import Desk, seats_of
from switch.server.handover import Handover, NewsReader
from switch.server.supervisor import Child, Patience, Supervisor

WORKERS = 2
DEADLINE_SECONDS = 20.0


class Health:
    """A worker that says who it is."""

    def live(self):
        return True

    def readiness(self):
        return Readiness()

    def status(self):
        sums = {"in_flight": os.getpid(), "reversals_waiting": 0}
        return {**sums, "mac_failures": [], "listeners": [], "links": [], "partitions": []}

    def drain(self):
        os.kill(os.getpid(), signal.SIGTERM)


def until_terminated(start):
    """Run a loop with what ``start`` sets going, until the first SIGTERM."""

    async def run():
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        kept = start()
        await ended.wait()
        del kept

    asyncio.run(run())
    return 0


def worker_run(handover):
    def start():
        tasks = []
        side = LocalWorker(Health(), None, None)

        def told(news):
            tasks.append(asyncio.create_task(answer_questions(news.connection, side)))

        listener = NewsReader(handover.inherited(), told)
        listener.start()
        return listener, tasks

    return until_terminated(start)


def desk_run(handover, writer):
    """Says again and again what all workers say."""

    def start():
        desk = Desk(seats_of(WORKERS, WORKERS), {}, lambda: os.kill(os.getppid(), signal.SIGTERM))
        listener = NewsReader(handover.inherited(), desk.hear)
        listener.start()

        async def say():
            while True:
                rows = (await desk.status())["workers"]
                state = await desk.readiness()
                said = {"desk": os.getpid(), "rows": rows, "reasons": list(state.reasons), "lacks": list(state.lacks)}
                os.write(writer, json.dumps(said).encode() + b"\n")
                await asyncio.sleep(0.01)

        return listener, asyncio.create_task(say())

    return until_terminated(start)


class Joined:
    """What the desk says, from another process."""

    def __init__(self):
        self.reader, writer = os.pipe()
        handover = Handover("desk")
        stats = Stats(4096, WORKERS + 2)
        children = [Child(str(number), lambda: worker_run(handover), number) for number in range(WORKERS)]
        children.append(Child("desk", lambda: desk_run(handover, writer), WORKERS, ends_last=True))
        supervisor = Supervisor(children, stats, Patience(20.0, 20.0, 0.001, 0.002), handover.hooks())
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            stats.use_worker(WORKERS + 1)
            os._exit(0 if supervisor.run() else 1)
        os.close(writer)
        self._rest = b""

    def until(self, holds):
        """The first thing it says that is as wanted."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        said = None
        while time.monotonic() < deadline:
            if b"\n" not in self._rest:
                if select.select([self.reader], [], [], 0.5)[0]:
                    self._rest += os.read(self.reader, 65_536)
                continue
            line, self._rest = self._rest.split(b"\n", 1)
            said = json.loads(line)
            if holds(said):
                return said
        raise AssertionError(f"at last it said {said}")

    def status(self):
        while os.read(self.reader, 65_536):
            pass
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def joined():
    one = Joined()
    yield one
    if one.pid:
        os.kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)
    os.close(one.reader)


def all_answer(said):
    """Each worker answers, over a connection to the process that the supervisor forked last."""
    return not said["reasons"] + said["lacks"] and all(row["in_flight"] == row["pid"] for row in said["rows"])


def test_whoever_is_forked_anew_is_joined_to_the_others(joined):
    first = joined.until(all_answer)
    pids = [row["pid"] for row in first["rows"]]
    os.kill(pids[1], signal.SIGKILL)
    second = joined.until(lambda said: all_answer(said) and said["rows"][1]["restarts"] == 1)
    assert second["rows"][0]["pid"] == pids[0]
    assert second["rows"][1]["pid"] != pids[1]
    assert second["desk"] == first["desk"]

    os.kill(first["desk"], signal.SIGKILL)
    third = joined.until(lambda said: all_answer(said) and said["desk"] != first["desk"])
    assert [row["pid"] for row in third["rows"]] == [row["pid"] for row in second["rows"]]
    assert [row["restarts"] for row in third["rows"]] == [0, 1]

    os.kill(pids[0], signal.SIGSTOP)
    joined.until(
        lambda said: (
            said["rows"][0]["state"] == "does not answer"
            and said["rows"][1]["in_flight"] == said["rows"][1]["pid"]
            and said["lacks"] == ["worker 0 does not answer: partition 0"]
        )
    )
    os.kill(pids[0], signal.SIGCONT)
    joined.until(all_answer)
    os.kill(joined.pid, signal.SIGTERM)
    assert joined.status() == 0
