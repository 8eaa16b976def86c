"""What a worker knows of terminals that it has suspended, while it reads anew what is kept of them."""

import asyncio
import contextlib
import threading
from unittest.mock import Mock

from switch.machine.note_queue import STRANGERS
from switch.merchants.suspects import SuspectFolder
from switch.server.suspects import SuspectKeeper
from switch.tables.registry_changes import take_changes
from tests.ext.test_registry import build
from tests.system.daemon import until

ROW = "T1,898000000000001,active,,,none,none,\n"
ELSEWHERE = STRANGERS.index("the terminal is elsewhere than it is registered")


class SlowFolder(SuspectFolder):
    """One that is not through with reading before something else was kept."""

    def __init__(self, folder):
        super().__init__(folder)
        self.has_read, self.goes_on = threading.Event(), threading.Event()

    def all(self):
        found = super().all()
        self.has_read.set()
        assert self.goes_on.wait(10)
        return found


async def test_who_is_suspended_while_the_kept_ones_are_read_stays_so(tmp_path):
    registry, folder = build(ROW), SlowFolder(tmp_path)
    keeper = SuspectKeeper(registry, folder, Mock(), lambda: None, None)
    looking = asyncio.create_task(asyncio.to_thread(keeper.look))
    await asyncio.to_thread(folder.has_read.wait)
    registry.suspects.append(("T1", ELSEWHERE, "+00+000/"))
    watching = asyncio.create_task(keeper.watch())
    await until(lambda: not registry.suspects)
    folder.goes_on.set()
    await looking
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    take_changes(registry, build(ROW))
    keeper.put_in_force()
    assert registry.describe_terminal("T1")["state"] == "suspended"
