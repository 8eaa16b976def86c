"""What commands about applications have in common: rules, keys, registry and proposals in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from switch.access.people import changing_as
from switch.applications.applying import Clerk, Rules
from switch.applications.looking_after import kinds_of_proposals
from switch.check.applications import open_rules
from switch.check.row_compiler import compiler_of
from switch.cli.journal_reading import fail, load
from switch.cli.report import refuse, status_of
from switch.cli.store_opening import opened_store, whoever_asks
from switch.files.problems import ConfigError
from switch.keys import KeyFile, KeyFileError
from switch.merchants.registering import Registrar
from switch.proposals.deciding import Desk
from switch.store.columns import told_row
from switch.store.opening import Store
from switch.store.problems import RefusedError, StoreError

Reference = Annotated[str, typer.Argument(metavar="REFERENCE", help="Of the application.")]


@dataclass(frozen=True)
class Work:
    """Somebody at work on applications and on merchants that came of them.

    Attributes:
        clerk: Takes the steps.
        registrar: Changes the registry, in the same transaction.
        keys: The opened key file; what is put into it is not saved by itself.
        proposals: Where something is proposed to another person.
        lasts: How long a proposal waits.
    """

    clerk: Clerk
    registrar: Registrar
    keys: KeyFile
    proposals: Desk
    lasts: timedelta


@contextmanager
def _telling() -> Iterator[None]:
    """End the command in words where something is refused or cannot be used."""
    try:
        yield
    except (RefusedError, StoreError) as error:
        fail(str(error))
    except ConfigError as error:
        refuse(error)
    except KeyFileError as error:
        fail(str(error), status_of(error))


@contextmanager
def acquiring(config_file: Path, why: str, right: str | None = None) -> Iterator[Work]:
    """Whoever asks does something for a reason; it is done when the block ends, or not at all."""
    config = load(config_file)
    with _telling():
        rules, keys = open_rules(config)
        with (
            keys,
            opened_store(config_file) as store,
            changing_as(store, whoever_asks(), why, right) as (change, actor),
        ):
            compiler = compiler_of(keys, config)
            registrar = Registrar(change, compiler, is_alone=actor.rights is not None)
            desk = Desk(change, actor, kinds_of_proposals(lambda: rules, compiler))
            yield Work(Clerk(change, actor, rules), registrar, keys, desk, config.proposals_last)


@contextmanager
def looking(config_file: Path) -> Iterator[tuple[Store, Rules]]:
    """The store and the rules, to look something up."""
    with _telling():
        rules, keys = open_rules(load(config_file))
        with keys, opened_store(config_file) as store:
            yield store, rules


def shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its sealed values and hashes."""
    return {name: value for name, value in told_row(row).items() if not isinstance(value, bytes)}


def print_row(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one row."""
    values = shown_row(row)
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    width = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:{width}}  {'' if value is None else value}".rstrip())


def print_rows(
    rows: Iterable[Mapping[str, Any]], table: Callable[[list[dict[str, Any]]], None], *, as_json: bool
) -> None:
    """Print rows as JSON, one a line, or as a table."""
    values = [shown_row(row) for row in rows]
    if not as_json:
        table(values)
        return
    for one in values:
        typer.echo(json.dumps(one, ensure_ascii=False))
