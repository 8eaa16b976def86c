"""What commands about applications have in common: rules, keys, registry and proposals in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from switch.applications.applying import Clerk
from switch.applications.looking_after import kinds_of_proposals
from switch.applications.policy import Policy
from switch.check.applications import open_policy, open_rules
from switch.check.row_compiler import compiler_of
from switch.cli.journal_reading import load
from switch.cli.registry_desk import in_words
from switch.cli.store_opening import changing_store, opened_store
from switch.keys import KeyFile
from switch.merchants.registering import Registrar
from switch.proposals.deciding import Desk
from switch.store.opening import Store

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
def acquiring(config_file: Path, why: str, right: str | None = None) -> Iterator[Work]:
    """Whoever asks does something for a reason; it is done when the block ends, or not at all."""
    config = load(config_file)
    with in_words():
        rules, keys = open_rules(config)
        with keys, changing_store(config_file, why, right) as (change, actor):
            compiler = compiler_of(keys, config)
            registrar = Registrar(change, compiler, is_alone=actor.rights is not None)
            desk = Desk(change, actor, kinds_of_proposals(lambda: rules, compiler))
            yield Work(Clerk(change, actor, rules), registrar, keys, desk, config.proposals_last)


@contextmanager
def looking(config_file: Path) -> Iterator[tuple[Store, Policy]]:
    """The store and the limits of the rules, to look something up; no key is needed for that."""
    with in_words(), opened_store(config_file) as store:
        yield store, open_policy(load(config_file))
