"""The journals of all partitions of one worker, as one thing to start, to look after and to close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config.consistency import too_many_numberings
from switch.config.models import Config
from switch.io.connection import Reactor
from switch.journal.commit import JournalFiles
from switch.journal.problems import JournalError
from switch.machine.journal_interface import JournalOff
from switch.machine.numbering import INSTANCES_MAX
from switch.machine.state import State
from switch.server.journal import Store

log = get_logger(__name__)


class Stores:
    """The journals of one daemon.

    Args:
        config: The configuration; its journal has mode ``files``.
        stats: Where series are registered.
        wrapping_keys: As ``switch.keys.journal_keys`` gives them.
        owned: The partitions that this worker owns; None: all.

    Raises:
        JournalError: The directory cannot be had, or another daemon has it.
    """

    def __init__(self, config: Config, stats: Stats, wrapping_keys: bytes, owned: Sequence[int] | None = None) -> None:
        first = Store(config, stats, wrapping_keys, 0 if owned is None else owned[0])
        if config.switch.instances * first.partitions > INSTANCES_MAX:
            raise JournalError(f"{first.directory}: {too_many_numberings(config.switch.instances, first.partitions)}")
        rest = range(1, first.partitions) if owned is None else owned[1:]
        self._stores = [first, *(Store(config, stats, wrapping_keys, number) for number in rest)]

    @property
    def journals(self) -> Sequence[JournalFiles]:
        """Of each partition, in their order."""
        return [store.journal for store in self._stores]

    @property
    def directories(self) -> Mapping[int, Path]:
        """Where each partition's files are."""
        return {store.partition: store.directory for store in self._stores}

    # --- start ----------------------------------------------------------------------------------------------------

    def recover(self, states: Sequence[State]) -> None:
        """Read each journal into its fresh state machine, and begin to write it; one after the other.

        It may take a while, and may run in a thread of its own: ``progress`` tells others of it meanwhile.

        Raises:
            JournalError: One is damaged, owes what the configuration cannot pay, or cannot be written.
            ReplayStopped: ``stop_replay`` was called; that one and those behind it were not written.
        """
        for store, state in zip(self._stores, states, strict=True):
            log.info("journal replayed", partition=store.partition, **asdict(store.recover(state)))

    def stop_replay(self) -> None:
        """Let a replay that another thread does end at once."""
        for store in self._stores:
            store.stop_replay()

    @property
    def progress(self) -> str:
        """How far the replay has come; empty when there is none."""
        for store in self._stores:
            if store.progress:
                return store.progress if len(self._stores) == 1 else f"partition {store.partition}: {store.progress}"
        return ""

    def start(self, loop: asyncio.AbstractEventLoop, reactor: Reactor, on_lost: Callable[[str], None]) -> None:
        """Commit in threads from now on; what waits for them leaves when they say so.

        Args:
            loop: Hears what they say.
            reactor: Where answers wait.
            on_lost: Called with the reason, once or more, when a directory or a segment is gone or replaced.
        """
        for store in self._stores:
            store.start(loop, reactor, on_lost)

    # --- while they run -------------------------------------------------------------------------------------------

    def keep_house(self, states: Sequence[State]) -> None:
        """Gauges, what the next segments begin with, a full disk; to be called a few times a second."""
        for store, state in zip(self._stores, states, strict=True):
            store.keep_house(state)

    def failures(self) -> Mapping[int, Sequence[str]]:
        """Of each partition whose journal cannot be written, the reason."""
        reasons = {}
        for store in self._stores:
            if store.journal.failed and store.journal.outdated is None:
                of = "" if len(self._stores) == 1 else f" of partition {store.partition}"
                why = f": {store.journal.reason}" if store.journal.reason else ""
                reasons[store.partition] = [f"the journal{of} cannot be written{why}"]
        return reasons

    def outdated(self) -> Sequence[str]:
        """Of each journal that is an older copy, what others have heard of."""
        return [
            f"the journal of partition {store.partition} is an older copy: {store.journal.outdated}"
            for store in self._stores
            if store.journal.outdated is not None
        ]

    @property
    def keeps(self) -> bool:
        """Whether what the state machines owe survives their end: it is written down, and can still be made durable."""
        return all(store.keeps for store in self._stores)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make durable what is there, and close the files; nothing is written where the recovery failed."""
        for store in self._stores:
            store.close(loop)


def no_journals(config: Config, owned: Sequence[int] | None) -> Sequence[JournalOff]:
    """Of each partition one that writes nothing."""
    count = (config.journal.partitions or 1) if owned is None else len(owned)
    return [JournalOff() for _ in range(count)]
