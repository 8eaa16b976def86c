"""How the supervisor joins the desk to the workers, whoever of them was forked anew.

Each child has a socket to the supervisor, made before its fork. Over it the supervisor sends descriptors: to the desk
one end of a new connection, to the worker the other end; and to the desk also what became of each child.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass

from switch.base.log import get_logger
from switch.server.supervisor import Child, Hooks, Life, LifeState

NEWS_BYTES_MAX = 4_096
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """What became of one child.

    Attributes:
        name: Of the child.
        life: Its state.
        connection: To the desk: a new one to that worker. To a worker: a new one to the desk. None: nothing new.
    """

    name: str
    life: Life
    connection: socket.socket | None


class Handover:
    """The supervisor's side, and what a child inherits of it.

    Args:
        desk: Name of the child that asks; all others are workers.
    """

    def __init__(self, desk: str) -> None:
        self._desk = desk
        self._ends: dict[str, socket.socket] = {}
        self._lives: dict[str, Life] = {}
        self._child_end: socket.socket | None = None

    def hooks(self) -> Hooks:
        """For the supervisor."""
        return Hooks(self._before_fork, self._in_child, self._changed)

    def inherited(self) -> socket.socket:
        """In a child: where its news come from.

        Raises:
            RuntimeError: This is no child.
        """
        if self._child_end is None:
            raise RuntimeError("only a child has inherited a socket to the supervisor")
        return self._child_end

    def _before_fork(self, child: Child) -> None:
        self._close(child.name)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        self._ends[child.name] = ours
        if self._child_end is not None:
            self._child_end.close()  # the fork before has failed
        self._child_end = theirs

    def _in_child(self, _child: Child) -> None:
        for end in self._ends.values():
            end.close()
        self._ends.clear()

    def _changed(self, child: Child, life: Life) -> None:
        self._lives[child.name] = life
        if life.state is not LifeState.RUNS:
            self._close(child.name)
            self._tell(self._desk, child.name, None)
            return
        if self._child_end is not None:
            self._child_end.close()
            self._child_end = None
        for name in self._lives if child.name == self._desk else (child.name,):
            self._join(name)

    def _join(self, name: str) -> None:
        """Give the desk and a worker a new connection, as far as both are there."""
        if name == self._desk or self._lives[name].state is not LifeState.RUNS or self._desk not in self._ends:
            self._tell(self._desk, name, None)
            return
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._tell(self._desk, name, ours)
            self._tell(name, name, theirs)

    def _tell(self, whom: str, name: str, connection: socket.socket | None) -> None:
        """Send news; whoever does not take them is not waited for."""
        end = self._ends.get(whom)
        if end is None:
            return
        news = json.dumps({"name": name, **asdict(self._lives[name])}).encode()
        descriptors = [] if connection is None else [connection.fileno()]
        try:
            socket.send_fds(end, [news], descriptors)
        except OSError as error:
            if not isinstance(error, BrokenPipeError | ConnectionError):  # else it has just ended
                log.error("does not take the news of others", worker=whom, reason=error.strerror)  # noqa: TRY400

    def _close(self, name: str) -> None:
        if (end := self._ends.pop(name, None)) is not None:
            end.close()


class NewsReader:
    """A child's side: calls ``told`` for all news, in the loop.

    Args:
        source: What ``Handover.inherited`` gave.
        told: Called with each; what it is given it must close.
    """

    def __init__(self, source: socket.socket, told: Callable[[News], None]) -> None:
        self._source = source
        self._told = told

    def start(self) -> None:
        """Listen from now on; what was sent before is not lost."""
        asyncio.get_running_loop().add_reader(self._source, self._read)

    def stop(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._source)
        self._source.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(
                    self._source, NEWS_BYTES_MAX, 1, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
                )
                if not data:
                    asyncio.get_running_loop().remove_reader(self._source)  # the supervisor has ended, and so shall we
                    return
                connection = socket.socket(fileno=descriptors[0]) if descriptors else None
                value = json.loads(data)
                name, state = value.pop("name"), LifeState(value.pop("state"))
                self._told(News(name, Life(state, **value), connection))
