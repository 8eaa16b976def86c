"""What is done to merchants and terminals by two people: one proposes, another approves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Table

from switch.merchants.registering import Registrar
from switch.merchants.rows import Compiler
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.proposals.deciding import Desk, Kind
from switch.store.changing import Change
from switch.store.problems import RefusedError


def _state_kind_name(table: Table) -> str:
    """Of the proposals to release or close one."""
    return f"{table.name.removesuffix('s')}_state"


def proposal_kinds(compiler: Compiler) -> list[Kind]:
    """All sorts of proposals about merchants and terminals.

    Args:
        compiler: Says whether the switch would take what is proposed.
    """
    return [_state_kind(table, compiler) for table in (MERCHANTS, TERMINALS)]


def propose_state(desk: Desk, table: Table, key: str, state: str, lasts: timedelta) -> int:
    """Propose to release or close one; the number of the proposal.

    Raises:
        RefusedError: It could not be done, or the person may not propose it.
    """
    return desk.propose(_state_kind_name(table), key, {"state": state}, lasts)


def _state_kind(table: Table, compiler: Compiler) -> Kind:
    def apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if not Registrar(change, compiler).set_state(table, subject, wanted["state"]):
            raise RefusedError(f"{subject} is {wanted['state']} already")

    return Kind(_state_kind_name(table), "registry.change", "registry.approve", apply)
