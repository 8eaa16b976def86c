"""What must always hold, whatever terminals, issuers, the network and the clock do in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ext.world import (
    CARD,
    VISA,
    Document,
    IssuerLine,
    TerminalLine,
    World,
    change,
    issuer_answer,
    purchase,
    reversal,
)

RECENT = 6
TERMINALS_MAX = 4


@dataclass
class Sale:
    """One purchase, known by its amount, which no other has; as the test itself sees it."""

    request: Document
    name: str
    asker: TerminalLine | None = None
    told: list[str] = field(default_factory=list)
    approved_by_issuer: bool = False
    taken_back: bool = False


class Switching(RuleBasedStateMachine):
    """Terminals of two dialects, two issuers, faults of every kind."""

    def __init__(self):
        super().__init__()
        self.world = World(
            limits={"transactions_in_flight_max": 10, "duplicate_window_count_max": 200, "reversals_max": 30}
        )
        self.sales: dict[str, Sale] = {}
        self.terminals: list[TerminalLine] = []
        self.issuers: dict[str, IssuerLine] = {}
        self.asked: list[tuple[str, Document]] = []
        self.decisions = {}
        self.forwarded: Counter[str] = Counter()
        self.reversed: Counter[str] = Counter()
        self.amount = 100
        for name in ("bank-a", "bank-b"):
            self.issuers[name] = self.world.issuer(name)

    # --- terminals ----------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["cup", "iso"]))
    def terminal_calls(self, name):
        if len(self.terminals) < TERMINALS_MAX:
            self.terminals.append(self.world.terminal(name))

    @precondition(lambda self: self.terminals)
    @rule(data=st.data())
    def terminal_goes_away(self, data):
        terminal = data.draw(st.sampled_from(self.terminals))
        self.terminals.remove(terminal)
        terminal.close()
        for sale in self.sales.values():
            if sale.asker is terminal:
                sale.asker = None

    @precondition(lambda self: self.terminals)
    @rule(data=st.data(), card=st.sampled_from([CARD, VISA]))
    def terminal_asks(self, data, card):
        terminal = data.draw(st.sampled_from(self.terminals))
        name = terminal.channel.listener.name
        self.amount += 1
        request = purchase(self.world, name, f2=card, f4=f"{self.amount:012}")
        self.sales[request["4"]] = Sale(request, name, terminal)
        terminal.send(request)

    def recent(self, data):
        """One of the last requests, and a connection of its dialect to send something about it."""
        sale = data.draw(st.sampled_from(list(self.sales.values())[-RECENT:]))
        fitting = [one for one in self.terminals if one.channel.listener.name == sale.name]
        return sale, data.draw(st.sampled_from(fitting)) if fitting else None

    @precondition(lambda self: self.terminals and self.sales)
    @rule(data=st.data())
    def terminal_asks_again(self, data):
        sale, terminal = self.recent(data)
        if terminal is not None:
            terminal.send(sale.request)
            sale.asker = terminal

    @precondition(lambda self: self.terminals and self.sales)
    @rule(data=st.data())
    def terminal_takes_back(self, data):
        sale, terminal = self.recent(data)
        if terminal is not None:
            sale.taken_back = True
            terminal.send(reversal(self.world, sale.request))

    @precondition(lambda self: self.terminals)
    @rule(data=st.data())
    def terminal_reads(self, data):
        terminal = data.draw(st.sampled_from(self.terminals))
        for answer in terminal.read():
            sale = self.sales[answer["4"]]
            assert sale.name == terminal.channel.listener.name
            assert answer["41"] == sale.request["41"]
            if answer["t"] == "0410":
                continue
            assert answer["11"] == sale.request["11"]
            self.hear(sale, answer["39"])

    def hear(self, sale, code):
        """A terminal was told of the end of its sale."""
        if code == "00":
            assert sale.approved_by_issuer
            # What was refused for want of room was never accepted: it may be asked again.
            assert set(sale.told) <= {"00", "91", "96"}, sale.told
        elif "00" in sale.told:
            assert sale.taken_back, (sale.told, code)
        sale.told.append(code)

    # --- issuers ------------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["bank-a", "bank-b"]))
    def issuer_reads(self, name):
        for request in self.payments(name):
            if request["t"] == "0200":
                self.forwarded[request["4"]] += 1
                assert self.forwarded[request["4"]] == 1
                assert request["2"] == self.sales[request["4"]].request["2"]
            else:
                assert request["t"] in ("0420", "0421")
            self.asked.append((name, request))

    def payments(self, name):
        """What an issuer is asked beside echo tests, which it answers."""
        for request in self.issuers[name].read():
            if request["t"] == "0800":
                self.issuers[name].answer(request, mac=False)
            else:
                yield request

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), code=st.sampled_from(["00", "00", "51", "96"]), keep=st.booleans())
    def issuer_answers(self, data, code, keep):
        place = data.draw(st.integers(0, len(self.asked) - 1))
        name, request = self.asked[place]
        if not keep:
            del self.asked[place]
        self.answer(name, request, code)

    def answer(self, name, request, code):
        if request["t"] == "0200":
            # An issuer decides once, however often it says so.
            code = self.decisions.setdefault(request["4"], code)
            self.sales[request["4"]].approved_by_issuer |= code == "00"
        elif code == "00":
            self.reversed[request["4"]] += 1
        self.issuers[name].answer(request, code)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), fault=st.sampled_from(["mac", "amount", "terminal", "number", "class", "cut"]))
    def issuer_errs(self, data, fault):
        name, request = data.draw(st.sampled_from(self.asked))
        issuer = self.issuers[name]
        answer = issuer_answer(request)
        if fault == "mac":
            if issuer.mac:
                issuer.send(answer, mac=False)
        elif fault == "cut":
            issuer.feed(issuer.frame(issuer.encode(answer)[:40]))
        else:
            wrong = {
                "amount": {"f4": "000000999999"},
                "terminal": {"f41": "10000007"},
                "number": {"f11": "777777"},
                "class": {"t": "0110"},
            }[fault]
            issuer.send(change(answer, **wrong))

    @rule(name=st.sampled_from(["bank-a", "bank-b"]))
    def issuer_comes_back(self, name):
        self.issuer_calls_anew(name)

    def issuer_calls_anew(self, name):
        """A new connection of a link; what the old one had not read is lost."""
        self.issuers[name].close()
        self.issuers[name] = self.world.issuer(name)

    # --- time and disk ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.3, 5.0, 16.0]))
    def time_passes(self, seconds):
        self.world.advance(seconds)

    @rule()
    def disk_rests_or_goes_on(self):
        self.world.syncs = not self.world.syncs

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def tables_are_bounded(self):
        state = self.world.engine.state
        for table in (state.transactions, state.duplicates, state.saf):
            assert table.in_use <= table.room
        under_way = sum(one.channel.in_flight for one in self.terminals)
        assert under_way <= sum(one.in_flight for one in state.links)

    def teardown(self):
        """The faults end: everything is answered or expires, and what was approved was told or taken back."""
        self.world.syncs = True
        for terminal in self.terminals:
            for answer in terminal.read():
                if answer["t"] != "0410":
                    self.hear(self.sales[answer["4"]], answer["39"])
            terminal.close()
        state = self.world.engine.state
        for _ in range(300):
            for name in [name for name, issuer in self.issuers.items() if issuer.hung_up is not None]:
                self.issuers[name].close()  # it did not read in time, and calls anew
                self.issuers[name] = self.world.issuer(name)
            self.acknowledge_reversals()
            if not state.transactions.in_use and not state.saf.in_use:
                break
            self.world.advance(5, step=1)
        for sale in self.sales.values():
            is_told = "00" in sale.told
            is_reversed = self.reversed[sale.request["4"]] > 0
            assert is_told or is_reversed or not sale.approved_by_issuer, sale
            assert sale.taken_back or not (is_told and is_reversed), sale
        for line in list(self.world.lines):
            line.close()
        self.world.assert_empty()

    def acknowledge_reversals(self):
        """Issuers that are well again answer reversals, and nothing else."""
        for name in self.issuers:
            if self.world.link(name).connections.state_name != "up":
                self.issuer_calls_anew(name)
            for request in self.payments(name):
                if request["t"] in ("0420", "0421"):
                    self.answer(name, request, "00")


Switching.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestSwitching = Switching.TestCase
