"""A worker that lies to another: it is cut off with a reason, harms nobody else, and every count stays right."""

from __future__ import annotations

import pytest

from tests.ext.mesh_records import written
from tests.ext.mesh_world import HERE, THERE, Pair, asked_by
from tests.ext.world import link

UNTOLD = "it speaks of a terminal that it has not told of"
NOT_HERE = "it gives a frame to a partition that is not here"
NOT_ITS = "it gives a frame to a partition that is not its terminal's"
TOO_MUCH_TOLD = "it has told more than it was given"
TOO_MUCH_SEEN = "it says that it has looked at more than it was given"
NO_LINK = "it speaks of a link that is not there"
NO_TERMINAL = "it tells of a terminal that cannot be"
FREE_SLOT = 900


class Scene(Pair):
    """A terminal at the first worker has one answer from the second, and waits for another."""

    def __init__(self) -> None:
        super().__init__(
            links=[link("bank-a", "iso87-ascii")],
            routes=["6,,,,,,bank-a:1", "4,,,,,,bank-a:1"],
            limits={"transactions_in_flight_max": 300},
        )
        self.terminal, self.issuer = self.first.terminal(), self.second.issuer()
        self.request = asked_by(self.first, THERE)
        self.terminal.send(self.request)
        self.issuer.answer(self.issuer.read_one())
        self.second.sync()
        self.answer = self.terminal.read_one()
        self.terminal.send(asked_by(self.first, THERE))
        self.asked = self.issuer.read_one()
        assert self.terminal.channel.in_flight == 1

    def name(self, **changes):
        """The terminal's connection, as records name it."""
        return {"slot": self.terminal.channel.slot, "generation": self.terminal.channel.generation} | changes


def asked(scene, terminal):
    """A purchase of a terminal, as it is handed over."""
    return {"headers": b"", "message": bytes(scene.terminal.encode(asked_by(scene.first, terminal), mac=False))}


@pytest.fixture
def scene():
    one = Scene()
    yield one
    one.settle()


def lies_to_the_owner(scene):
    """What the first worker may say of its terminals and links that cannot be, and the reason to part."""
    message = {"headers": b"", "message": b"0200"}
    opened = {"peer": "192.0.2.1", "name": b""}
    unknown = scene.name(slot=FREE_SLOT)
    earlier = scene.name(generation=scene.terminal.channel.generation + 1)
    return {
        "frame of no terminal": ("terminal_frame", {**unknown, **message, "partition": 2}, UNTOLD),
        "frame of an earlier one": ("terminal_frame", {**earlier, **message, "partition": 2}, UNTOLD),
        "frame for its own partition": ("terminal_frame", {**scene.name(), **message, "partition": 0}, NOT_HERE),
        "frame for none": ("terminal_frame", {**scene.name(), **message, "partition": 65_535}, NOT_HERE),
        "headers": ("terminal_frame", {**scene.name(), "headers": b"1", "message": b"0", "partition": 2}, NOT_HERE),
        "another's frame": ("terminal_frame", {**scene.name(), **asked(scene, HERE), "partition": 2}, NOT_ITS),
        "no message": ("terminal_frame", {**scene.name(), **message, "partition": 2}, NOT_ITS),
        "told of none": ("told", {**unknown, "told": 0}, UNTOLD),
        "told of an earlier one": ("told", {**earlier, "told": 1}, UNTOLD),
        "told too much": ("told", {**scene.name(), "told": 2}, TOO_MUCH_TOLD),
        "told as much as there is": ("told", {**scene.name(), "told": 2**64 - 1}, TOO_MUCH_TOLD),
        "told less": ("told", {**scene.name(), "told": 0}, TOO_MUCH_TOLD),
        "closed of none": ("terminal_closed", {**unknown, "told": 0}, UNTOLD),
        "closed and told too much": ("terminal_closed", {**scene.name(), "told": 2}, TOO_MUCH_TOLD),
        "opened twice": ("terminal_open", {**scene.name(), **opened, "listener": 0}, "it tells twice of one terminal"),
        "no listener": ("terminal_open", {**unknown, **opened, "listener": 1}, NO_TERMINAL),
        "no slot": ("terminal_open", {**scene.name(slot=1 << 20), **opened, "listener": 0}, NO_TERMINAL),
        "state of no link": ("link_state", {"link": 1, "state": 1, "connections": 1}, NO_LINK),
        "frame to no link": ("link_send", {"link": 1, "frame": b"0200"}, NO_LINK),
        "frame of no link": ("link_frame", {"link": 65_535, **message}, NO_LINK),
        "who it is": ("hello", HELLO, "it says twice who it is"),
    }


OWNED = {0: (1, 1, 0), 1: (1, 1, 0)}
HELLO = {"worker": 0, "partitions": 3, "digest": bytes(32), "node": "n", "owned": OWNED, "asks": False}
LIES = tuple(lies_to_the_owner(Scene()))


@pytest.mark.parametrize("lie", LIES)
def test_who_lies_to_an_owner_is_cut_off(scene, lie):
    kind, values, reason = lies_to_the_owner(scene)[lie]
    scene.carries = False
    record = written(kind, values)
    scene.second.engine.hear(scene.second.peer, record + written("ping", {"token": 1}))
    assert scene.second.peer.fault == reason
    assert scene.second.engine.hear(scene.second.peer, record) == 0, "nothing more is heard of it"
    goes_on_with_others(scene)


def goes_on_with_others(scene):
    """A terminal of the second worker's own is served; the first one's is not told, and comes back."""
    scene.second.syncs = True
    own = scene.second.terminal()
    scene.part()
    assert scene.terminal.channel.in_flight == 0
    own.send(asked_by(scene.first, THERE))
    scene.issuer.answer(scene.issuer.read_one())
    scene.second.sync()
    assert own.read_one()["39"] == "00"
    assert own.channel.in_flight == 0
    scene.issuer.answer(scene.asked)
    scene.second.sync()
    assert scene.second.engine.owed == 1, "nobody was told of it"
    scene.meet()
    assert scene.terminal.ask(scene.request) == scene.answer
    assert scene.terminal.channel.in_flight == 0


def test_who_gives_more_than_a_connection_may_have_under_way_is_cut_off(scene):
    scene.carries = False
    room = scene.second.config.listeners[0].requests_in_flight_max - 1  # one is under way
    engine, peer = scene.second.engine, scene.second.peer
    for given in range(room + 1):
        assert peer.fault is None, given
        engine.hear(peer, written("terminal_frame", {**scene.name(), **asked(scene, THERE), "partition": 2}))
    assert peer.fault == "it gives more requests of a connection than may be under way"
    assert engine.in_flight == room + 1, "what came before is on its way"
    scene.part()
    scene.meet()
    for request in [scene.asked, *scene.issuer.read()]:
        scene.issuer.answer(request)
    scene.second.sync()


@pytest.mark.parametrize(("handled", "in_flight"), [(3, 0), (2**64 - 1, 0), (0, 0)], ids=["more", "all", "less"])
def test_who_has_looked_at_what_cannot_be_is_cut_off(scene, handled, in_flight):
    scene.carries = False
    record = written("handled", scene.name(handled=handled, in_flight=in_flight))
    scene.first.engine.hear(scene.first.peer, record)
    assert scene.first.peer.fault == TOO_MUCH_SEEN
    assert scene.terminal.channel.in_flight == 1, "what was believed before stands"
    goes_on_with_others(scene)


@pytest.mark.parametrize("change", [{"slot": FREE_SLOT}, {"slot": 2**32 - 1}, {"generation": 0}], ids=str)
def test_what_is_said_of_a_connection_that_is_gone_reaches_nobody(scene, change):
    name = scene.name(**change)
    neighbour = scene.first.terminal()
    records = [
        written("answer", {**name, "frame": b"0210"}),
        written("handled", {**name, "handled": 1, "in_flight": 1}),
        written("hang_up", {**name, "reason": "away"}),
    ]
    said = b"".join(records)
    assert scene.first.engine.hear(scene.first.peer, said) == len(said)
    assert scene.first.peer.fault is None
    for one in (scene.terminal, neighbour):
        assert one.read() == []
        assert one.hung_up is None
    assert (scene.terminal.channel.in_flight, neighbour.channel.in_flight) == (1, 0)
    scene.issuer.answer(scene.asked)
    scene.second.sync()
    assert scene.terminal.read_one()["39"] == "00"


def test_what_is_said_of_a_connection_that_was_never_handed_over_reaches_nobody(scene):
    neighbour = scene.first.terminal()
    name = {"slot": neighbour.channel.slot, "generation": neighbour.channel.generation}
    said = b"".join(
        [
            written("answer", {**name, "frame": b"0210"}),
            written("handled", {**name, "handled": 1, "in_flight": 1}),
            written("hang_up", {**name, "reason": "away"}),
        ]
    )
    assert scene.first.engine.hear(scene.first.peer, said) == len(said)
    assert (neighbour.read(), neighbour.hung_up, neighbour.channel.in_flight) == ([], None, 0)
    scene.issuer.answer(scene.asked)
    scene.second.sync()
    assert scene.terminal.read_one()["39"] == "00"


def test_answer_that_nobody_waits_for_is_no_payment(scene):
    stray = {"headers": b"", "message": b"garbage that is no message"}
    said = written("link_frame", {"link": 0, **stray})
    assert scene.first.engine.hear(scene.first.peer, said) == len(said)
    assert scene.first.peer.fault is None
    scene.issuer.answer(scene.asked)
    scene.second.sync()
    assert scene.terminal.read_one()["39"] == "00"
    mine = scene.first.terminal()
    mine.send(asked_by(scene.first, HERE))
    scene.issuer.answer(scene.issuer.read_one())
    scene.second.sync()
    assert mine.read_one()["39"] == "00"
