"""Merchants and terminals from wherever a configuration has them: two files, or the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.base.error_words import words_of
from switch.check.store import FOLLOWER_ANSWER_SECONDS, open_store
from switch.config.models import Config
from switch.files.datafile import read_data_file
from switch.files.problems import ConfigError, Problem
from switch.tables.binding import BindingRule

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from switch.merchants.copying import Copy
    from switch.merchants.source import Files
    from switch.store.audit import Head

CATCH_UP_MAX = 20_000
"""A copy that is so many changes behind is followed up; further behind, all is read anew."""

OTHER_STORE = "is another database than the copy is of, or was written anew: nothing is taken from it"


@dataclass(frozen=True, slots=True)
class RegistryFiles:
    """What is to be read.

    Attributes:
        merchants: As the switch reads them.
        terminals: The same.
        merchants_name: Where they are, for problems.
        terminals_name: The same.
        head: The change of the store that they are of; None where they are files.
        problems: What is doubtful.
    """

    merchants: bytes
    terminals: bytes
    merchants_name: str
    terminals_name: str
    head: Head | None = None
    problems: tuple[Problem, ...] = ()


def read_registry_files(config: Config, *, keeps_copy: bool) -> RegistryFiles:
    """Read merchants and terminals.

    Args:
        config: The configuration.
        keeps_copy: For a start: from the copy's base, behind which the daemon takes up what was changed since, and
            what the store says is written into the copy. Else they are read as they are now, and nothing is written:
            the daemon's own files are its alone.

    Raises:
        ConfigError: They cannot be read.
    """
    section = config.registry
    if section.merchants is not None and section.terminals is not None:
        names = str(section.merchants), str(section.terminals)
        return RegistryFiles(read_data_file(section.merchants), read_data_file(section.terminals), *names)
    files, problems = _of_store(config, keeps_copy=keeps_copy)
    names = section.merchants_place, section.terminals_place
    return RegistryFiles(files.merchants, files.terminals, *names, files.head, problems)


def binding_rule(config: Config) -> BindingRule:
    """What is asked of terminals beside their registration."""
    section = config.registry
    return BindingRule(
        config.switch.acquirer_id,
        section.binding == "demanded",
        section.place_metres_max,
        section.serial_number == "demanded",
        section.position == "demanded",
    )


def registry_copy(config: Config) -> Copy | None:
    """The folder where what the store says is kept; None where it is not asked."""
    from switch.merchants.copying import Copy

    folder = config.registry.store_copy
    return None if folder is None else Copy(folder)


def _of_store(config: Config, *, keeps_copy: bool) -> tuple[Files, tuple[Problem, ...]]:
    from switch.merchants.source import has, whole
    from switch.store.problems import StoreError

    copy = registry_copy(config)
    kept = None if copy is None else copy.read()
    folding: tuple[Problem, ...] = ()
    if kept is not None and copy is not None and (not keeps_copy or copy.is_large(kept.head)):
        kept = copy.folded(kept)
        folding = _written(copy, kept) if keeps_copy else ()
    try:
        store = open_store(config, answer_seconds=FOLLOWER_ANSWER_SECONDS)
        try:
            with store.reading() as connection:
                if (
                    kept is None
                    or copy is None
                    or (not keeps_copy and has(connection, kept.head))
                    or (keeps_copy and _is_far_behind(connection, copy.read_changes(kept.head).head))
                ):
                    files = whole(connection)
                    return files, () if copy is None or not keeps_copy else _written(copy, files)
                if not keeps_copy:
                    folding = (Problem(str(config.file), "store", OTHER_STORE, "warning"),)
        finally:
            store.close()
    except StoreError as error:
        if kept is None:
            reason = f"there is no copy of what it says yet, and it cannot be asked: {error}"
            raise ConfigError([Problem(str(config.file), "store", reason)]) from None
        reason = f"cannot be asked: the copy in {config.registry.store_copy} is taken instead: {error}"
        return kept, (*folding, Problem(str(config.file), "store", reason, "warning"))
    return kept, folding


def _is_far_behind(connection: Connection, known: Head) -> bool:
    """Whether what is known is of this database, and so old that all is better read anew.

    What is of another one stays: nothing is taken from that until somebody takes the copy away.
    """
    from switch.merchants.source import has
    from switch.store.audit import head

    return has(connection, known) and head(connection).number - known.number > CATCH_UP_MAX


def _written(copy: Copy, files: Files) -> tuple[Problem, ...]:
    try:
        copy.write(files)
    except OSError as error:
        reason = f"cannot be written, so that no start is possible while the store is away: {words_of(error)}"
        return (Problem(str(copy.folder), "", reason, "warning"),)
    return ()
