"""What goes wrong in a demo with faults: a line breaks, and the switch is killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from switch.simulators.issuer import Issuer

_LINE_BREAKS = 0.25
_LINE_IS_BACK = 0.35
_SWITCH_IS_KILLED = 0.6
"""When, as shares of the run."""
_OUTAGE_S_MAX = 5.0


class Happening(NamedTuple):
    """Something that happened, and when."""

    at_s: float
    words: str
    sort: Literal["bad", "good"] = "bad"

    def __str__(self) -> str:
        """As a line of plain text."""
        return f"{self.at_s:5.1f} s  ** {self.words}"


class InjectedFaults:
    """The course of what goes wrong.

    Args:
        issuer: Whose line breaks.
        port: Where it listens.
        tls: How.
        restart: Kills the switch and starts it again; gives what it said of its replay.
        tell: Takes what happens.
    """

    def __init__(
        self,
        issuer: Issuer,
        port: int,
        tls: ssl.SSLContext | None,
        restart: Callable[[], Awaitable[Mapping[str, Any]]],
        tell: Callable[[Happening], None],
    ) -> None:
        self._issuer = issuer
        self._port = port
        self._tls = tls
        self._restart = restart
        self._tell = tell
        self._begun = 0.0
        self._ending = asyncio.Event()
        self.happenings: list[Happening] = []
        self.is_complete = False
        """Whether all of it has happened."""

    async def take_its_course(self, seconds: float) -> None:
        """Break the line, mend it, kill the switch and start it again, within a run of so many seconds.

        Raises:
            DaemonError: The switch did not start again.
        """
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        name = self._issuer.settings.name
        await self._until(seconds * _LINE_BREAKS)
        if self._ending.is_set():
            return
        self._issuer.drop_connections()
        await self._issuer.stop()
        self._say(f"the line to {name} breaks")
        await self._until(min(seconds * _LINE_IS_BACK, loop.time() - self._begun + _OUTAGE_S_MAX))
        await self._issuer.listen(port=self._port, tls=self._tls)
        self._say(f"the line to {name} is mended", "good")
        await self._until(seconds * _SWITCH_IS_KILLED)
        if self._ending.is_set():
            return
        self._say("the switch is killed (SIGKILL), and started again")
        killed_at = loop.time()
        replayed = await self._restart()
        self._say(
            f"the switch serves again after {loop.time() - killed_at:.1f} s: {replayed.get('records', 0):,} records "
            f"replayed, {replayed.get('remembered', 0):,} outcomes remembered, {replayed.get('ended', 0):,} payments "
            f"were under way, {replayed.get('reversed', 0) + replayed.get('resumed', 0):,} reversals go out",
            "good",
        )
        self.is_complete = True

    def finish(self) -> None:
        """Begin nothing more; what is broken is mended at once."""
        self._ending.set()

    async def _until(self, at_s: float) -> None:
        """Wait until so many seconds after the beginning, or until the end is wanted."""
        left_s = max(0.0, self._begun + at_s - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), left_s)

    def _say(self, words: str, sort: Literal["bad", "good"] = "bad") -> None:
        happening = Happening(asyncio.get_running_loop().time() - self._begun, words, sort)
        self.happenings.append(happening)
        self._tell(happening)
