"""Who is nobody, or asks for too much, is no load of other workers, and takes no places of other terminals."""

from __future__ import annotations

import pytest

from switch.machine.partitioning import partition_of
from switch.mesh.mesh import WAITING_MAX
from tests.ext.mesh_world import COUNT, MERCHANTS, PATIENCE_MS, THERE, Pair, asked_by
from tests.ext.world import MERCHANT, OTHER_MERCHANT

PERCENT = 25
NOBODY = next(name for name in map(str, range(99999000, 99999999)) if partition_of(name, COUNT) == 2)
NOT_ITS = ({MERCHANT, OTHER_MERCHANT} - {MERCHANTS[THERE]}).pop()


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"42": "898000000000099"}, "03"), ({"41": NOBODY}, "58"), ({"42": NOT_ITS}, "58")],
    ids=["merchant", "terminal", "of another merchant"],
)
def test_strangers_are_refused_where_they_come_in(changes, code):
    pair = Pair()
    terminal = pair.first.terminal()
    terminal.send(asked_by(pair.first, THERE) | changes)
    assert [one["39"] for one in terminal.read()] == [code]
    assert pair.first.peer.waiting_bytes == 0
    assert pair.first.count("mesh_frames_total") == 0


def kept_of_one(pair):
    """How many frames of one terminal wait for the absent worker, when one more was refused."""
    own, sent, refused = pair.first.terminal(), 0, pair.first.count("mesh_refused_total")
    while pair.first.count("mesh_refused_total") == refused:
        own.send(asked_by(pair.first, THERE))
        sent += 1
        if own.channel.in_flight >= own.channel.listener.in_flight_max:
            own = pair.first.terminal()
    (kept,) = pair.first.engine.mesh.waiting_by_peer()
    assert kept == sent - 1
    return kept


def test_one_terminal_has_a_share_of_what_may_wait_for_a_worker():
    pair = Pair(limits={"terminal_share_percent": PERCENT})
    pair.part()
    kept = kept_of_one(pair)
    assert kept == pytest.approx(WAITING_MAX * PERCENT / (100 + PERCENT), rel=0.01)
    pair.first.advance(PATIENCE_MS / 1000)
    assert pair.first.engine.mesh.waiting_by_peer() == [0]
    assert kept_of_one(pair) == kept, "its places are free again"
