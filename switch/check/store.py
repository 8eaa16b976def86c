"""The back office's database that a configuration names: whether it can be worked with, and how it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from switch.base.error_words import words_of
from switch.config.models import Config
from switch.config.sections import DatabaseSection
from switch.files.private import NotPrivateError, read_private
from switch.files.problems import ConfigError, Problem

if TYPE_CHECKING:
    from switch.store.migrating import Schema
    from switch.store.opening import Store

Database = Literal["store", "books"]
"""Sections of the configuration that name a database."""

FOLLOWER_ANSWER_SECONDS = 5.0
"""A switch that serves asks little, and says that the store is away when that takes longer."""

UPGRADE_ANSWER_SECONDS = 3_600.0
"""To change large tables takes a server long."""


def open_store(
    config: Config, *, is_any_version: bool = False, makes_file: bool = False, answer_seconds: float | None = None
) -> Store:
    """Open the database of ``[store]``, which must be there, and of this program's version, unless said otherwise.

    Raises:
        StoreError: It cannot be reached or used.
        ConfigError: ``[store]`` cannot be used.
    """
    from switch.store.migrating import BACK_OFFICE

    return open_database(
        config,
        "store",
        BACK_OFFICE,
        is_any_version=is_any_version,
        makes_file=makes_file,
        answer_seconds=answer_seconds,
    )


def open_database(
    config: Config,
    name: Database,
    schema: Schema,
    *,
    is_any_version: bool = False,
    makes_file: bool = False,
    answer_seconds: float | None = None,
) -> Store:
    """Open the database that a section of the configuration names; see ``open_store``.

    Raises:
        StoreError: It cannot be reached or used.
        ConfigError: The section is not there, or cannot be used.
    """
    from switch.store.migrating import require_newest
    from switch.store.opening import Store, parse_url
    from switch.store.problems import StoreError

    problems = database_problems(config, name)
    if problems:
        raise ConfigError(problems)
    section = _section(config, name)
    if section is None:
        raise ConfigError([Problem(str(config.file), name, "is required: there is no database to ask")])
    password = None if section.password_file is None else read_private(section.password_file).strip()
    store = Store.open(
        parse_url(section.url, config.file.parent),
        password,
        makes_file=makes_file,
        answer_seconds=answer_seconds,
        made_by=schema.upgraded_by,
    )
    try:
        if not is_any_version:
            require_newest(store, schema)
    except StoreError:
        store.close()
        raise
    return store


def database_problems(config: Config, name: Database) -> list[Problem]:
    """What is wrong with the section; the database itself is not asked: it may be started after this machine."""
    section = _section(config, name)
    if section is None:
        return []
    return [Problem(str(config.file), f"{name}.{key}", reason) for key, reason in _faults(section, config.file.parent)]


def _section(config: Config, name: Database) -> DatabaseSection | None:
    return config.store if name == "store" else config.books


def _faults(section: DatabaseSection, folder: Path) -> Iterator[tuple[str, str]]:
    from switch.store.opening import parse_url
    from switch.store.problems import StoreError

    try:
        parse_url(section.url, folder)
    except StoreError as error:
        yield "url", str(error)
    if section.password_file is None:
        return
    try:
        read_private(section.password_file)
    except NotPrivateError as error:
        yield "password_file", f"{section.password_file}: {error}"
    except OSError as error:
        yield "password_file", words_of(error)
