"""What was changed in the store since, made ready for a switch that runs: in a thread, beside its payments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from switch.files.problems import ConfigError
from switch.merchants.problems import RefusedError
from switch.merchants.rows import Compiler
from switch.merchants.source import Changes, Copy, changes_since
from switch.store.audit import Head
from switch.store.migrating import require_newest
from switch.store.opening import Store
from switch.store.problems import StoreError
from switch.tables.registry import Registry


@dataclass(frozen=True, slots=True)
class Step:
    """Changes that a running switch is to take.

    Attributes:
        changes: The rows.
        registry: The same, read with the keys of today; None where nothing is in them.
    """

    changes: Changes
    registry: Registry | None


class Follower:
    """Asks the store for what was changed; only one thread at a time may.

    Args:
        open_store: Opens the database.
        compiler: Opens the keys, and gives what reads rows with them.
        copy: Where what is known is kept for a start without the store; None where another worker does that.
        base: The change that the registry is of, as it was loaded.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        compiler: Callable[[], AbstractContextManager[Compiler]],
        copy: Copy,
        base: Head,
        *,
        keeps_copy: bool,
    ) -> None:
        self._open_store = open_store
        self._compiler = compiler
        self._copy = copy
        self._base = base
        self._keeps_copy = keeps_copy
        self._store: Store | None = None
        self._known = Changes(base)

    @property
    def head(self) -> Head:
        """The change that was taken last."""
        return self._known.head

    def kept(self) -> Step | None:
        """What the copy has beyond its base; None where it has nothing.

        Raises:
            RefusedError: The switch cannot take it.
        """
        changes = self._copy.read_changes(self._base)
        return None if changes.head == self._base else self._read(changes)

    def next(self) -> Step | None:
        """The next changes; None where there are none.

        Raises:
            StoreError: The database cannot be asked.
            RefusedError: It is not the one that it was, or the switch cannot take what was changed.
        """
        try:
            if self._store is None:
                self._store = self._opened()
            with self._store.reading() as connection:
                changes = changes_since(connection, self.head)
        except StoreError:
            self.close()
            raise
        return None if changes is None else self._read(changes)

    def taken(self, step: Step) -> None:
        """The switch has taken a step: the next begins behind it.

        Raises:
            OSError: It cannot be kept in the copy.
        """
        self._known.add(step.changes)
        if self._keeps_copy:
            self._copy.write_changes(self._base, self._known)

    def close(self) -> None:
        """Give the database back."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _opened(self) -> Store:
        store = self._open_store()
        try:
            require_newest(store)
        except StoreError:
            store.close()
            raise
        return store

    def _read(self, changes: Changes) -> Step:
        if not (changes.merchants or changes.terminals):
            return Step(changes, None)
        files = changes.files()
        try:
            with self._compiler() as compiler:
                names = (f"merchants of change {changes.head.number}", f"terminals of change {changes.head.number}")
                registry = compiler.compiled(files.merchants, files.terminals, names)
        except ConfigError as error:
            raise RefusedError("; ".join(str(problem) for problem in error.problems)) from None
        return Step(changes, registry)
