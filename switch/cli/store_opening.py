"""What commands of the back office have in common: they open the store of a configuration, and end in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import switch.applications.tables
import switch.backoffice.tables
import switch.links.tables
import switch.merchants.binding_tables
import switch.merchants.tables
import switch.proposals.tables
import switch.rulebooks.tables  # noqa: F401 - tables are the store's as soon as their room was imported
from switch.access.actor import Actor
from switch.access.people import Identify, changing_as, user_at_work
from switch.base.system_users import system_user
from switch.check.store import UPGRADE_ANSWER_SECONDS, open_store
from switch.cli.journal_reading import EXIT_ASKED_WRONGLY, fail, load
from switch.files.problems import ConfigError
from switch.store.changing import Change
from switch.store.opening import Store
from switch.store.problems import RefusedError, StoreError

WhyOption = Annotated[str, typer.Option("--why", help="The reason, which the audit keeps.")]


@contextmanager
def opened_store(config_file: Path, *, is_any_version: bool = False, makes_tables: bool = False) -> Iterator[Store]:
    """The store that a configuration names, of this program's version unless said otherwise.

    It ends the command in words where the store cannot be used, or something is refused. Where it is to make tables, a
    file that is not there is made, and a server may take long for them.
    """
    config = load(config_file)
    if config.store is None:
        fail(f"{config.file}: there is no [store], so there is no database of the back office", EXIT_ASKED_WRONGLY)
    try:
        answer_seconds = UPGRADE_ANSWER_SECONDS if makes_tables else None
        store = open_store(
            config, is_any_version=is_any_version, makes_file=makes_tables, answer_seconds=answer_seconds
        )
        try:
            yield store
        finally:
            store.close()
    except (StoreError, RefusedError) as error:
        fail(str(error))
    except ConfigError as error:
        fail("; ".join(map(str, error.problems)), EXIT_ASKED_WRONGLY)


def whoever_asks() -> Identify:
    """Who works at this terminal, by what the store knows: the audit keeps the name."""
    return user_at_work(system_user())


@contextmanager
def changing_store(config_file: Path, why: str, right: str | None) -> Iterator[tuple[Change, Actor]]:
    """Whoever works at this terminal changes something for a reason; it is done when the block ends, or not at all.

    Args:
        config_file: Names the store.
        why: The reason.
        right: What is needed; None where what is changed decides about that.
    """
    with opened_store(config_file) as store, changing_as(store, whoever_asks(), why, right) as work:
        yield work
