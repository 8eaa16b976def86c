"""Keys of terminals, taken up from the key file while the daemon runs; those of before are taken for a while, too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from switch.base.log import get_logger
from switch.check.terminal_keys import misfits_of
from switch.keys import KeyFile
from switch.keys.names import former_name
from switch.tables.key_changes import take_terminal_keys, terminal_key_uses
from switch.tables.registry import Registry

AT_ONCE = 50
"""Terminals whose keys are looked up between two turns of the event loop: well under a millisecond's work."""
TOLD_MAX = 20
NS_A_SECOND = 1_000_000_000

log = get_logger(__name__)


class TerminalKeys:
    """The keys of one process's terminals.

    Args:
        registry: Whose terminals.
        former_seconds: So long after the answer to a terminal's sign-in messages under its former keys are taken.
    """

    def __init__(self, registry: Registry, former_seconds: int) -> None:
        self._registry = registry
        registry.former.keep_ns = former_seconds * NS_A_SECOND

    def begin(self, keys: KeyFile) -> None:
        """Take up what terminals had before, as a start finds it."""
        source = keys.source()
        for terminal in former_terminals(keys):
            number = self._registry.terminal_index(terminal)
            if number is not None:
                take_terminal_keys(self._registry, source, number, 1)

    async def misfits(self, keys: KeyFile) -> list[str]:
        """Keys of another algorithm than their use, by and by, with the reason: their size alone would not tell."""

        def algorithm_of(name: str) -> str | None:
            found = keys.lookup(name)
            return None if found is None else found[1]

        found: list[str] = []
        for first in range(0, self._registry.terminal_count, AT_ONCE):
            for use in terminal_key_uses(self._registry, first, AT_ONCE):
                found += misfits_of(*use, algorithm_of)
            await asyncio.sleep(0)
        return found

    async def take_up(self, keys: KeyFile) -> None:
        """Take up all keys that are new or gone, by and by: payments go on between."""
        source = keys.source()
        changed = 0
        faults: list[tuple[str, str]] = []
        for first in range(0, self._registry.terminal_count, AT_ONCE):
            count, found = take_terminal_keys(self._registry, source, first, AT_ONCE)
            changed += count
            faults += found[: TOLD_MAX - len(faults)]
            await asyncio.sleep(0)
        for terminal, reason in faults:
            log.error("keys of a terminal not taken up: those of before stay in use", terminal=terminal, reason=reason)
        log.info("terminal keys taken up", changed=changed, with_former=self._registry.former.in_use)


def former_terminals(keys: KeyFile) -> Iterator[str]:
    """Terminals that have former keys in a key file; one may come twice."""
    ends = tuple(former_name(f"/{usage}") for usage in ("tak", "tpk", "tdk"))
    for name in keys.names():
        if name.endswith(ends) and name.startswith("terminal/"):
            yield name.split("/")[1]
