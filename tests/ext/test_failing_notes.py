"""A log that raises at every word: each transaction ends as with one that works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from switch.journal.memory import MemoryJournal
from switch.machine.note_queue import EVENTS
from switch.saf.owed_entries import note_overdue
from tests.ext.numbers import NO_CEILING, spend_numbers
from tests.ext.world import (
    AT_ONCE,
    CARD,
    LISTENERS,
    ROUTES,
    VISA,
    Document,
    IssuerLine,
    World,
    change,
    link,
    listener,
    purchase,
    reversal,
)

LINKS = (
    link("bank-a", "iso87-ascii", timeouts_to_unhealthy=2, reversal={"alert_seconds": 20, **AT_ONCE}),
    link("bank-b", "iso87-binary", mac=False, sign_on=True),
)


class LogError(Exception):
    """What a log says that cannot write."""


class Day:
    """One world and all that its parties hear; what happens is said by the names of scenes."""

    def __init__(self, note: Callable[[str, dict[str, Any]], None] | None = None) -> None:
        self.heard: list[tuple[str, Document]] = []
        self.world = World(links=LINKS, limits={"reversals_max": 6}, note=note)
        self.banks: dict[str, IssuerLine] = {}
        self.seen()

    def bank(self, name: str = "bank-a") -> IssuerLine:
        """A connection to an issuer, signed on."""
        line = self.banks.get(name)
        if line is None or not line.channel.is_open or line.hung_up:
            line = self.banks[name] = self.world.issuer(name)
            if name == "bank-b":
                self.answered(line, {})
        return line

    def read(self, line: Any, who: str) -> list[Document]:
        """What a party hears, kept for the comparison."""
        documents: list[Document] = line.read()
        self.heard += [(who, document) for document in documents]
        return documents

    def answered(self, line: IssuerLine, changes: Mapping[str, str | None], **how: Any) -> None:
        """Answer whatever an issuer is asked."""
        for asked in self.read(line, "issuer"):
            if int(asked["t"][2]) % 2 == 0 and line.channel.is_open:
                line.answer(asked, **changes, **how)
        self.read(line, "issuer")

    def pay(self, changes: Mapping[str, str | None] | None = None, card: str = CARD, **how: Any) -> None:
        """A purchase and its answer; without changes the issuer is silent."""
        bank = self.bank("bank-a" if card == CARD else "bank-b")
        terminal = self.world.terminal()
        terminal.send(purchase(self.world, f2=card))
        if changes is not None:
            self.answered(bank, changes, **how)
        self.read(terminal, "terminal")
        self.world.advance(1)
        terminal.close()

    def seen(self) -> dict[str, Any]:
        """All that there is to compare, but for what counts the notes themselves."""
        state = self.world.engine.state
        metrics = self.world.stats.exposition().decode().splitlines()
        return {
            "heard": self.heard,
            "records": self.world.journal.records,
            "links": [(one.connections.state_name, one.in_flight, one.saf.depth) for one in state.links],
            "places": (state.transactions.in_use, state.saf.in_use, state.duplicates.in_use),
            "metrics": [line for line in metrics if not line.startswith("authswitch_notes_failed_total")],
        }


def silent_issuer(day: Day) -> None:
    """Time-outs suspend the link."""
    bank, terminal = day.bank(), day.world.terminal()
    for _ in range(3):
        terminal.send(purchase(day.world))
    day.read(bank, "issuer")
    day.world.advance(16)
    day.read(terminal, "terminal")
    terminal.close()
    day.answered(bank, {})


def late_approval(day: Day) -> None:
    """The approval comes after the time-out, and after the reversal was acknowledged as not found."""
    bank, terminal = day.bank(), day.world.terminal()
    terminal.send(purchase(day.world))
    asked = day.read(bank, "issuer")
    day.world.advance(16)
    for attempt in day.read(bank, "issuer"):
        if attempt["t"][1] == "4":
            bank.answer(attempt, "25")
    for request in asked:
        if request["t"] == "0200":
            bank.answer(request)
    day.answered(bank, {})
    day.read(terminal, "terminal")
    terminal.close()


def issuer_speaks_out_of_turn(day: Day) -> None:
    """A request of the issuer's own, an answer to nothing, and a message that cannot be read."""
    bank = day.bank()
    document = {"t": "0200", "3": "000000", "4": "000000000100", "11": "999999", "39": "00"}
    bank.send(document)
    bank.send(change(document, t="0210"))
    bank.feed(bank.frame(b"0210Z"))
    day.read(bank, "issuer")


def terminal_is_unreadable(day: Day) -> None:
    """A field outside its class, then a frame without end."""
    terminal = day.world.terminal()
    request = terminal.encode(purchase(day.world))
    terminal.feed(terminal.frame(request[:-20]))
    day.read(terminal, "terminal")
    terminal.feed(b"\xff" * 64)
    day.read(terminal, "terminal")
    terminal.close()


def link_breaks(day: Day) -> None:
    """The issuer's framing ends the connection, with a request under way."""
    bank, terminal = day.bank(), day.world.terminal()
    terminal.send(purchase(day.world))
    day.read(bank, "issuer")
    bank.feed(b"\xff" * 64)
    day.read(bank, "issuer")
    bank.close()
    day.world.advance(16)
    day.read(terminal, "terminal")
    terminal.close()


def sign_on_fails(day: Day) -> None:
    """Refused once, not answered once."""
    for is_refused in (True, False):
        line = day.world.issuer("bank-b")
        for asked in day.read(line, "issuer"):
            if is_refused:
                line.answer(asked, "05")
        day.world.advance(30)
        line.close()


def untold_without_room(day: Day) -> None:
    """So many time-outs that no reversal finds room, then approvals that nobody is told of."""
    bank = day.bank()
    bank.close()
    for _ in range(5):
        bank = day.world.issuer("bank-a")
        terminal = day.world.terminal()
        terminal.send(purchase(day.world))
        day.read(bank, "issuer")
        bank.close()
        day.world.advance(16)
        day.read(terminal, "terminal")
        terminal.close()
    day.world.advance(30)
    note_overdue(day.world.engine.state)
    day.answered(day.bank(), {})


def told_afterwards(day: Day) -> None:
    """An advice that its issuer declines."""
    bank, terminal = day.bank(), day.world.terminal()
    terminal.send(purchase(day.world, t="0220", f37=None, f38="123456"))
    day.read(terminal, "terminal")
    day.world.tick()
    for asked in day.read(bank, "issuer"):
        if int(asked["t"][2]) % 2 == 0:
            bank.answer(asked, "05")
    terminal.close()


def taken_back(day: Day) -> None:
    """An approval that does not reach its terminal."""
    bank, terminal = day.bank(), day.world.terminal()
    terminal.send(purchase(day.world))
    asked = day.read(bank, "issuer")
    terminal.close()
    for request in asked:
        if int(request["t"][2]) % 2 == 0 and bank.channel.is_open:
            bank.answer(request)
    day.answered(bank, {})


def promised_in_vain(day: Day) -> None:
    """A terminal takes an approval back, is told yes, and its issuer does not know it."""
    bank, terminal = day.bank(), day.world.terminal()
    bought = purchase(day.world)
    terminal.send(bought)
    day.answered(bank, {})
    day.read(terminal, "terminal")
    terminal.send(reversal(day.world, bought))
    day.read(terminal, "terminal")
    day.world.tick()
    day.answered(bank, {"code": "25"})
    terminal.close()


def terminal_is_refused(day: Day) -> None:
    """A stranger, a wrong MAC, keys for nobody, no or an unknown kind, a PIN block of noise, a number used before."""
    bank, terminal = day.bank(), day.world.terminal()
    first = purchase(day.world)
    terminal.send(change(first, t="0210"))
    terminal.send(first, mac=False)
    terminal.send({"t": "0800", "7": first["7"], "11": "000009", "41": first["41"], "70": "161"}, mac=False)
    for changes in ({"f41": "99999999"}, {"f3": "770000"}, {"f4": None}, {"f2": None, "f35": None}):
        terminal.send(purchase(day.world, **changes))
    terminal.send(purchase(day.world, f52="0A1B2C3D4E5F6071"))
    terminal.send(first)
    terminal.send(change(first, f4="000000009999"))
    day.answered(bank, {})
    day.read(terminal, "terminal")
    terminal.close()


def no_number_left(day: Day) -> None:
    """A time-out while no STAN is left for its reversal."""
    bank, terminal = day.bank(), day.world.terminal()
    terminal.send(purchase(day.world))
    day.read(bank, "issuer")
    spend_numbers(day.world)
    day.world.advance(16)
    day.world.engine.state.numbering.ceiling = NO_CEILING
    day.world.advance(1)
    day.read(terminal, "terminal")
    terminal.close()
    day.answered(bank, {})


SCENES: dict[str, Callable[[Day], None]] = {
    "approved": lambda day: day.pay({}),
    "approved by another issuer": lambda day: day.pay({}, VISA),
    "declined": lambda day: day.pay({"code": "05"}),
    "unknown code": lambda day: day.pay({"code": "Z9"}),
    "no code": lambda day: day.pay({"f39": None}),
    "another amount": lambda day: day.pay({"f4": "000000000001"}),
    "wrong MAC": lambda day: day.pay({}, mac=False),
    "silent": lambda day: day.pay(),
    "silent issuer": silent_issuer,
    "late approval": late_approval,
    "issuer speaks out of turn": issuer_speaks_out_of_turn,
    "terminal is unreadable": terminal_is_unreadable,
    "terminal is refused": terminal_is_refused,
    "link breaks": link_breaks,
    "sign-on fails": sign_on_fails,
    "untold without room": untold_without_room,
    "no number left": no_number_left,
    "told afterwards": told_afterwards,
    "taken back": taken_back,
    "promised in vain": promised_in_vain,
    "time passes": lambda day: day.world.advance(20),
}

MISFITS: dict[str, tuple[str, str, str]] = {
    "request_not_composable": ("bank-a", '7 = {format = "n8"}', "0200"),
    "advice_not_composable": ("bank-a", '7 = {format = "n8"}', "0220"),
    "network_message_not_composable": ("bank-a", '7 = {format = "n8"}', ""),
    "answer_not_composable": ("iso", '37 = {format = "an10"}', "0200"),
}
"""What is told where a field is too short, which ``check`` refuses: the side that speaks such a dialect, the field, and
the MTI of what a terminal sends."""

NOT_STAGED = {
    "reversal_not_composable",
    "network_message_unknown",
    "answer_without_room",
    "reversal_store_full",
    "reversal_without_request",
    "reversal_without_link",
    "reversal_withheld",
    "terminal_elsewhere",
    "terminal_in_service",
}
"""For these another registry or dialect, a full table, a link that is gone, a slow disk or a restart is needed."""


def misfit(event: str, folder: Path, note: Callable[[str, dict[str, Any]], None] | None = None) -> World:
    """A world in which a message cannot be composed, when a terminal has asked for it."""
    side, field, mti = MISFITS[event]
    path = folder / "short.toml"
    path.write_text(f'extends = "iso87-ascii"\n[fields]\n{field}\n')
    spoken = {name: str(path) if name == side else "iso87-ascii" for name in ("iso", "bank-a")}
    world = World(
        listeners=(listener("iso", spoken["iso"]),),
        links=(link("bank-a", spoken["bank-a"], mac=False, sign_on=not mti),),
        routes=("6,,,,,,bank-a:1",),
        note=note,
    )
    issuer, terminal = world.issuer(), world.terminal()
    if mti:
        changes = {"f37": None, "f38": "123456"} if mti == "0220" else {}
        terminal.send(purchase(world, t=mti, **changes))
    for asked in issuer.read():
        issuer.answer(asked)
    world.advance(20)
    return world


@pytest.mark.parametrize("event", MISFITS)
def test_what_cannot_be_composed_ends_the_same_with_a_log_that_always_raises(event: str, tmp_path: Path):
    well, ill = misfit(event, tmp_path), misfit(event, tmp_path, failing)
    assert event in {name for name, _ in well.notes}
    assert ill.count("notes_failed_total") == len(well.notes)
    assert isinstance(well.journal, MemoryJournal)
    assert isinstance(ill.journal, MemoryJournal)
    assert ill.journal.records == well.journal.records
    assert [line.read() for line in ill.lines] == [line.read() for line in well.lines]
    assert [(one.connections.state_name, one.in_flight, one.saf.depth) for one in ill.engine.state.links] == [
        (one.connections.state_name, one.in_flight, one.saf.depth) for one in well.engine.state.links
    ]


def failing(event: str, details: dict[str, Any]) -> None:
    """A note that always raises."""
    raise LogError(event)


def test_the_scenes_tell_of_everything():
    told: set[str] = set()
    for scene in SCENES.values():
        day = Day()
        scene(day)
        told |= {name for name, _ in day.world.notes}
    assert {event[0] for event in EVENTS} - told == NOT_STAGED | set(MISFITS)


# Always the same days, and none is made smaller when it fails: that would take minutes, and say no more.
@settings(max_examples=30, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(st.lists(st.sampled_from(sorted(SCENES)), min_size=1, max_size=5), st.sets(st.integers(0, 40)))
def test_a_log_that_raises_changes_nothing(names: list[str], working: set[int]):
    calls = 0

    def moody(event: str, details: dict[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls not in working:
            raise LogError(event)

    well, ill = Day(), Day(moody)
    for name in names:
        SCENES[name](well)
        SCENES[name](ill)
        assert ill.seen() == well.seen()
    assert ill.world.count("notes_failed_total") == calls - len(working & set(range(1, calls + 1)))
    assert well.world.count("notes_failed_total") == 0
    for day in (well, ill):
        day.world.settle()
    assert ill.seen() == well.seen()


@pytest.mark.parametrize("name", sorted(SCENES))
def test_each_scene_ends_with_a_log_that_always_raises(name: str):
    well, ill = Day(), Day(failing)
    for day in (well, ill):
        SCENES[name](day)
        day.world.settle()
    assert ill.seen() == well.seen()
    assert ill.world.count("notes_failed_total") == len(well.world.notes)


def test_time_out_with_a_log_that_always_raises():
    world = World(note=failing)
    terminal, issuer = world.terminal(), world.issuer()
    for _ in range(6):
        terminal.send(purchase(world))
    assert len(issuer.read()) == 6
    world.advance(16)
    assert [answer["39"] for answer in terminal.read()] == ["68"] * 6
    assert world.link("bank-a").connections.state_name == "suspended"
    issuer.answer(issuer.read_one())
    assert [request["t"] for request in issuer.read()] == ["0420"] * 6
    assert world.link("bank-a").connections.state_name == "up"
    assert world.count("notes_failed_total") == 3
    world.settle()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_leaves_between_two_steps(error: type[BaseException]):
    stops = True

    def interrupted(event: str, details: dict[str, Any]) -> None:
        if stops:
            raise error

    world = World(links=LINKS, routes=ROUTES, listeners=LISTENERS, note=interrupted)
    with pytest.raises(error):
        world.issuer()
    stops = False
    assert world.link("bank-a").connections.state_name == "up"
    bank = world.lines[0]
    terminal = world.terminal()
    terminal.send(purchase(world))
    assert isinstance(bank, IssuerLine)
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"


def test_a_flood_is_counted_and_pushes_nothing_else_out():
    world = World()
    terminal, bank = world.terminal(), world.issuer()
    flood = [bank.frame(bank.encode({"t": "0210", "11": f"{number:06d}", "39": "00"})) for number in range(1, 51)]
    bank.feed(b"".join(flood) + b"\xff" * 64)
    told = world.told("link_unmatched_answer")
    assert [details["stan"] for details in told] == list(range(1, 17))
    assert [details.get("held_back") for details in told] == [34] + [None] * 15
    assert len(world.told("frame_error")) == 1
    assert world.count("notes_held_back_total") == 34
    terminal.close()


def test_a_note_may_drive_the_state_machine_on():
    world = World(note=lambda event, details: world.engine.tick())
    terminal, bank = world.terminal(), world.issuer()
    terminal.send(purchase(world))
    bank.answer(bank.read_one())
    assert terminal.read_one()["39"] == "00"
    assert world.count("notes_failed_total") == 0
