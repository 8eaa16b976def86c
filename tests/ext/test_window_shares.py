"""Who floods takes nothing of the duplicate window that others need: shares, and room of its own for refusals."""

from __future__ import annotations

import pytest

from switch.config.models import LimitsSection
from tests.ext.journal_world import JournalWorld
from tests.ext.seeking_world import bought, taking_back, world_of
from tests.ext.world import CARD, purchase, reversal

NO_ROUTE = "5" * 16
FLOODERS = ("10000001", "10000003")
STRANGER = "10000002"
SMALL = {"duplicate_window_count_max": 200, "refusals_kept_max": 40, "terminal_share_percent": 25}
DEFAULT = {
    name: LimitsSection.model_fields[name].default
    for name in ("duplicate_window_count_max", "refusals_kept_max", "terminal_share_percent")
}


def paid_by_a_stranger(world, issuer):
    """A charge of a terminal that does nothing else: its line, its request, and the answer that it was told."""
    line = world.terminal()
    request = purchase(world, f41=STRANGER)
    line.send(request)
    issuer.answer(issuer.read_one())
    line.read_one()
    return line, request, line.raw[-1]


def get_stored_answer(world, issuer, line, request, told):
    """A repeat gets the very answer that was told, and no issuer is asked."""
    line.send(request)
    line.read_one()
    assert line.raw[-1] == told
    assert not [one for one in issuer.read() if one["2"] == request["2"] and one["4"] == request["4"]]


@pytest.mark.parametrize(("limits", "times"), [(SMALL, 400), (DEFAULT, 2_000)])
def test_refusals_do_not_push_a_charge_out(make_world, limits, times):
    world = make_world(limits=limits)
    issuer = world.issuer()
    stranger, request, told = paid_by_a_stranger(world, issuer)
    lines = [world.terminal("cup" if name == "10000001" else "iso") for name in FLOODERS]
    for _ in range(times):
        for name, line in zip(FLOODERS, lines, strict=True):
            dialect = "cup" if name == "10000001" else "iso"
            assert line.ask(purchase(world, dialect, f2=NO_ROUTE, f41=name, **_merchant(name)))["39"] in ("15", "14")
    window = world.engine.state.duplicates
    assert window.forgotten_early == 0
    assert window.held == 1
    assert window.brief <= 2 * window.brief_share
    get_stored_answer(world, issuer, stranger, request, told)


def _merchant(name):
    return {"f42": "898000000000002"} if name == "10000003" else {}


def test_charges_of_others_do_not_push_a_charge_out(make_world):
    """Two terminals pay until they are told 96: what is free by then is for the others."""
    world = make_world(limits=SMALL)
    issuer = world.issuer()
    stranger, request, told = paid_by_a_stranger(world, issuer)
    lines = {name: world.terminal() for name in ("10000003", STRANGER)}
    codes = {name: [] for name in lines}
    for number in range(200):
        for name, line in lines.items():
            line.send(purchase(world, f41=name, f4=f"{number + 5:012}", **_merchant(name)))
            for asked in issuer.read():
                issuer.answer(asked)
            codes[name].append(line.read_one()["39"])
    window = world.engine.state.duplicates
    for told_codes in codes.values():
        accepted = told_codes.count("00")
        assert told_codes == ["00"] * accepted + ["96"] * (200 - accepted)
        assert 30 < accepted < 60
    assert world.count("refused_at_limit_total", limit="terminal_duplicates") > 200
    assert world.count("refused_at_limit_total", limit="duplicates") == 0
    assert window.room - window.held > window.room // 2
    assert window.forgotten_early == 0
    get_stored_answer(world, issuer, stranger, request, told)
    world.advance(601, step=50)
    assert (window.held, window.brief, window.in_use) == (0, 0, 0)
    world.terminal().send(purchase(world, f41=STRANGER))
    assert issuer.read_one()["t"] == "0200"


def test_full_window_refuses_and_forgets_nothing(make_world):
    world = make_world(limits={"duplicate_window_count_max": 4, "transactions_in_flight_max": 4})
    line, issuer = world.terminal(), world.issuer()
    told = []
    for _ in range(20):
        request = purchase(world)
        line.send(request)
        for asked in issuer.read():
            issuer.answer(asked)
        told.append((request, line.read_one()["39"]))
    assert [code for _, code in told] == ["00"] * 8 + ["96"] * 12
    assert world.count("refused_at_limit_total", limit="duplicates") == 12
    for request, code in told:
        assert line.ask(request)["39"] == code
    assert issuer.read() == []
    # A payment can be taken back even so.
    paid = told[0][0]
    assert line.ask({**paid, "t": "0400", "11": world.stan(), "90": f"0200{paid['11']}" + "0" * 32})["39"] == "00"
    world.tick()
    assert issuer.read_one()["t"] == "0420"


def test_refusals_are_forgotten_by_their_own_terminal_first(make_world):
    world = make_world(limits=SMALL)
    issuer = world.issuer()
    line = world.terminal()
    quiet = purchase(world, f2=NO_ROUTE, f41=STRANGER)
    assert line.ask(quiet)["39"] == "15"
    loud = [purchase(world, f2=NO_ROUTE, f41="10000003", f42="898000000000002") for _ in range(50)]
    for request in loud:
        line.send(request)
    assert {answer["39"] for answer in line.read()} == {"15"}
    window = world.engine.state.duplicates
    assert window.brief == 11  # one terminal's share is ten
    assert window.brief_forgotten_early == 40
    first = line.ask(quiet)
    assert line.ask(quiet)["37"] == first["37"]
    assert window.brief == 11
    assert issuer.read() == []


def test_refusals_of_many_make_room_in_order(make_world):
    world = make_world(limits={**SMALL, "refusals_kept_max": 4, "terminal_share_percent": 50})
    line = world.terminal()
    requests = [
        purchase(world, f2=NO_ROUTE, f41=name, **_merchant(name))
        for name in (STRANGER, "10000003", STRANGER, "10000003", STRANGER, "10000003", "10000003")
    ]
    numbers = [line.ask(request)["37"] for request in requests]
    window = world.engine.state.duplicates
    assert (window.brief, window.brief_forgotten_early) == (4, 3)
    assert [line.ask(request)["37"] for request in requests[-2:]] == numbers[-2:]
    assert line.ask(requests[0])["37"] != numbers[0]  # forgotten: it is decided anew


def test_a_refusal_is_told_again_with_its_number_after_a_restart():
    world = JournalWorld()
    line = world.terminal()
    refused = purchase(world, f2=NO_ROUTE)
    told = line.ask(refused)
    world = world.killed()
    assert world.engine.state.duplicates.brief == 1
    assert world.engine.state.duplicates.held == 0
    again = world.terminal().ask(refused)
    assert (again["39"], again["37"]) == (told["39"], told["37"])


def test_refusals_that_the_window_has_forgotten_leave_their_terminal_room(make_world):
    world = make_world(limits=SMALL | {"duplicate_window_seconds": 600})
    window = world.engine.state.duplicates
    told = []
    for _ in range(6):
        line = world.terminal()
        told += [(request := purchase(world, f2=NO_ROUTE), line.ask(request)["37"]) for _ in range(5)]
        for request, number in told[-10:]:
            assert line.ask(request)["37"] == number
        assert window.brief_forgotten_early == 0
        world.advance(301, step=301)
    assert window.brief == 5


def test_a_refused_payment_is_not_charged_when_its_issuer_is_back(make_world):
    world = make_world()
    line = world.terminal()
    request = purchase(world)
    assert line.ask(request)["39"] == "91"
    issuer = world.issuer()
    assert line.ask(request)["39"] == "91"
    assert issuer.read() == []
    line.send(purchase(world))
    assert issuer.read_one()["2"] == CARD


def test_a_recovery_that_finds_no_place_says_so():
    world = JournalWorld(limits={"duplicate_window_count_max": 200})
    issuer, line = world.issuer(), world.terminal()
    requests = [purchase(world) for _ in range(100)]
    for request in requests:
        line.send(request)
        issuer.answer(issuer.read_one())
        assert line.read_one()["39"] == "00"
    world = world.killed(limits={"duplicate_window_count_max": 30, "transactions_in_flight_max": 20})
    window = world.engine.state.duplicates
    assert (window.held, window.forgotten_early) == (50, 50)
    line = world.terminal()
    assert line.ask(requests[-1])["39"] == "00"
    assert line.ask(purchase(world))["39"] == "96"


def test_what_was_taken_back_stays_so_when_refusals_came_before_it():
    limits = {
        "duplicate_window_count_max": 1,
        "transactions_in_flight_max": 2,
        "refusals_kept_max": 8,
        "terminal_share_percent": 100,
    }
    world = JournalWorld(limits=limits)
    line, issuer = world.terminal(), world.issuer()
    for _ in range(6):
        assert line.ask(purchase(world, f2=NO_ROUTE))["39"] == "15"
    paid = purchase(world)
    line.send(paid)
    issuer.answer(issuer.read_one())
    assert line.read_one()["39"] == "00"
    assert line.ask(reversal(world, paid))["39"] == "00"
    world = world.killed(limits=limits)
    assert world.terminal().ask(paid)["39"] == "68"


def test_reversals_that_wait_take_no_more_room_than_there_is():
    limits = {"refusals_kept_max": 3, "terminal_share_percent": 100}
    world = world_of("iso87-ascii", "iso87-ascii", limits=limits)
    world.is_sought = False
    line = world.terminal("pos")
    window, waiting = world.engine.state.duplicates, world.engine.state.inquiries.waiting
    refused = bought(world, f2=NO_ROUTE)
    assert line.ask(refused)["39"] == "15"
    codes = []
    for _ in range(8):
        line.send(taking_back(world, bought(world, f2=NO_ROUTE)))
        codes += [answer["39"] for answer in line.read()]
        assert window.brief + waiting.count <= window.brief_room
    assert (waiting.count, codes) == (3, ["96"] * 5)
    assert world.count("refused_at_limit_total", limit="originals") == 5
    # What is refused meanwhile is remembered all the same.
    assert line.ask(bought(world, f2=NO_ROUTE))["39"] == "15"
    assert (window.brief, window.brief_open) == (1, 3)
    world.is_sought = True
    world.advance(1)
    assert [answer["39"] for answer in line.read()] == ["15"] * 3
    assert line.ask(bought(world, f2=NO_ROUTE))["39"] == "15"
    assert (window.brief, window.brief_open) == (3, 0)
