"""The admin side of many workers: it asks all of them, and says what they say together.

A worker that does not answer in time is named, and holds up nobody: what the others say is said without it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from switch.admin.health import Readiness
from switch.admin.keys import NobodyAsked, NotExchanged
from switch.base.log import get_logger
from switch.config.mesh_sections import ALONE, Node
from switch.saf.owed_entries import NotOwed
from switch.server.control import RemoteWorker, WorkerSide, WorkerSilent
from switch.server.handover import News
from switch.server.link_status import joined_held
from switch.server.place import owned_by
from switch.server.supervisor import Life, LifeState

TERMINALS_SHOWN = 20
SUMMED = ("connections", "in_flight", "reversals_waiting")
"""What the rows of a listener or link have, of which the sum is meant."""

Answer = TypeVar("Answer")
log = get_logger(__name__)


@dataclass(slots=True)
class Seat:
    """One worker, as the desk knows it.

    Attributes:
        name: Its number.
        side: How it is asked.
        partitions: Those that it owns.
        life: What the supervisor said of it last.
    """

    name: str
    side: WorkerSide
    partitions: Sequence[int]
    life: Life = field(default_factory=Life)

    def owned(self) -> str:
        """Its partitions, in words."""
        numbers = ", ".join(map(str, self.partitions))
        return f"partition{'s' * (len(self.partitions) != 1)} {numbers}" if self.partitions else "no partition"


def seats_of(workers: int, partitions: int, node: Node = ALONE) -> list[Seat]:
    """The seats of workers in other processes."""
    return [
        Seat(str(number), RemoteWorker(str(number)), owned_by(number, workers, partitions, node))
        for number in range(workers)
    ]


class Desk:
    """Answers the admin server (``switch.admin.health.Health`` and ``switch.admin.saf.EntryDesk``) for all workers.

    Args:
        seats: The workers.
        own_status: What of ``/status`` is the same in all of them: names and versions.
        drain: Called to drain all.
    """

    def __init__(self, seats: Sequence[Seat], own_status: Mapping[str, Any], drain: Callable[[], None]) -> None:
        self._seats = seats
        self._own_status = own_status
        self._drain = drain
        self._has_begun = False
        self._joining: set[asyncio.Task[None]] = set()

    def hear(self, news: News) -> None:
        """Take news of the supervisor."""
        seat = next((each for each in self._seats if each.name == news.name), None)
        if seat is None:
            if news.connection is not None:
                news.connection.close()
            return
        seat.life = news.life
        if news.connection is not None and isinstance(seat.side, RemoteWorker):
            task = asyncio.create_task(seat.side.attach(news.connection))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    # --- what the admin server asks ---------------------------------------------------------------------------------

    def live(self) -> bool:
        """This process answers: that is what this shows."""
        return True

    def drain(self) -> None:
        """Finish what is in flight, and end."""
        self._drain()

    async def readiness(self) -> Readiness:
        """Whether some partition is served; which are not, and why.

        Until all were served once, each that is not yet is a reason: it takes a while, and ends. A worker on an older
        copy never serves: neither it is waited for, nor that the others can reach it.
        """
        answers, silent = await self._ask(lambda side: side.readiness())
        serving = [own for _, own in answers if not own.outdated]
        is_whole = len(serving) == len(self._seats)
        self._has_begun |= not silent and not any(own.reasons or (is_whole and own.lacks) for own in serving)
        self._has_begun |= any(seat.life.restarts for seat in self._seats)
        counted = Counter(reason for _, own in answers for reason in dict.fromkeys(own.reasons))
        common = [reason for reason, count in counted.items() if count == len(self._seats)]
        found = [
            f"worker {seat.name} ({seat.owned()}): {reason}"
            for seat, own in answers
            for reason in [*own.reasons, *own.lacks, *own.told]
            if reason not in common
        ]
        found += [f"{words}: {seat.owned()}" for seat, words in silent]
        if self._has_begun and any(not own.reasons for _, own in answers):
            return Readiness((), found)
        return Readiness([*common, *found])

    async def status(self) -> Mapping[str, Any]:
        """What is going on: the sums, and the workers."""
        answers, silent = await self._ask(lambda side: side.status())
        statuses = [status for _, status in answers]
        missing = {seat.name: words for seat, words in silent}
        return {
            **self._own_status,
            **{key: sum(status[key] for status in statuses) for key in ("in_flight", "reversals_waiting")},
            **_joined_claims(statuses),
            "mac_failures": _worst_terminals(statuses),
            "listeners": _merged([status["listeners"] for status in statuses]),
            "links": _merged([status["links"] for status in statuses]),
            **joined_held(statuses),
            **_joined_rulebooks(statuses),
            **_joined_nodes(statuses),
            "workers": [self._row(seat, answers, missing) for seat in self._seats],
            "partitions": self._partitions(statuses),
        }

    def _partitions(self, statuses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """All of them in their order; of those of a worker that does not answer nothing more is known."""
        known = {row["number"]: row for status in statuses for row in status["partitions"]}
        unknown = {"in_flight": None, "reversals_waiting": None}
        numbers = sorted(number for seat in self._seats for number in seat.partitions)
        return [known.get(number, {"number": number, **unknown}) for number in numbers]

    @staticmethod
    def _row(
        seat: Seat, answers: Sequence[tuple[Seat, Mapping[str, Any]]], missing: Mapping[str, str]
    ) -> dict[str, Any]:
        status = next((status for answered, status in answers if answered is seat), {})
        life = seat.life
        return {
            "worker": seat.name,
            "pid": life.pid or None,
            "state": life.state if seat.name not in missing or life.state is not LifeState.RUNS else "does not answer",
            "since": round(life.since_s, 3),
            "restarts": life.restarts,
            "partitions": list(seat.partitions),
            "in_flight": status.get("in_flight"),
            "reversals_waiting": status.get("reversals_waiting"),
        }

    async def listed(
        self, *, link: str | None, what: str | None, rrn: str | None, overdue: bool, most: int
    ) -> Mapping[str, Any]:
        """What all of them owe issuers, oldest first; who did not answer, under ``silent``.

        Raises:
            NotOwed: Nobody can say, or there is no such link.
        """
        answers, silent = await self._ask_of_entries(
            lambda side: side.listed(link=link, what=what, rrn=rrn, overdue=overdue, most=most)
        )
        owed = [entry for _, answer in answers for entry in answer["owed"]]
        owed.sort(key=lambda entry: entry["age_seconds"], reverse=True)
        listed = {"count": sum(answer["count"] for _, answer in answers), "owed": owed[:most]}
        return listed | ({"silent": silent} if silent else {})

    async def retry(self, *, rrn: str | None, what: str, link: str | None) -> int:
        """Send one, or all of a link, at once.

        Raises:
            NotOwed: Nobody owes it, or nobody who does can be asked.
        """
        answers, _ = await self._ask_of_entries(lambda side: side.retry(rrn=rrn, what=what, link=link))
        return sum(count for _, count in answers)

    async def give_up(self, *, rrn: str, what: str, link: str | None, operator: str, reason: str) -> Mapping[str, Any]:
        """Give one up, which one worker alone may owe.

        Raises:
            NotOwed: Nobody owes it, several do, or who does said nothing more.
            ValueError: The operator's name or the reason is missing or too long.
        """
        answers, silent = await self._ask_of_entries(
            lambda side: side.listed(link=link, what=what, rrn=rrn, overdue=False, most=2)
        )
        owing = [seat for seat, answer in answers if answer["count"]]
        if len(owing) > 1:
            names = " and ".join(seat.name for seat in owing)
            raise NotOwed(f"workers {names} owe a {what} with RRN {rrn} each: nothing was closed")
        if not owing and silent:
            raise NotOwed(f"no {what} with RRN {rrn} is owed, as far as is known: {'; '.join(silent)}")
        # Where nobody owes it, the first says so in the usual words.
        seat = owing[0] if owing else answers[0][0]
        try:
            return await seat.side.give_up(rrn=rrn, what=what, link=link, operator=operator, reason=reason)
        except WorkerSilent as error:
            raise NotOwed(f"{error}: list what is owed before you try again, it may have been closed") from error

    async def exchange_keys(self, *, link: str, usages: Sequence[str]) -> Mapping[str, str]:
        """Have an issuer asked for keys, by the first worker that has a connection.

        Raises:
            NotExchanged: None came.
        """
        told = ["no worker is there"]
        for seat in self._seats:
            try:
                return await self._of(seat, lambda side: side.exchange_keys(link=link, usages=usages))
            except (NobodyAsked, WorkerSilent) as error:
                told.append(str(error))
        raise NotExchanged(told[-1])

    # --- asking all -------------------------------------------------------------------------------------------------

    async def _ask(
        self, question: Callable[[WorkerSide], Awaitable[Answer]]
    ) -> tuple[list[tuple[Seat, Answer]], list[tuple[Seat, str]]]:
        """Ask all at once: who answered what, and who did not answer, in words."""
        results = await asyncio.gather(*(self._of(seat, question) for seat in self._seats), return_exceptions=True)
        answers, silent = [], []
        for seat, result in zip(self._seats, results, strict=True):
            if isinstance(result, WorkerSilent):
                silent.append((seat, str(result)))
            elif isinstance(result, BaseException):
                raise result
            else:
                answers.append((seat, result))
        return answers, silent

    @staticmethod
    async def _of(seat: Seat, question: Callable[[WorkerSide], Awaitable[Answer]]) -> Answer:
        if seat.life.state is not LifeState.RUNS:
            raise WorkerSilent(f"worker {seat.name} {seat.life.state}")
        return await question(seat.side)

    async def _ask_of_entries(
        self, question: Callable[[WorkerSide], Awaitable[Answer]]
    ) -> tuple[list[tuple[Seat, Answer]], list[str]]:
        """Ask all of what they owe; a refusal counts only where nobody does better."""
        refusals: list[NotOwed] = []

        async def ask(side: WorkerSide) -> Answer:
            try:
                return await question(side)
            except NotOwed as refusal:
                refusals.append(refusal)
                raise WorkerSilent(str(refusal)) from refusal

        answers, silent = await self._ask(ask)
        if not answers:
            told = [str(refusal) for refusal in refusals]
            raise NotOwed("; ".join(dict.fromkeys([*told, *(words for _, words in silent)])))
        refused = {str(refusal) for refusal in refusals}
        return answers, [words for _, words in silent if words not in refused]


def _joined_claims(statuses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those that are open for long, where some worker has such."""
    rows = [status["claims_undecided"] for status in statuses if "claims_undecided" in status]
    if not rows:
        return {}
    oldest_s = max(row["oldest_seconds"] for row in rows)
    return {"claims_undecided": {"count": sum(row["count"] for row in rows), "oldest_seconds": oldest_s}}


def _joined_nodes(statuses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each worker says of those of other machines, where there are such."""
    rows = [row for status in statuses for row in status.get("nodes", ())]
    return {"nodes": rows} if rows else {}


def _joined_rulebooks(statuses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which versions of the store's risk rules and BIN table are in force, where they are of a store.

    Workers take another one each for itself: ``version`` is the lowest of theirs.
    """
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for status in statuses:
        for row in status.get("rulebooks", ()):
            by_kind.setdefault(row["rulebook"], []).append(row)
    rows = [
        {
            "rulebook": kind,
            "version": min(row["version"] for row in same),
            "newest": max(row["newest"] for row in same),
            "reason": "; ".join(dict.fromkeys(row["reason"] for row in same if row["reason"])) or None,
        }
        for kind, same in by_kind.items()
    ]
    return {"rulebooks": rows} if rows else {}


def _worst_terminals(statuses: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """The terminals with the most requests whose MAC was wrong or missing, whoever counted them."""
    failures: Counter[str] = Counter()
    for status in statuses:
        for row in status["mac_failures"]:
            failures[row["terminal"]] += row["requests"]
    return [{"terminal": terminal, "requests": count} for terminal, count in failures.most_common(TERMINALS_SHOWN)]


def _merged(tables: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each name, of the rows that workers have of it."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for table in tables:
        for row in table:
            rows.setdefault(row["name"], []).append(row)
    return [{key: _together(key, [each[key] for each in same]) for key in same[0]} for same in rows.values()]


def _together(key: str, values: Sequence[Any]) -> Any:
    if key in SUMMED:
        return sum(values)
    if key == "timeouts_in_a_row":
        return max(values)
    if len(set(map(str, values))) == 1:
        return values[0]
    return ", ".join(f"{value} in {count} of {len(values)} workers" for value, count in Counter(values).items())
