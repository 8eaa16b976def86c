"""What is done to merchants and terminals by two people: one proposes, another approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Table

from switch.merchants.binding_desk import binding_kinds
from switch.merchants.registering import Registrar
from switch.merchants.rows import Compiler
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.proposals.deciding import Desk, Kind
from switch.store.changing import Change
from switch.store.problems import RefusedError

STATES_BY_STEP = {"suspend": "suspended", "release": "active", "close": "closed"}
"""What people call a change of the state, and the state that it leads to."""


def _state_kind_name(table: Table) -> str:
    """Of the proposals to release or close one."""
    return f"{table.name.removesuffix('s')}_state"


def proposal_kinds(compiler: Compiler) -> list[Kind]:
    """All sorts of proposals about merchants and terminals.

    Args:
        compiler: Says whether the switch would take what is proposed.
    """
    return [*(_state_kind(table, compiler) for table in (MERCHANTS, TERMINALS)), *binding_kinds(compiler)]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a wish to change a state.

    Attributes:
        is_changed: Whether anything is other than before.
        proposal: The number under which another person decides; None where it was done.
    """

    is_changed: bool
    proposal: int | None = None


def change_state(
    registrar: Registrar, desk: Desk, row: tuple[Table, str], state: str, lasts: timedelta, *, proposes: bool = False
) -> Done:
    """Suspend, release or close one, or propose it where two people are needed or that is wished.

    Args:
        registrar: Who does it.
        desk: Where it is proposed.
        row: The merchants or the terminals, and which one.
        state: What it is to be.
        lasts: How long a proposal waits.
        proposes: Whether it is left to another person in any case.

    Raises:
        RefusedError: It cannot be done, or the person may not propose it.
    """
    table, key = row
    if proposes or registrar.needs_two(table, key, state):
        return Done(is_changed=True, proposal=desk.propose(_state_kind_name(table), key, {"state": state}, lasts))
    return Done(registrar.set_state(table, key, state))


def _state_kind(table: Table, compiler: Compiler) -> Kind:
    def apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if not Registrar(change, compiler).set_state(table, subject, wanted["state"]):
            raise RefusedError(f"{subject} is {wanted['state']} already")

    return Kind(_state_kind_name(table), "registry.change", "registry.approve", apply)
