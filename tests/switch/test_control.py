"""Questions of the admin side to workers: over a socket as directly, with limits and deadlines."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from switch.admin.health import Readiness
from switch.saf.owed_entries import NotOwed
from switch.server.control import (
    ANSWER_BYTES_MAX,
    LENGTH,
    QUESTION_BYTES_MAX,
    QUESTIONS_MAX,
    LocalWorker,
    RemoteWorker,
    WorkerSilent,
    answer_questions,
)

WHICH = {"link": None, "what": None, "rrn": "1", "overdue": False, "most": 10}
CLOSED = {"rrn": "1", "what": "reversal", "link": None, "operator": "li", "reason": "paid"}
DEADLINE_SECONDS = 20.0


class Worker:
    """Answers with what it was asked, as the daemon and its desk of entries do: some at once, some later."""

    def __init__(self):
        self.asked = []
        self.holds = asyncio.Event()
        self.holds.set()
        self.status_of = {"in_flight": 3}

    def live(self):
        return True

    def status(self):
        return self.status_of

    def readiness(self):
        return Readiness(["starting"], ["worker 1 cannot be reached from here"], outdated=True)

    def drain(self):
        self.asked.append("drain")

    def listed(self, **which):
        self.asked.append(which)
        if which["link"] == "none":
            raise NotOwed("there is no link none; there are a, b")
        return {"count": 1, "owed": [{"rrn": which["rrn"], "merchant": "Café"}]}

    def retry(self, **which):
        if not which["what"]:
            raise ValueError("what is ''")
        return 2

    async def give_up(self, **which):
        await self.holds.wait()
        return {"closed": which, "position": 7, "durable": True}


def conversation(talk, **options):
    """Run ``talk(worker, local or remote side)`` directly, and over a socket."""

    async def run(is_remote):
        worker = Worker()
        side = LocalWorker(worker, worker, worker)
        async with asyncio.timeout(DEADLINE_SECONDS):
            if not is_remote:
                await talk(worker, side)
                return
            ours, theirs = socket.socketpair()
            answering = asyncio.create_task(answer_questions(theirs, side))
            remote = RemoteWorker("1", **options)
            await remote.attach(ours)
            try:
                await talk(worker, remote)
            finally:
                remote.detach()
                await answering

    for is_remote in (False, True):
        asyncio.run(run(is_remote))


def test_each_question_has_the_same_answer_near_and_far():
    async def talk(worker, side):
        assert await side.status() == {"in_flight": 3}
        assert await side.readiness() == (["starting"], ["worker 1 cannot be reached from here"], True, ())
        assert await side.listed(**WHICH) == {"count": 1, "owed": [{"rrn": "1", "merchant": "Café"}]}
        assert await side.retry(rrn="1", what="reversal", link=None) == 2
        assert await side.give_up(**CLOSED) == {"closed": CLOSED, "position": 7, "durable": True}
        await side.drain()
        assert worker.asked == [WHICH, "drain"]

    conversation(talk)


def test_refusals_come_across():
    async def talk(_, side):
        with pytest.raises(NotOwed, match="there is no link none; there are a, b"):
            await side.listed(**{**WHICH, "link": "none"})
        with pytest.raises(ValueError, match="what is ''"):
            await side.retry(rrn="1", what="", link=None)

    conversation(talk)


def test_answers_come_in_any_order():
    async def talk(worker, side):
        worker.holds.clear()
        closing = asyncio.create_task(side.give_up(**CLOSED))
        assert await side.status() == {"in_flight": 3}
        assert not closing.done()
        worker.holds.set()
        assert (await closing)["position"] == 7

    conversation(talk)


def remotely(talk, **options):
    """``talk(worker, remote side, our end, the task that answers)`` over a socket."""

    async def run():
        worker = Worker()
        ours, theirs = socket.socketpair()
        answering = asyncio.create_task(answer_questions(theirs, LocalWorker(worker, worker, worker)))
        remote = RemoteWorker("1", **options)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await talk(worker, remote, ours, answering)
        remote.detach()
        ours.close()
        await answering

    asyncio.run(run())


def test_a_worker_that_does_not_answer_is_silent_and_its_late_answer_is_nobodys():
    async def talk(worker, remote, ours, _):
        await remote.attach(ours)
        worker.status = lambda: asyncio.sleep(3600)
        with pytest.raises(WorkerSilent, match="worker 1 does not answer"):
            await remote.status()
        remote._ask_seconds = DEADLINE_SECONDS
        assert await remote.readiness() == (["starting"], ["worker 1 cannot be reached from here"], True, ())

    remotely(talk, ask_seconds=0.05)


def test_a_worker_that_is_not_there_or_has_ended_is_silent_at_once():
    async def talk(worker, remote, ours, answering):
        with pytest.raises(WorkerSilent, match="worker 1 is not there"):
            await remote.status()
        await remote.attach(ours)
        worker.holds.clear()
        closing = asyncio.create_task(remote.give_up(**CLOSED))
        assert await remote.status() == {"in_flight": 3}
        answering.cancel()
        with pytest.raises(WorkerSilent, match="worker 1 has ended"):
            await closing
        with pytest.raises(asyncio.CancelledError):
            await answering
        with pytest.raises(WorkerSilent, match="worker 1 is not there"):
            await remote.status()

        again, theirs = socket.socketpair()
        task = asyncio.create_task(answer_questions(theirs, LocalWorker(worker, worker, worker)))
        await remote.attach(again)
        assert await remote.status() == {"in_flight": 3}
        remote.detach()
        await task

    async def run():
        worker = Worker()
        ours, theirs = socket.socketpair()
        answering = asyncio.create_task(answer_questions(theirs, LocalWorker(worker, worker, worker)))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await talk(worker, RemoteWorker("1"), ours, answering)

    asyncio.run(run())


def test_questions_are_limited():
    async def talk(worker, remote, ours, _):
        await remote.attach(ours)
        worker.holds.clear()
        closing = [asyncio.create_task(remote.give_up(**CLOSED)) for _ in range(QUESTIONS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(WorkerSilent, match=f"worker 1 has {QUESTIONS_MAX} questions to answer"):
            await remote.status()
        worker.holds.set()
        assert len(await asyncio.gather(*closing)) == QUESTIONS_MAX
        assert await remote.status() == {"in_flight": 3}
        with pytest.raises(ValueError, match="there may be 65536"):
            await remote.listed(**{**WHICH, "rrn": "1" * QUESTION_BYTES_MAX})
        assert await remote.status() == {"in_flight": 3}

    remotely(talk)


def test_an_answer_that_is_too_long_is_refused_in_words():
    async def talk(worker, remote, ours, _):
        await remote.attach(ours)
        worker.status_of = {"name": "x" * ANSWER_BYTES_MAX}
        with pytest.raises(ValueError, match="ask for less"):
            await remote.status()
        assert await remote.readiness() == (["starting"], ["worker 1 cannot be reached from here"], True, ())

    remotely(talk, ask_seconds=10.0)


@pytest.mark.parametrize(
    "said",
    [
        LENGTH.pack(QUESTION_BYTES_MAX + 1),
        LENGTH.pack(5) + b"what?",
        LENGTH.pack(2) + b"[]",
        LENGTH.pack(9) + b"{}",
        b"\0",
        LENGTH.pack(20_000) + b"[" * 20_000,
        LENGTH.pack(2) + b"\xff\xff",
    ],
)
def test_what_cannot_be_read_ends_the_connection_and_nothing_else(said):
    async def run():
        worker = Worker()
        ours, theirs = socket.socketpair()
        answering = asyncio.create_task(answer_questions(theirs, LocalWorker(worker, worker, worker)))
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await loop.sock_sendall(ours, said)
            ours.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(ours, 100) == b""
            await answering
        ours.close()

    asyncio.run(run())


@pytest.mark.parametrize("question", [{}, {"question": "__class__"}, {"question": "status", "arguments": {"x": 1}}])
def test_a_question_that_there_is_not_is_refused(question):
    async def run():
        worker = Worker()
        ours, theirs = socket.socketpair()
        answering = asyncio.create_task(answer_questions(theirs, LocalWorker(worker, worker, worker)))
        reader, writer = await asyncio.open_connection(sock=ours)
        data = json.dumps({"number": 5, **question}).encode()
        writer.write(LENGTH.pack(len(data)) + data)
        async with asyncio.timeout(DEADLINE_SECONDS):
            (size,) = LENGTH.unpack(await reader.readexactly(4))
            answer = json.loads(await reader.readexactly(size))
        assert (answer["number"], answer["refusal"]) == (5, "wrong")
        writer.close()
        await answering

    asyncio.run(run())
