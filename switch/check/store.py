"""The back office's database that a configuration names: whether it can be worked with, and how it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from switch.base.error_words import words_of
from switch.config.models import Config
from switch.files.private import NotPrivateError, read_private
from switch.files.problems import ConfigError, Problem

if TYPE_CHECKING:
    from switch.store.opening import Store


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
    from switch.store.migrating import require_newest
    from switch.store.opening import Store, parse_url
    from switch.store.problems import StoreError

    problems = store_problems(config)
    if problems:
        raise ConfigError(problems)
    section = config.store
    if section is None:
        raise ConfigError([Problem(str(config.file), "store", "is required: there is no database to ask")])
    password = None if section.password_file is None else read_private(section.password_file).strip()
    store = Store.open(
        parse_url(section.url, config.file.parent), password, makes_file=makes_file, answer_seconds=answer_seconds
    )
    try:
        if not is_any_version:
            require_newest(store)
    except StoreError:
        store.close()
        raise
    return store


def store_problems(config: Config) -> list[Problem]:
    """What is wrong with ``[store]``; the database itself is not asked: it may be started after this machine."""
    if config.store is None:
        return []
    return [Problem(str(config.file), key, reason) for key, reason in _faults(config)]


def _faults(config: Config) -> Iterator[tuple[str, str]]:
    from switch.store.opening import parse_url
    from switch.store.problems import StoreError

    section = config.store
    if section is None:
        return
    try:
        parse_url(section.url, config.file.parent)
    except StoreError as error:
        yield "store.url", str(error)
    if section.password_file is None:
        return
    try:
        read_private(section.password_file)
    except NotPrivateError as error:
        yield "store.password_file", f"{section.password_file}: {error}"
    except OSError as error:
        yield "store.password_file", words_of(error)
