"""What is done to merchants and terminals by two people: one proposes, another approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Table

from switch.merchants.binding_desk import Verification, binding_kinds, verification_in, wanted_of
from switch.merchants.registering import Registrar, is_moved_by
from switch.merchants.rows import Compiler
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.proposals.deciding import Desk, Kind
from switch.store.changing import Change, row_of
from switch.store.problems import RefusedError

TERMINAL_KIND = "terminal_change"

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
    states = [_state_kind(table, compiler) for table in (MERCHANTS, TERMINALS)]
    return [*states, _terminal_kind(compiler), *binding_kinds(compiler)]


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


def change_terminal(
    registrar: Registrar,
    desk: Desk,
    key: str,
    values: Mapping[str, str],
    verification: Verification | None,
    *,
    lasts: timedelta,
) -> Done:
    """Change columns of a terminal; or propose it, where one alone would make it another machine, or move it.

    Args:
        registrar: Who does it.
        desk: Where it is proposed.
        key: Which terminal.
        values: The columns.
        verification: Who has seen it where it is; for a proposal only.
        lasts: How long a proposal waits.

    Raises:
        RefusedError: It cannot be done, the person may not propose it, or nobody has seen what is proposed.
    """
    if registrar.is_alone and is_moved_by(row_of(registrar.change.connection, TERMINALS, key), values):
        number = desk.propose(TERMINAL_KIND, key, wanted_of(values, verification), lasts)
        return Done(is_changed=True, proposal=number)
    if verification is not None:
        raise RefusedError(f"{key}: a verification is kept with a proposal, or by `terminals bind`")
    return Done(registrar.alter(TERMINALS, key, values))


def _terminal_kind(compiler: Compiler) -> Kind:
    def apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if verification_in(wanted) is None:
            raise RefusedError(f"{subject} must be verified anew, on site or by live video")
        values = {name: value for name, value in wanted.items() if name in TERMINALS.c}
        if not Registrar(change, compiler).alter(TERMINALS, subject, values):
            raise RefusedError(f"{subject} is so already")

    return Kind(TERMINAL_KIND, "registry.change", "registry.approve", apply)


def _state_kind(table: Table, compiler: Compiler) -> Kind:
    def apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if not Registrar(change, compiler).set_state(table, subject, wanted["state"]):
            raise RefusedError(f"{subject} is {wanted['state']} already")

    return Kind(_state_kind_name(table), "registry.change", "registry.approve", apply)
