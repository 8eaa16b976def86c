"""What was changed in the store since, made ready for a switch that runs: in a thread, beside its payments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from switch.files.problems import ConfigError
from switch.keys import KeyFileError
from switch.merchants.copying import Copy
from switch.merchants.leaving_out import LeftOut, leave_out
from switch.merchants.rows import Compiler
from switch.merchants.source import Changes, Files, Row, changes_since, whole
from switch.store.audit import Head
from switch.store.opening import Store
from switch.store.problems import RefusedError, StoreError
from switch.tables.binding import BINDING_KEY
from switch.tables.key_changes import take_terminal_keys
from switch.tables.party_states import AWAITING
from switch.tables.registry import Registry

ACTIVE = "active"
WITHOUT_KEYS = {"mac_algorithm": "none", "pin_format": "none"}


@dataclass(frozen=True, slots=True)
class Step:
    """Changes that a running switch is to take.

    Attributes:
        changes: The rows.
        registry: The same, read with the keys of today; None where nothing is in them.
        left_out: Terminals among them that are not in it, and not to be served until their rows can be taken.
    """

    changes: Changes
    registry: Registry | None
    left_out: LeftOut | None = None


class RefusedStepError(RefusedError):
    """Changes that the switch cannot take as a whole.

    Attributes:
        worse: What is suspended or closed among them: that is in force whatever else is wrong; None where nothing is.
    """

    def __init__(self, words: str, worse: Step | None) -> None:
        super().__init__(words)
        self.worse = worse


class Follower:
    """Asks the store for what was changed; only one thread at a time may.

    Args:
        open_store: Opens the database, and sees that it is of this program's version.
        compiler: Opens the keys, and gives what reads rows with them.
        copy: Where what is known is kept for a start without the store.
        base: The change that the registry is of, as it was loaded.
        former: As ``compiler``, with the keys that were opened last, whatever became of them: who was forked anew knows
            what its predecessor did.
        keyless: Reads rows that need no key: who is not to be served is known without the key file, too.
        keeps_copy: Whether the copy is written here, and not by another worker.
        left_out: Terminals of the base that are not served until their rows can be taken.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        compiler: Callable[[], AbstractContextManager[Compiler]],
        copy: Copy,
        base: Head,
        *,
        former: Callable[[], AbstractContextManager[Compiler]],
        keyless: Compiler,
        keeps_copy: bool,
        left_out: LeftOut | None = None,
    ) -> None:
        self._open_store = open_store
        self._compiler = compiler
        self._former = former
        self._copy = copy
        self._base = base
        self._keeps_copy = keeps_copy
        self._keyless = keyless
        self._store: Store | None = None
        self._head = base
        self._beyond = Changes(base)
        self._unkept = Changes(base)
        self._from_copy: Changes | None = None
        self._left_out = Changes(base)
        self.reasons: dict[str, str] = {}
        """Why terminals are not served though the store says so, by their numbers."""
        self._note_left_out(left_out)

    @property
    def head(self) -> Head:
        """The change that was taken last."""
        return self._head

    def kept(self) -> Step | None:
        """What the copy has beyond its base; None where it has nothing.

        Raises:
            RefusedError: The switch cannot take it.
        """
        anew = self._written_anew()
        if anew is not None:
            return anew
        changes = self._from_copy = self._copy.read_changes(self._base)
        if not (changes.merchants or changes.terminals or changes.head != self._base):
            return None
        return self._read_at_start(changes)

    def _written_anew(self) -> Step | None:
        """All that the copy has, where its base came later than the one that this process, or its parent, has loaded.

        One that cannot be taken has what nobody has taken yet: the store is asked for that.
        """
        files = None if self._copy.has(self._base) else self._copy.read()
        if files is None or files.head.number <= self._base.number:
            return None
        changes = self._copy.read_changes(files.head)
        try:
            step = self._read_at_start(changes, self._copy.folded(files))
        except RefusedError:
            return None
        self._base = files.head
        self._beyond, self._unkept, self._from_copy = Changes(files.head), Changes(files.head), changes
        return step

    def _read_at_start(self, changes: Changes, files: Files | None = None) -> Step:
        try:
            return self._read(changes, self._compiler, files)
        except RefusedError:
            with contextlib.suppress(RefusedError):
                return self._read(changes, self._former, files)
            step = self._read_in_part(changes, changes.files() if files is None else files)
            if step is None:
                raise
            return step

    def _read_in_part(self, changes: Changes, files: Files) -> Step | None:
        """Make a step without terminals whose rows cannot be taken; None where it is not these alone."""
        with contextlib.suppress(KeyFileError), self._compiler() as compiler:
            left_out = leave_out(files, compiler, _names(files))
            if left_out is not None:
                take_terminal_keys(left_out.registry, compiler.keys, 0, left_out.registry.terminal_count)
                return Step(changes, left_out.registry, left_out)
        return None

    def again(self) -> Step | None:
        """Terminals that were left out, and whose rows can be taken by now; None where there is none.

        Raises:
            RefusedError: They cannot be taken all the same.
        """
        if not self.reasons:
            return None
        ready = Changes(self._head)
        with contextlib.suppress(KeyFileError), self._compiler() as compiler:
            for key, row in self._left_out.terminals.items():
                merchant = self._left_out.merchants[row["merchant"]]
                if key in self.reasons and _is_taken(compiler, merchant, row):
                    ready.terminals[key] = row
                    ready.merchants[merchant["id"]] = merchant
        return self._read(ready, self._compiler) if ready.terminals else None

    def next(self) -> Step | None:
        """The next changes; None where there are none.

        Raises:
            StoreError: The database cannot be asked.
            RefusedError: It is not the one that it was, or the switch cannot take what was changed.
        """
        try:
            if self._store is not None and not self._store.is_in_its_place():
                self.close()
            if self._store is None:
                self._store = self._open_store()
            with self._store.reading() as connection:
                changes = changes_since(connection, self.head)
        except StoreError:
            self.close()
            raise
        return None if changes is None else self._read(changes, self._compiler)

    @property
    def store(self) -> Store | None:
        """The database, where it could be asked last time; for the thread that asks."""
        return self._store

    def binding_key(self) -> bytes | None:
        """The key of bindings, as it is now; None where there is none.

        Raises:
            KeyFileError: The key file cannot be read.
        """
        with self._compiler() as compiler:
            return compiler.keys.get(BINDING_KEY)

    def taken(self, step: Step) -> None:
        """The switch has taken a step: the next begins behind it."""
        self._head = step.changes.head
        for key in step.changes.terminals:
            self.reasons.pop(key, None)
        known = self._left_out.merchants
        known |= {key: row for key, row in step.changes.merchants.items() if key in known}
        self._note_left_out(step.left_out)
        self._beyond.add(step.changes)
        if step.changes is not self._from_copy:
            self._unkept.add(step.changes)

    def _note_left_out(self, left_out: LeftOut | None) -> None:
        if left_out is not None:
            self._left_out.add(left_out.rows)
            self.reasons |= left_out.reasons

    def write_copy(self) -> None:
        """Keep what the switch has taken for its next start.

        Raises:
            OSError: It cannot be written.
        """
        if not self._keeps_copy:
            return
        if not self._copy.has(self._base):
            self._write_base()
        elif self._unkept.head != self._beyond.head or self._unkept.merchants or self._unkept.terminals:
            self._copy.keep(self._base, self._unkept, self._beyond)
        self._unkept = Changes(self._beyond.head)

    def _write_base(self) -> None:
        """Changes without their base are of no use to a start: all is written anew."""
        try:
            if self._store is None:
                self._store = self._open_store()
            with self._store.reading() as connection:
                files = whole(connection)
        except StoreError as error:
            raise OSError(f"its base is not there, and {error}") from error
        self._copy.write(files)
        self._base = files.head
        self._beyond = Changes(files.head)

    def close(self) -> None:
        """Give the database back."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _read(
        self, changes: Changes, compiling: Callable[[], AbstractContextManager[Compiler]], files: Files | None = None
    ) -> Step:
        """Make a step of changes; of ``files`` where these have more than them."""
        if files is None and not (changes.merchants or changes.terminals):
            return Step(changes, None)
        try:
            with compiling() as compiler:
                return Step(changes, _compiled(compiler, changes.files() if files is None else files))
        except ConfigError as error:
            words = "; ".join(str(problem) for problem in error.problems)
        except KeyFileError as error:
            words = str(error)
        raise RefusedStepError(words, self._worse(changes))

    def _worse(self, changes: Changes) -> Step | None:
        """Who is not to be served, of changes that cannot be taken as a whole; None where nobody is.

        They keep the keys that they have: what they were told is told again, and taken back.
        """
        for compiling in (self._compiler, self._former, self._compiler_without_keys):
            with contextlib.suppress(KeyFileError, ConfigError), compiling() as compiler:
                worse = _worse_states(changes, self.head, compiler)
                return Step(worse, _compiled(compiler, worse.files())) if worse.merchants or worse.terminals else None
        return None

    def _compiler_without_keys(self) -> AbstractContextManager[Compiler]:
        return contextlib.nullcontext(self._keyless)


def _compiled(compiler: Compiler, files: Files) -> Registry:
    registry = compiler.compiled(files.merchants, files.terminals, _names(files))
    # Keys that the file has in place of others come with those: terminals know the former ones alone.
    take_terminal_keys(registry, compiler.keys, 0, registry.terminal_count)
    return registry


def _names(files: Files) -> tuple[str, str]:
    return f"merchants of change {files.head.number}", f"terminals of change {files.head.number}"


def _worse_states(changes: Changes, head: Head, compiler: Compiler) -> Changes:
    """Who is not to be served; without the keys that it has not: none is needed to refuse it."""
    terminals: dict[str, Row] = {
        key: row if _is_taken(compiler, changes.merchants[row["merchant"]], row) else {**row, **WITHOUT_KEYS}
        for key, row in changes.terminals.items()
        if row["state"] != ACTIVE and not row["state"].startswith(AWAITING)
    }
    needed = {row["merchant"] for row in terminals.values()}
    merchants = {key: row for key, row in changes.merchants.items() if key in needed or row["state"] != ACTIVE}
    return Changes(head, merchants, terminals)


def _is_taken(compiler: Compiler, merchant: Row, terminal: Row) -> bool:
    try:
        compiler.check(merchant, terminal)
    except RefusedError:
        return False
    return True
