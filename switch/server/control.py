"""What the admin side asks of a worker: directly where both are one process, else over a Unix socket.

On the socket each question and each answer is a JSON object behind its length in four bytes, most significant first. A
question has a number, and its answer bears it; answers may come in any order, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from switch.admin.health import Health, Readiness, answered
from switch.admin.keys import KeyDesk, NobodyAsked, NotExchanged
from switch.admin.saf import EntryDesk
from switch.base.log import get_logger
from switch.saf.owed_entries import NotOwed

QUESTION_BYTES_MAX = 65_536
ANSWER_BYTES_MAX = 16 << 20
QUESTIONS_MAX = 64
"""That one worker has not answered yet."""

ASK_SECONDS = 1.0
CLOSE_SECONDS = 4.5
"""Longer than a worker waits until the end of an entry is durable; less than a command waits for the desk."""

LENGTH = struct.Struct(">I")
REFUSALS: Mapping[str, type[ValueError | NotOwed | NotExchanged]] = {
    "not owed": NotOwed,
    "not exchanged": NotExchanged,
    "nobody asked": NobodyAsked,
    "wrong": ValueError,
}
"""What an answer may say instead of a result, and what the asker raises then."""

log = get_logger(__name__)


class WorkerSilent(Exception):  # noqa: N818 - it is no mistake of whoever asks
    """The worker is not there, or did not answer in time."""


class WorkerSide(Protocol):
    """One worker, as the admin side sees it.

    Every method may raise ``WorkerSilent``; those about entries what ``switch.server.saf.SafDesk`` raises.
    """

    async def status(self) -> Mapping[str, Any]:
        """What is going on."""

    async def readiness(self) -> Readiness:
        """Whether its partitions are served."""

    async def listed(
        self, *, link: str | None, what: str | None, rrn: str | None, overdue: bool, most: int
    ) -> Mapping[str, Any]:
        """What it owes issuers, oldest first."""

    async def retry(self, *, rrn: str | None, what: str, link: str | None) -> int:
        """Send one, or all of a link, at once."""

    async def give_up(self, *, rrn: str, what: str, link: str | None, operator: str, reason: str) -> Mapping[str, Any]:
        """Give one up."""

    async def exchange_keys(self, *, link: str, usages: Sequence[str]) -> Mapping[str, str]:
        """Have an issuer asked for keys; check values of those that came. May raise ``NotExchanged``."""

    async def drain(self) -> None:
        """Finish what is in flight, and end."""


class LocalWorker:
    """The worker of this process.

    Args:
        health: Its state.
        entries: What it owes issuers.
        keys: New keys of issuers.
    """

    def __init__(self, health: Health, entries: EntryDesk, keys: KeyDesk) -> None:
        self._health = health
        self._entries = entries
        self._keys = keys

    async def status(self) -> Mapping[str, Any]:
        """What is going on."""
        return await answered(self._health.status())

    async def readiness(self) -> Readiness:
        """Whether its partitions are served."""
        return await answered(self._health.readiness())

    async def listed(self, **which: Any) -> Mapping[str, Any]:
        """What it owes issuers, oldest first."""
        return await answered(self._entries.listed(**which))

    async def retry(self, **which: Any) -> int:
        """Send one, or all of a link, at once."""
        return await answered(self._entries.retry(**which))

    async def give_up(self, **which: Any) -> Mapping[str, Any]:
        """Give one up."""
        return await self._entries.give_up(**which)

    async def exchange_keys(self, **which: Any) -> Mapping[str, str]:
        """Have an issuer asked for keys."""
        return await self._keys.exchange_keys(**which)

    async def drain(self) -> None:
        """Finish what is in flight, and end."""
        self._health.drain()


class RemoteWorker:
    """A worker of another process. It is silent until ``attach``, and again when its connection ends.

    Args:
        name: Of the worker, for errors.
        ask_seconds: How long an answer is waited for.
    """

    def __init__(self, name: str, ask_seconds: float = ASK_SECONDS) -> None:
        self._name = name
        self._ask_seconds = ask_seconds
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def attach(self, connection: socket.socket) -> None:
        """Ask over this connection from now on, instead of any earlier one."""
        self.detach()
        reader, self._writer = await asyncio.open_connection(sock=connection)
        self._reading = asyncio.create_task(self._read(reader, self._writer))

    def detach(self) -> None:
        """Close the connection; whoever waits for an answer gets none."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self._lose(self._writer)

    def _lose(self, writer: asyncio.StreamWriter | None) -> None:
        if writer is None:
            return
        writer.close()
        if writer is self._writer:
            self._writer = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(WorkerSilent(f"worker {self._name} has ended"))
            self._waiting.clear()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (answer := await _receive(reader, ANSWER_BYTES_MAX)) is not None:
                waiting = self._waiting.pop(answer.get("number", 0), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, ValueError) as error:
            log.warning("what a worker answers cannot be read", worker=self._name, reason=str(error))
        finally:
            self._lose(writer)

    async def _ask(self, question: str, seconds: float | None = None, **arguments: Any) -> Any:
        writer = self._writer
        if writer is None:
            raise WorkerSilent(f"worker {self._name} is not there")
        if len(self._waiting) >= QUESTIONS_MAX:
            raise WorkerSilent(f"worker {self._name} has {QUESTIONS_MAX} questions to answer")
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds or self._ask_seconds):
                _send(writer, {"number": number, "question": question, "arguments": arguments}, QUESTION_BYTES_MAX)
                await writer.drain()
                answer = await waiting
        except TimeoutError:
            raise WorkerSilent(f"worker {self._name} does not answer") from None
        except OSError as error:
            raise WorkerSilent(f"worker {self._name} has ended: {error}") from error
        finally:
            self._waiting.pop(number, None)
        if "refusal" in answer:
            raise REFUSALS.get(answer["refusal"], ValueError)(str(answer.get("words", "")))
        return answer.get("answer")

    async def status(self) -> Mapping[str, Any]:
        """What is going on."""
        status: Mapping[str, Any] = await self._ask("status")
        return status

    async def readiness(self) -> Readiness:
        """Whether its partitions are served."""
        reasons, lacks, outdated, told = await self._ask("readiness")
        return Readiness(reasons, lacks, outdated, tuple(told))

    async def listed(self, **which: Any) -> Mapping[str, Any]:
        """What it owes issuers, oldest first."""
        listed: Mapping[str, Any] = await self._ask("listed", **which)
        return listed

    async def retry(self, **which: Any) -> int:
        """Send one, or all of a link, at once."""
        return int(await self._ask("retry", **which))

    async def give_up(self, **which: Any) -> Mapping[str, Any]:
        """Give one up."""
        closed: Mapping[str, Any] = await self._ask("give_up", CLOSE_SECONDS, **which)
        return closed

    async def exchange_keys(self, **which: Any) -> Mapping[str, str]:
        """Have an issuer asked for keys."""
        came: Mapping[str, str] = await self._ask("exchange_keys", CLOSE_SECONDS, **which)
        return came

    async def drain(self) -> None:
        """Finish what is in flight, and end."""
        await self._ask("drain")


QUESTIONS = ("status", "readiness", "listed", "retry", "give_up", "exchange_keys", "drain")


async def answer_questions(connection: socket.socket, worker: WorkerSide) -> None:
    """Answer what comes over a connection, until it ends.

    At most ``QUESTIONS_MAX`` are under way; others wait until one is answered, as does whoever does not read answers.
    """
    reader, writer = await asyncio.open_connection(sock=connection)
    places = asyncio.Semaphore(QUESTIONS_MAX)
    tasks: set[asyncio.Task[None]] = set()

    async def reply(question: Mapping[str, Any]) -> None:
        try:
            answer = await _answer(worker, question)
            with contextlib.suppress(OSError):
                _send(writer, {**answer, "number": question.get("number")}, ANSWER_BYTES_MAX)
                await writer.drain()
        finally:
            places.release()

    try:
        while (question := await _receive(reader, QUESTION_BYTES_MAX)) is not None:
            await places.acquire()
            task = asyncio.create_task(reply(question))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    except (OSError, ValueError) as error:
        log.warning("what the admin side asks cannot be read", reason=str(error))
    finally:
        for task in tasks:
            task.cancel()
        writer.close()


async def _answer(worker: WorkerSide, question: Mapping[str, Any]) -> dict[str, Any]:
    """What is said to a question, be it a refusal."""
    name, arguments = question.get("question"), question.get("arguments")
    if name not in QUESTIONS or not isinstance(arguments, dict):
        return {"refusal": "wrong", "words": f"there is no question {name!r}"}
    try:
        asked: Awaitable[Any] = getattr(worker, name)(**arguments)
        return {"answer": await asked}
    except NotOwed as error:
        return {"refusal": "not owed", "words": str(error)}
    except NotExchanged as error:
        refusal = "nobody asked" if isinstance(error, NobodyAsked) else "not exchanged"
        return {"refusal": refusal, "words": str(error)}
    except (TypeError, ValueError) as error:
        return {"refusal": "wrong", "words": str(error)}
    except Exception as error:
        log.exception("a question of the admin side could not be answered", question=name)
        return {"refusal": "wrong", "words": f"{type(error).__name__}: {error}"}


def _send(writer: asyncio.StreamWriter, value: Mapping[str, Any], most: int) -> None:
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > most:
        if "answer" not in value:
            raise ValueError(f"{len(data)} bytes; there may be {most}")
        words = f"the answer has {len(data)} bytes, and may have {most}: ask for less"
        data = json.dumps({"number": value["number"], "refusal": "wrong", "words": words}).encode()
    writer.write(LENGTH.pack(len(data)) + data)


async def _receive(reader: asyncio.StreamReader, most: int) -> dict[str, Any] | None:
    """The next object; None at the end.

    Raises:
        ValueError: It is too long, no JSON object, or cut off.
    """
    try:
        (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if size > most:
            raise ValueError(f"{size} bytes; there may be {most}")
        value = json.loads(await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        if error.partial or error.expected != LENGTH.size:
            raise ValueError("cut off") from None
        return None
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - of the bytes
    return value
