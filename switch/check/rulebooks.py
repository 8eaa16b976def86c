"""What a configuration has in files or in the store: risk rules, BIN tables, held links, endpoints.

Whoever reads a configuration without a store does not load what a database needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from switch.base.error_words import words_of
from switch.check.store import FOLLOWER_ANSWER_SECONDS, open_store
from switch.config.endpoints import load_endpoints
from switch.config.models import Config, LinkSection
from switch.files.problems import ConfigError, Problem
from switch.files.texts import FolderTexts, Texts
from switch.keys import KeySource
from switch.tables.registry import Registry
from switch.tables.risk import Risk
from switch.tables.risk_files import load_risk, read_rules, tables_of
from switch.tables.route_files import load_routes
from switch.tables.routes import RouteTable
from switch.tables.time_windows import WindowTable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from switch.links.holds import Hold
    from switch.rulebooks.keeping import Check
    from switch.rulebooks.rulebooks import InForce, Rulebook

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Read]):
    """What was read.

    Attributes:
        value: As the switch uses it.
        in_force: The rulebook that it is of; None where it was a file.
        problems: What is doubtful.
    """

    value: Read
    in_force: InForce | None = None
    problems: tuple[Problem, ...] = ()


def copies_of(config: Config) -> Mapping[str, Path]:
    """Of what the store has, by kind: the folder of its copy."""
    sections = {"risk": config.risk, "routes": config.routes, "holds": config.holds, "endpoints": config.endpoints}
    folders = {kind: None if section is None else section.store_copy for kind, section in sections.items()}
    return {kind: folder for kind, folder in folders.items() if folder is not None}


def load_config_routes(config: Config, *, keeps_copy: bool) -> Loaded[RouteTable]:
    """The BIN table of a configuration.

    Args:
        config: The configuration.
        keeps_copy: Whether what the store says is written into the copy: the daemon's own files are its alone.

    Raises:
        ConfigError: All that is wrong with it.
    """
    read = partial(load_routes, link_names=_link_names(config))
    if config.routes.file is not None:
        return Loaded(read(config.routes.file))
    return _of_store(config, "routes", lambda one: read(one.rulebook), keeps_copy=keeps_copy)


def load_config_risk(
    config: Config, keys: KeySource, registry: Registry, *, keeps_copy: bool = False, clock_offset_ms: int | None = None
) -> Loaded[Risk] | None:
    """The risk rules of a configuration; None where there are none.

    Args:
        config: The configuration.
        keys: Where the key of the card hash is.
        registry: Of terminals and merchants.
        keeps_copy: As for routes.
        clock_offset_ms: As of ``load_risk``.

    Raises:
        ConfigError: All that is wrong with them.
    """
    if config.risk is None:
        return None

    def read(texts: Texts | Path) -> Risk:
        return load_risk(texts, keys, registry, None, clock_offset_ms, is_shared=config.worker_count > 1)

    if config.risk.file is not None:
        return Loaded(read(config.risk.file))
    loaded = _of_store(config, "risk", lambda one: read(one.rulebook), keeps_copy=keeps_copy)
    if loaded.in_force is None or loaded.in_force.version:
        return loaded
    doubt = Problem(f"{config.risk.store_copy}: risk", "", "no version is in force: nothing is limited", "warning")
    return replace(loaded, problems=(*loaded.problems, doubt))


def load_config_holds(config: Config, *, keeps_copy: bool) -> Loaded[list[Hold]] | None:
    """The links of a configuration that the store says are held out; None where it is not asked.

    Args:
        config: The configuration.
        keeps_copy: As for routes.

    Raises:
        ConfigError: Nobody can tell.
    """
    if config.holds is None:
        return None
    from switch.links.holds import holds_of

    loaded = _of_store(config, "holds", lambda one: holds_of(one.body), keeps_copy=keeps_copy)
    place = f"{config.holds.store_copy}: holds"
    strange = [hold.link for hold in loaded.value if hold.link not in _link_names(config)]
    doubts = [Problem(place, "", f"link {name} is held out, and not configured", "warning") for name in strange]
    return replace(loaded, problems=(*loaded.problems, *doubts))


def load_config_endpoints(config: Config, *, keeps_copy: bool) -> Loaded[Sequence[LinkSection]] | None:
    """The links of a configuration as the store says them; None where it is not asked.

    Args:
        config: The configuration.
        keeps_copy: As for routes.

    Raises:
        ConfigError: All that is wrong with what it says.
    """
    if config.endpoints is None:
        return None
    return _of_store(config, "endpoints", lambda one: load_endpoints(one.rulebook, config), keeps_copy=keeps_copy)


def risk_texts(config: Config) -> Texts | None:
    """What the risk rules of a configuration say; None where there are none.

    Raises:
        ConfigError: They cannot be read.
    """
    if config.risk is None:
        return None
    if config.risk.file is not None:
        return FolderTexts(config.risk.file)
    return _of_store(config, "risk", lambda one: one.rulebook, keeps_copy=False).value


def checks(config: Config, keys: KeySource) -> Mapping[str, Check]:
    """By kind, what reads a rulebook as a switch of this configuration does."""

    def check_risk(rulebook: Rulebook) -> Risk:
        # Nothing is counted: a table as large as the rules ask for would only cost memory.
        return load_risk(rulebook, keys, None, Risk.build(None, WindowTable(1)))

    return {
        "risk": check_risk,
        "routes": partial(load_routes, link_names=_link_names(config)),
        "endpoints": partial(load_endpoints, config=config),
    }


def gathered(kind: str, file: Path) -> Rulebook:
    """A file, with the tables that it names, as a rulebook.

    Raises:
        ConfigError: They cannot be read, or rules cannot be used.
    """
    from switch.rulebooks.rulebooks import Rulebook, text_of

    texts = FolderTexts(file)
    names = tables_of(read_rules(texts)) if kind == "risk" else []
    tables = {name: text_of(texts.place_of(name), texts.table(name)) for name in names}
    return Rulebook(texts.place, text_of(texts.place, texts.main()), tables)


def _link_names(config: Config) -> list[str]:
    return [link.name for link in config.links]


def in_force_of(connection: Connection, kind: str, known: tuple[int, str]) -> InForce | None:
    """What is in force of a kind, where that is another than is known by its turn and hash; None where it is not.

    Raises:
        RefusedError: It is of an earlier turn, or not what was put there.
    """
    from switch.links import holding
    from switch.rulebooks import keeping

    if kind == "holds":
        return holding.in_force(connection, known)
    return keeping.in_force(connection, kind, known)


def nothing_of(kind: str) -> InForce:
    """What is in force of a kind as long as nothing was said."""
    from switch.links.holding import nothing_held
    from switch.rulebooks.rulebooks import nothing

    return nothing_held() if kind == "holds" else nothing(kind)


def _of_store(config: Config, kind: str, read: Callable[[InForce], Read], *, keeps_copy: bool) -> Loaded[Read]:
    """What is in force by the copy, or by the store where that has none, or none that can be used.

    A daemon asks the store behind its start for what is newer.
    """
    from switch.rulebooks.copying import copied

    kept = copied(copies_of(config)[kind], kind)
    wrong: ConfigError | None = None
    if kept is not None:
        try:
            return Loaded(read(kept), kept)
        except ConfigError as error:
            wrong = error
    try:
        found = _asked(config, kind)
        value = read(found)
    except ConfigError as error:
        raise (wrong or error) from None
    return Loaded(value, found, _written(copies_of(config)[kind], found) if keeps_copy else ())


def _asked(config: Config, kind: str) -> InForce:
    from switch.store.problems import RefusedError, StoreError

    try:
        store = open_store(config, answer_seconds=FOLLOWER_ANSWER_SECONDS)
        try:
            with store.reading() as connection:
                return in_force_of(connection, kind, (0, "")) or nothing_of(kind)
        finally:
            store.close()
    except StoreError as error:
        reason = f"there is no copy of its {kind} that can be used, and it cannot be asked: {error}"
    except RefusedError as error:
        reason = str(error)
    raise ConfigError([Problem(str(config.file), "store", reason)])


def _written(folder: Path, one: InForce) -> tuple[Problem, ...]:
    from switch.rulebooks.copying import copy

    try:
        copy(folder, one)
    except OSError as error:
        reason = f"cannot be written, so that no start is possible while the store is away: {words_of(error)}"
        return (Problem(str(folder), "", reason, "warning"),)
    return ()
