"""Random walks through outages, restarts, lost terminals and reversals: receipts and the issuer's books agree."""

from __future__ import annotations

from random import Random

import pytest

from tests.ext.journal_world import JournalWorld
from tests.ext.test_engine_advice import advice
from tests.ext.test_engine_stand_in import limits
from tests.ext.world import IssuerLine, link, purchase, reversal

STEPS = 60
RULE = limits(card_amount_max=None, card_count_max=None, outstanding_max=10**9)
SHAPE = {
    "links": [
        link("bank-a", "iso87-ascii", stand_in=RULE, reversal={"interval_ms": 500, "booking_horizon_seconds": 60})
    ],
    "routes": ["6,,,,,,bank-a:1"],
}


class Bank:
    """An issuer's books, by the number that the switch gave each payment."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.charged: dict[str, str] = {}
        self.undone: set[str] = set()

    def answer(self, line: IssuerLine, *, reliably: bool) -> None:
        """Book what came, and answer all or some of it."""
        for message in line.read():
            code = self.book(message)
            if reliably or self.random.random() < 0.7:
                line.answer(message, code)

    def book(self, message: dict[str, str]) -> str:
        if message["t"][1] == "8":
            return "00"
        if message["t"][1] == "4":
            original = message.get("90", "")[4:10]
            if original not in self.charged:
                return "25"
            self.undone.add(original)
        else:
            assert self.charged.get(message["11"], message["4"]) == message["4"]
            self.charged[message["11"]] = message["4"]
        return "00"

    @property
    def standing(self) -> list[str]:
        """Amounts that are charged and were not taken back."""
        return sorted(amount for stan, amount in self.charged.items() if stan not in self.undone)


class Walk:
    """One walk."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bank = Bank(self.random)
        self.world = JournalWorld(**SHAPE)
        self.number = 0
        self.receipts: dict[str, dict[str, str]] = {}
        self.unsure: list[dict[str, str]] = []
        self.line: IssuerLine | None = None

    def make(self) -> dict[str, str]:
        self.number += 1
        made = self.random.choice([purchase, purchase, advice])
        return made(self.world, f11=f"{self.number:06d}", f4=f"{1000 + self.number:012d}")

    def pay(self) -> None:
        request = self.make()
        terminal = self.world.terminal()
        terminal.send(request)
        if self.line is not None and self.random.random() < 0.8:
            self.bank.answer(self.line, reliably=True)
        lost = self.random.random() < 0.25
        answers = [] if lost else terminal.read()
        terminal.close()
        if answers and answers[0]["39"] == "00":
            self.receipts[request["4"]] = request
        elif not answers:
            self.unsure.append(request)

    def take_back(self) -> None:
        if self.unsure:
            request = self.unsure.pop()
        elif self.receipts:
            request = self.receipts.pop(self.random.choice(sorted(self.receipts)))
        else:
            return
        self.number += 1
        terminal = self.world.terminal()
        assert terminal.ask(reversal(self.world, request, f11=f"{self.number:06d}"))["39"] == "00"
        terminal.close()

    def cut(self) -> None:
        if self.line is None:
            self.line = self.world.issuer()
        else:
            self.line.close()
            self.line = None

    def serve(self) -> None:
        if self.line is not None:
            self.bank.answer(self.line, reliably=False)

    def wait(self) -> None:
        self.world.advance(self.random.choice([0.1, 1, 5, 20]), step=0.5)

    def crash(self) -> None:
        self.world = self.world.killed(**SHAPE)
        self.line = None

    def end(self) -> None:
        """Faults stop; what is unsure is taken back, and everything comes to rest."""
        while self.unsure:
            self.take_back()
        for _ in range(400):
            if self.line is None or self.line.hung_up:
                self.line = self.world.issuer()
            self.bank.answer(self.line, reliably=True)
            if self.world.engine.owed == 0 and self.world.engine.in_flight == 0:
                break
            self.world.advance(2, step=0.5)
        self.line.close()
        self.world.advance(120, step=1)
        assert self.world.engine.owed == 0
        assert self.bank.standing == sorted(self.receipts)


@pytest.mark.parametrize("seed", range(24))
def test_books_and_receipts_agree(seed: int) -> None:
    walk = Walk(seed)
    steps = [walk.pay, walk.pay, walk.pay, walk.take_back, walk.cut, walk.serve, walk.serve, walk.wait, walk.crash]
    weights = [1, 1, 1, 1, 0.7, 1, 1, 1, 0.15]
    for _ in range(STEPS):
        walk.random.choices(steps, weights)[0]()
    walk.end()
    assert walk.number > 10
