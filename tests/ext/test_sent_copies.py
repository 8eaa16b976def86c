"""What is kept of a request as its link got it: what that link's dialect lets be kept, and where its fields stand."""

from __future__ import annotations

import iso8583
import pytest

from tests.ext.world import ONE_ROUTE, dialect, harmless_dialect, link, listener, purchase

TRACK_2 = {"f22": "021", "f35": "6225000000000014=30121010000000000000"}


@pytest.mark.parametrize("changes", [{}, TRACK_2])
@pytest.mark.parametrize("terminal_id", [None, "10000009"])
def test_what_an_issuer_repeats_is_looked_for_where_it_stands_in_the_copy(make_world, changes, terminal_id):
    """The fields that are not kept stand before those that the answer is verified by."""
    world = make_world(links=[link("bank-a", "iso87-ascii", match={"verify": [41, 4, 49]})], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world, **changes))
    asked = issuer.read_one()
    assert asked.get("35") == changes.get("f35")
    issuer.answer(asked, **({"f41": terminal_id} if terminal_id else {}))
    told = [answer["39"] for answer in terminal.read()]
    assert told == ([] if terminal_id else ["00"])
    assert [note["field"] for note in world.told("link_mismatched_answer")] == ([41] if terminal_id else [])


def test_what_was_sent_is_kept_as_its_link_lets_it_be_kept(make_world, tmp_path):
    """The listener's dialect vouches for a private field, the link's does not."""
    path = harmless_dialect(tmp_path)
    world = make_world(listeners=[listener("iso", path)], links=[link("bank-a", "iso87-ascii")], routes=ONE_ROUTE)
    terminal, issuer = world.terminal(), world.issuer()
    terminal.send(purchase(world, f48="B2 AND SO ON"))
    asked = issuer.read_one()
    assert asked["48"] == "B2 AND SO ON"
    (kept,) = [details["sent"] for what, details in world.journal.records if what == "intent"]
    document = iso8583.decode(kept, dialect("iso87-ascii").layout)[0]
    assert "48" not in document
    assert document["41"] == asked["41"]
    issuer.answer(asked)
    assert terminal.read_one()["39"] == "00"
