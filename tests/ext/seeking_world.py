"""Terminals and issuers of any dialect, with requests that refer to others: reversals, and what they name."""

from __future__ import annotations

from typing import Any

from tests.ext.journal_world import JournalWorld
from tests.ext.test_engine_stand_in import RULE
from tests.ext.world import Document, IssuerLine, TerminalLine, change, link, listener, purchase

DIALECTS = ("iso87-ascii", "iso87-binary", "iso93-binary", "cup")
MOMENT = {"iso87-ascii": "7", "iso87-binary": "7", "iso93-binary": "12"}
ORIGINAL_FIELD = {"iso87-ascii": 90, "iso87-binary": 90, "iso93-binary": 56, "cup": 61}


class SeekingWorld(JournalWorld):
    """A world that is started again as it was."""

    def __init__(self, *arguments: Any, **changes: Any) -> None:
        self.changes = {name: value for name, value in changes.items() if name != "now_s"}
        super().__init__(*arguments, **changes)

    def killed(self, *, later_s: float = 1.0, power: bool = False, **changes: Any) -> SeekingWorld:
        """The world after the process was killed, started again on the same disk."""
        disk = self.memory.after_power_loss() if power else self.memory.copy()
        return SeekingWorld(disk, now_s=self.now_s + later_s, **{**self.changes, **changes})

    def later(self, seconds: float) -> TerminalLine:
        """So much later the terminal calls again: its idle connection was closed meanwhile."""
        self.advance(seconds, step=seconds)
        return self.terminal("pos")


def world_of(terminals: str, issuer: str, **changes: Any) -> SeekingWorld:
    """A listener ``pos`` for terminals of one dialect, and the link ``bank-a`` of another."""
    return SeekingWorld(
        listeners=changes.pop("listeners", None) or [listener("pos", terminals)],
        links=changes.pop("links", None) or [link("bank-a", issuer)],
        routes=changes.pop("routes", ["6,,,,,,bank-a:1"]),
        **changes,
    )


def world_of_parts() -> SeekingWorld:
    """Terminals and an issuer between whom the approval of a part is carried through."""
    return world_of(
        "iso87-ascii",
        "iso87-ascii",
        listeners=[listener("pos", "iso87-ascii", partial_approval="always")],
        links=[link("bank-a", "iso87-ascii", partial_approval=True)],
    )


def bought(world: SeekingWorld, **changes: str | None) -> Document:
    """A purchase in the dialect of the terminals."""
    spoken = world.config.listeners[0].dialect
    document = purchase(world, "pos")
    if spoken.startswith("iso93"):
        document = change(document, t="1200", f7=None, f13=None, f12="270115160000", f22="600101600000", f24="200")
        document.pop("25", None)
    return change(document, **changes)


def in_flight(world: SeekingWorld) -> tuple[TerminalLine, IssuerLine, Document, Document]:
    """A purchase that waits for its issuer: terminal, issuer, what was sent and asked."""
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world)
    terminal.send(request)
    world.tick()
    return terminal, bank, request, bank.read_one()


def approve(
    world: SeekingWorld, terminal: TerminalLine, issuer: IssuerLine, request: Document, **changes: str | None
) -> tuple[Document, Document]:
    """What the issuer was asked, and what the terminal was told."""
    terminal.send(request)
    world.tick()
    asked = issuer.read_one()
    issuer.answer(asked, **changes)
    return asked, terminal.read_one()


def sold(
    mti: str = "0200", **changes: Any
) -> tuple[SeekingWorld, TerminalLine, IssuerLine, Document, Document, Document]:
    """A world in which a payment, or a hold (0100), was approved: world, terminal, issuer, what was sent, asked and
    told."""
    world = world_of("iso87-ascii", "iso87-ascii", **changes)
    terminal, bank = world.terminal("pos"), world.issuer()
    request = bought(world, t=mti)
    asked, told = approve(world, terminal, bank, request)
    return world, terminal, bank, request, asked, told


def standing_in() -> SeekingWorld:
    """A world whose issuer cannot be asked yet, and in whose stead payments are approved."""
    return world_of("iso87-ascii", "iso87-ascii", links=[link("bank-a", "iso87-ascii", stand_in=RULE)])


def stood_in() -> tuple[SeekingWorld, TerminalLine, Document, Document]:
    """A world in which a payment was approved in its issuer's stead: world, terminal, what was sent and told."""
    world = standing_in()
    terminal = world.terminal("pos")
    request = bought(world)
    told = terminal.ask(request)
    assert told["39"] == "00"
    return world, terminal, request, told


def tell_issuer(world: SeekingWorld, code: str) -> IssuerLine:
    """Let the issuer answer the advice of what was approved in its stead."""
    bank = world.issuer()
    world.tick()
    bank.answer(bank.read_one(), code)
    world.tick()
    return bank


def original_data_of(request: Document, spoken: str, **changes: str) -> str:
    """What a terminal of this dialect says of its request in a reversal."""
    parts = {
        "mti": request["t"],
        "stan": request["11"],
        "moment": request.get(MOMENT.get(spoken, "7"), "0" * 10),
        **changes,
    }
    if spoken.startswith("iso93"):
        return parts["mti"] + parts["stan"] + parts["moment"] + "00"
    return parts["mti"] + parts["stan"] + parts["moment"] + "0" * 22


def taking_back(world: SeekingWorld, request: Document, *, named: bool = True, **changes: str | None) -> Document:
    """A terminal's own reversal of a request, in its dialect."""
    spoken = world.config.listeners[0].dialect
    document = change(request, t=request["t"][0] + "400", f52=None, f35=None)
    if spoken != "cup":
        document["11"] = world.stan()
        if named:
            document[str(ORIGINAL_FIELD[spoken])] = original_data_of(request, spoken)
    return change(document, **changes)


def names(reversal: Document, asked: Document, issuer: str) -> bool:
    """Whether a reversal names what an issuer was asked, as its dialect does."""
    if issuer == "cup":
        return reversal["11"] == asked["11"] and reversal["3"] == asked["3"]
    moment = asked[MOMENT[issuer]]
    said = reversal[str(ORIGINAL_FIELD[issuer])]
    return (
        said.startswith(asked["t"] + asked["11"] + moment)
        and reversal["37"] == asked["37"]
        and reversal["3"] == asked["3"]
        and reversal["4"] == asked["4"]
    )
