"""What commands of the back office have in common: they open the store of a configuration, and end in words."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import switch.merchants.tables  # noqa: F401 - tables are the store's as soon as their room was imported
from switch.base.error_words import words_of
from switch.cli.journal_reading import EXIT_ASKED_WRONGLY, fail, load
from switch.files.private import NotPrivateError, read_private
from switch.store.migrating import require_newest
from switch.store.opening import Store, parse_url
from switch.store.problems import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from switch.config import Config

WhyOption = Annotated[str, typer.Option("--why", help="The reason, which the audit keeps.")]


@contextmanager
def opened_store(config_file: Path, *, is_any_version: bool = False) -> Iterator[Store]:
    """The store that a configuration names, of this program's version unless said otherwise."""
    config = load(config_file)
    try:
        store = Store.open(*_address(config))
        try:
            if not is_any_version:
                require_newest(store)
            yield store
        finally:
            store.close()
    except StoreError as error:
        fail(str(error))


def _address(config: Config) -> tuple[URL, str | None]:
    section = config.store
    if section is None:
        fail(f"{config.file}: there is no [store], so there is no database of the back office", EXIT_ASKED_WRONGLY)
    try:
        url = parse_url(section.url, config.file.parent)
    except StoreError as error:
        fail(f"{config.file}: store.url: {error}", EXIT_ASKED_WRONGLY)
    if section.password_file is None:
        return url, None
    try:
        return url, read_private(section.password_file).strip()
    except NotPrivateError as error:
        fail(f"{section.password_file}: {error}")
    except OSError as error:
        fail(words_of(error))


def whoever_asks() -> str:
    """Who works at this terminal, as the system knows him: the audit keeps it."""
    return getpass.getuser()
