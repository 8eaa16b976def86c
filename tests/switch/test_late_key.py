"""A key that an issuer sends when the command that asked for it has given up."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from switch.admin.keys import NotExchanged
from switch.dialect.key_exchange import Said
from switch.dialect.reasons import Reason
from switch.keys.key import generate_value
from switch.server import key_exchange
from switch.server.key_exchange import LinkDesk

from .test_key_exchange import ZAK, ZMK, ZPK, in_force, under


class World:
    """A link whose dialect says in no answer which key it brings."""

    def __init__(self, folder):
        self.file = in_force(folder, "3des-2key", "3des-2key")
        self.saved, self.counted = asyncio.Event(), asyncio.Queue()
        self.brings = Said(None, under(self.file, generate_value("3des-2key"), "3des-2key"))
        connections = SimpleNamespace(channels=[1])
        engine = SimpleNamespace(
            state=SimpleNamespace(links=[SimpleNamespace(connections=connections)]),
            ask_for_key=lambda *_: True,
            answer_key_offer=lambda *_: None,
        )
        section = SimpleNamespace(
            name="a",
            key_exchange=SimpleNamespace(under=ZMK, ask_seconds=0),
            pin=SimpleNamespace(key=ZPK),
            mac=SimpleNamespace(key=ZAK),
            echo_timeout_ms=10_000,
        )
        keys = SimpleNamespace(
            exchange_again=lambda *_: None,
            exchanged=lambda *_: None,
            change_in_force=lambda *_: None,
            save=lambda *_: loop.call_soon_threadsafe(self.saved.set),
            in_force=lambda: (0, contextlib.nullcontext(self.file)),
        )
        loop = asyncio.get_running_loop()
        stats = SimpleNamespace(counter=lambda _name, _words, labels: labels, add=self.counted.put_nowait)
        messages = SimpleNamespace(choice=lambda _: b"1", read=lambda _: self.brings)
        self.desk = LinkDesk(
            section, 0, messages=messages, engine=engine, keys=keys, stats=stats, take_news=lambda: False
        )

    async def count(self):
        """What is counted next."""
        labels = await asyncio.wait_for(self.counted.get(), 10)
        return labels["key"], labels["result"]


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(key_exchange, "COMMAND_SECONDS", 0.01)


@pytest.mark.usefixtures("at_once")
async def test_a_key_that_comes_late_is_taken(tmp_path):
    world = World(tmp_path)
    with pytest.raises(NotExchanged, match="has not answered yet"):
        await world.desk.ask(["zak"])
    world.desk.take_answer(None, b"x", Reason.APPROVED.value)
    await asyncio.wait_for(world.saved.wait(), 10)
    assert await world.count() == ("zak", "taken")


async def test_a_key_that_nobody_knows_is_refused_and_counted(tmp_path):
    world = World(tmp_path)
    world.desk.take_answer(None, b"x", Reason.APPROVED.value)
    assert await world.count() == ("unknown", "refused")
