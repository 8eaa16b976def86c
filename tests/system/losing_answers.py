"""Terminals behind HAProxy that lose their answers, come back through it, and ask again on whichever node that is.

``python -m tests.system.losing_answers`` does it with many, and prints what came of it.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import contextlib
import enum
import fcntl
import json
import os
import random
import signal
import sys
import tempfile
import termios
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from switch.base.masking import mask_pan
from switch.simulators import ledger as books
from switch.simulators import receipts as slips
from switch.simulators.dialect_profile import moment
from switch.simulators.receipts import Receipt
from switch.simulators.repeating_terminals import REVERSAL_ACCEPTED
from tests.torture.books import Comparison

from .balancer import NODES, Balancer
from .daemon import until
from .installation import CARD, MERCHANT, Installation, Secrets, profile_of
from .nodes import Nodes
from .terminal import Terminal
from .test_trace import authswitch
from .test_workers import workers
from .unruly import one_bank

SPOKEN = "iso87-ascii"
TRUSTED = ["127.0.0.1/32"]
PATIENCE_SECONDS = 3.0
REST_SECONDS_MAX = 0.1
ON_ITS_WAY_SECONDS_MAX = 0.01
SETTLED_SECONDS_MAX = 120
RECOVERY_SECONDS_MAX = 60
TAKEN_BACK = 0.25
"""Share of terminals' lost answers after which they reverse instead of asking again."""

ASKED_ONCE_MORE = 0.1


class Loss(enum.StrEnum):
    """When a terminal loses its connection."""

    SENT = "right after the request was sent"
    HELD = "while the issuer had the request"
    ON_ITS_WAY = "while the answer was on its way home"
    UNREAD = "with the answer in the terminal's kernel"
    PARTLY = "with a part of the answer read"
    CUT = "cut off by HAProxy"


@dataclass(frozen=True)
class Settings:
    """One run.

    Attributes:
        terminals: How many; each loses the answers of all its payments.
        payments: Of each terminal.
        at_once: How many pay at the same time.
        balancer_kills: How often HAProxy is killed.
        node_kills: How often one of the nodes is killed.
        worker_kills: How often one of the workers is.
        workers: Of each node.
        partitions: Of the switch.
        seed: Of every choice.
        apart: Not 0: two switches that know nothing of each other instead of two nodes: a run that must find doubles.
    """

    terminals: int = 40
    payments: int = 2
    at_once: int = 40
    balancer_kills: int = 1
    node_kills: int = 0
    worker_kills: int = 0
    workers: int = 1
    partitions: int = 4
    seed: int = 1
    apart: int = 0


@dataclass
class _Watched:
    """What the issuer does with one request."""

    asked: asyncio.Future
    holds: bool
    held: list = field(default_factory=list)


class Shop:
    """All terminals, what they know, and what happens to them."""

    def __init__(self, settings, installation, bank, balancer):
        self.settings = settings
        self.installation = installation
        self.balancer = balancer
        self.profile = profile_of(SPOKEN)
        self.receipts = []
        self.differences = []
        self.lost = Counter()
        self.unanswered = 0
        self.repeats = []  # places of the first connection and of the one that brought the answer
        self.turn = asyncio.Semaphore(settings.at_once)
        self.paid = 0
        self._bank = bank
        self._watched = {}
        bank.mangle = self._decide

    async def serve(self):
        """Let every terminal make its payments."""
        names = self.installation.secrets.terminals[: self.settings.terminals]
        assert len(names) == self.settings.terminals, "so many are not registered"
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                group.create_task(_LosingTerminal(self, number, name).serve())

    async def has_come_to(self, share):
        """Wait until so much of all payments is done."""
        await until(lambda: self.paid >= share * self.settings.terminals * self.settings.payments, None)

    @contextlib.contextmanager
    def watching(self, key, *, holds):
        """Know when the issuer is asked; it keeps the answer meanwhile where it ``holds``."""
        watched = self._watched[key] = _Watched(asyncio.get_running_loop().create_future(), holds)
        try:
            yield watched.asked
        finally:
            del self._watched[key]
            for exchange, answer in watched.held:
                self._bank.deliver(exchange, answer)

    def _decide(self, bank, exchange, answer):
        message = exchange.message
        key = message.text(41).rstrip(), int(message.text(4))
        watched = self._watched.get(key) if message.mti[1] == "2" else None
        if watched is not None and watched.holds:
            watched.held.append((exchange, answer))
        else:
            bank.deliver(exchange, answer)
        if watched is not None and not watched.asked.done():
            watched.asked.set_result(None)

    def on_the_other_node(self):
        """How many answers came from another node than the one that had been asked first; None: HAProxy never said."""
        served_by = self.balancer.served_by()
        known = [(served_by.get(first), served_by.get(last)) for first, last in self.repeats]
        return Counter(None if None in pair else pair[0] != pair[1] for pair in known)


class _LosingTerminal:
    def __init__(self, shop, number, name):
        self._shop = shop
        self._name = name
        self._address = f"127.{64 + number // 65_536}.{number // 256 % 256}.{number % 256}"
        self._draw = random.Random(f"{shop.settings.seed}/{name}")
        self._stan = 0

    async def serve(self):
        for number in range(self._shop.settings.payments):
            async with self._shop.turn:
                # No amount comes twice at a terminal, so that its books can be compared line by line.
                await self._pay(12_34 + number)
            self._shop.paid += 1

    async def _pay(self, amount_minor):
        shop, draw = self._shop, self._draw
        stan, at = self._next_stan(), moment()
        receipt = Receipt(
            *("purchase", self._name, MERCHANT, "000001", stan, at, mask_pan(CARD.pan), amount_minor, "156"),
            *("", "", "", slips.UNKNOWN),
        )
        shop.receipts.append(receipt)
        request = self._request("purchase", stan, at, amount_minor)
        first = await self._lose(request, amount_minor, draw.choice(list(Loss)))
        await self._rest()
        if draw.random() < TAKEN_BACK:
            await self._take_back(receipt)
            return
        answer, last = await self._ask(request)
        shop.repeats.append((first, last))
        receipt.response_code = answer.text(39)
        receipt.rrn, receipt.authorization_code = (shop.profile.text(answer, number) for number in (37, 38))
        reason = shop.profile.reason(receipt.response_code)
        receipt.state = slips.APPROVED if reason == "approved" else slips.DECLINED
        if draw.random() < ASKED_ONCE_MORE:
            again, _ = await self._ask(request)
            if any(shop.profile.text(again, number) != shop.profile.text(answer, number) for number in (37, 38, 39)):
                shop.differences.append(f"answers: terminal {self._name}, STAN {stan}, was told two things")

    async def _take_back(self, receipt):
        stan, at = receipt.stan, receipt.at
        if not self._shop.profile.reversal_keeps_stan:
            stan, at = self._next_stan(), moment()
        request = self._request("reversal", stan, at, receipt.amount_minor, receipt)
        while True:
            answer, _ = await self._ask(request)
            if self._shop.profile.reason(answer.text(39)) in REVERSAL_ACCEPTED:
                receipt.state = slips.TAKEN_BACK
                return
            await self._rest()

    # --- messages -------------------------------------------------------------------------------------------------

    def _request(self, kind, stan, at, amount_minor, original=None):
        keys = {"terminal": self._name, "stan": stan, "at": at, "amount_minor": amount_minor, "original": original}
        return self._shop.installation.request(SPOKEN, kind, **keys)

    def _next_stan(self):
        self._stan += 1
        return f"{self._stan:06d}"

    async def _rest(self):
        await asyncio.sleep(self._draw.uniform(0, REST_SECONDS_MAX))

    async def _connect(self):
        shop = self._shop
        return await Terminal.connect(shop.installation, shop.balancer.port, SPOKEN, local=self._address)

    async def _ask(self, request):
        """Send a request until somebody answers who can decide; the answer, and from where it was asked."""
        asked = self._shop.profile.scan(request)
        while True:
            with contextlib.suppress(OSError, EOFError):
                async with await self._connect() as line:
                    answer = await line.ask(request, PATIENCE_SECONDS)
                    fields = (4, 11, 41)
                    assert [answer.text(number) for number in fields] == [asked.text(number) for number in fields]
                    return answer, line.writer.get_extra_info("sockname")
            self._shop.unanswered += 1
            await self._rest()

    # --- losses ---------------------------------------------------------------------------------------------------

    async def _lose(self, request, amount_minor, loss):
        """Send a request, and lose the connection; the place from which it was sent."""
        place = None
        with self._shop.watching((self._name, amount_minor), holds=loss is Loss.HELD) as asked:
            try:
                async with await self._connect() as line:
                    place = line.writer.get_extra_info("sockname")
                    line.writer.transport.pause_reading()
                    line.send(request)
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await self._come_to(loss, line, asked)
                    if loss is not Loss.CUT:
                        line.reset()
                self._shop.lost[loss] += 1
            except OSError:  # too late
                self._shop.lost["before it came to that"] += 1
            if loss is Loss.HELD:
                await self._rest()
        return place

    async def _come_to(self, loss, line, asked):
        """Wait for the moment of a loss."""
        if loss is Loss.SENT:
            return
        await asked
        if loss is Loss.ON_ITS_WAY:
            await asyncio.sleep(self._draw.uniform(0, ON_ITS_WAY_SECONDS_MAX))
        elif loss is Loss.CUT:
            await self._shop.balancer.cut(*line.writer.get_extra_info("sockname"))
        elif loss in (Loss.UNREAD, Loss.PARTLY):
            descriptor = line.writer.get_extra_info("socket").fileno()
            waiting = await until(lambda: _unread(descriptor))
            if loss is Loss.PARTLY:
                os.read(descriptor, self._draw.randrange(1, waiting))


def _unread(descriptor):
    """How many bytes wait in the kernel."""
    found = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, found)
    return found[0]


# --- kills ------------------------------------------------------------------------------------------------------------


async def _kill_balancer(shop):
    for number in range(shop.settings.balancer_kills):
        await shop.has_come_to((number + 1) / (shop.settings.balancer_kills + 1))
        await shop.balancer.restart()


async def _make_trouble(shop, nodes):
    """Kill nodes and workers, one after the other."""
    draw = random.Random(f"{shop.settings.seed}/trouble")
    kills = [_kill_node] * shop.settings.node_kills + [_kill_worker] * shop.settings.worker_kills
    draw.shuffle(kills)
    for number, kill in enumerate(kills):
        await shop.has_come_to((number + 0.5) / (len(kills) + 1))
        await kill(shop, nodes, draw.randrange(2), draw)
        await until(nodes.are_joined, RECOVERY_SECONDS_MAX)


async def _kill_node(shop, nodes, victim, _):
    daemon = nodes.daemons[victim]
    daemon.end_status = -signal.SIGKILL
    daemon.kill()
    await daemon.stop()
    shop.balancer.lead(victim, await nodes.restart(victim))


async def _kill_worker(_, nodes, at, draw):
    daemon = nodes.daemons[at]
    rows = await workers(daemon)
    place = draw.randrange(len(rows))
    os.kill(rows[place]["pid"], signal.SIGKILL)

    async def is_restarted():
        again = (await workers(daemon))[place]
        return again["restarts"] > rows[place]["restarts"] and await daemon.is_whole()

    await until(is_restarted, RECOVERY_SECONDS_MAX)


# --- the whole --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        differences: Between receipts, ledger and journals; empty when all agree.
        doubled: Charges that nobody holds an approval for.
        swallowed: Approvals without a charge.
        figures: All else, in words.
    """

    differences: list
    doubled: int
    swallowed: int
    figures: dict


async def lose_answers(settings, installation, other):
    """Do it with two nodes and HAProxy as it is shipped; what came of it.

    Args:
        settings: The run.
        installation: An empty one, for node a.
        other: Another one, for node b.
    """
    begun = time.monotonic()
    # What had not left when its worker died is not known to the issuer, and that is believed at once.
    at_once = {"booking_horizon_seconds": 0}
    async with one_bank(installation, TRUSTED, in_flight_max=10_000, reversal=at_once) as bank:
        nodes = Nodes(installation, other, settings.workers, settings.partitions, bool(settings.apart))
        async with (
            nodes,
            Balancer(installation.folder, NODES, settings.at_once + 1_000, nodes.ports) as balancer,
        ):
            for number, daemon in enumerate(nodes.daemons):
                balancer.lead(number, daemon)
            for number in range(2):
                await balancer.believes(number, "UP")
            shop = Shop(settings, installation, bank, balancer)
            async with asyncio.TaskGroup() as group:
                for work in (shop.serve(), _kill_balancer(shop), _make_trouble(shop, nodes)):
                    group.create_task(work)
            await until(nodes.settled, SETTLED_SECONDS_MAX)
        elsewhere = shop.on_the_other_node()
    differences = shop.differences
    if await nodes.open_reversals():
        differences.append("journals: reversals are open")
    records = [record for daemon in nodes.daemons for record in await _records(daemon)]
    comparison = Comparison(shop.receipts, [bank.ledger], records, settings.partitions)
    figures = {
        "terminals": settings.terminals,
        "payments": len(shop.receipts),
        **{f"lost {loss}": count for loss, count in sorted(shop.lost.items())},
        "asked again": len(shop.repeats),
        "answered by the other node": elsewhere[True],
        "answered by the same node": elsewhere[False],
        "HAProxy was killed": settings.balancer_kills,
        "nodes were killed": settings.node_kills,
        "workers were killed": settings.worker_kills,
        "not answered and asked again": shop.unanswered,
        **{f"receipts {state}": count for state, count in Counter(one.state for one in shop.receipts).items()},
        "seconds": round(time.monotonic() - begun),
    }
    return Report(differences + comparison.differences, *_money(shop.receipts, bank.ledger), figures)


def _money(receipts, ledger):
    """Charges that nobody holds an approval for, and approvals without a charge."""
    standing = defaultdict(int)
    for entry in ledger.entries:
        standing[entry.terminal, entry.amount_minor] += entry.state == books.APPROVED
    for receipt in receipts:
        standing[receipt.terminal, receipt.amount_minor] -= receipt.state == slips.APPROVED
    return sum(count for count in standing.values() if count > 0), sum(count < 0 for count in standing.values())


async def _records(daemon):
    status, output, errors = await authswitch("journal", "dump", daemon.config, "--json")
    assert status == 0, errors
    return [json.loads(line) for line in output.splitlines()]


def main():
    """Run what the command line asks for; 0 when all books agree, 1 when they do not."""
    defaults = Settings(terminals=10_000, at_once=200, balancer_kills=3)
    parser = argparse.ArgumentParser("losing_answers", description=__doc__)
    for name, value in vars(defaults).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    settings = Settings(**vars(parser.parse_args()))
    if settings.worker_kills and settings.workers == 1:
        parser.error("--worker-kills needs --workers 2 or more: a single one is its node")
    with tempfile.TemporaryDirectory(prefix="authswitch-balancer-") as name:
        folder = Path(name)
        secrets = Secrets(folder, terminals=[f"1{number:07d}" for number in range(settings.terminals)])
        installations = [Installation(folder / node, secrets) for node in ("a", "b")]
        for one in installations:
            one.folder.mkdir()
            one.log_level = "info"
        report = asyncio.run(lose_answers(settings, *installations))
    for words, count in report.figures.items():
        print(f"{count:>10,} {words}")
    print(f"{report.doubled:>10,} doubled\n{report.swallowed:>10,} swallowed")
    for difference in report.differences[:50]:
        print(f"  {difference}")
    return 1 if report.differences or report.doubled or report.swallowed else 0


if __name__ == "__main__":
    sys.exit(main())
