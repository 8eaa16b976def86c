"""Changes of the registry, one merchant or terminal at a time, by the rules that hold for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select

from switch.merchants.binding_tables import BINDINGS
from switch.merchants.cases import cases_about
from switch.merchants.rows import Compiler
from switch.merchants.tables import ACTIVATIONS, MERCHANTS, TERMINALS
from switch.store.changing import Change, find_row, row_of
from switch.store.problems import RefusedError
from switch.tables.party_states import AWAITING

FIXED = {MERCHANTS.name: {"since"}, TERMINALS.name: {"merchant"}}
"""Columns that stay as they were: a machine that goes to another merchant is a new terminal."""

MACHINE_AND_PLACE = "serial_number", "place"
"""Columns of a terminal that are another's, once they are known, only when somebody has seen it."""

STEPS = {
    ("active", "suspended"),
    ("active", "closed"),
    ("suspended", "active"),
    ("suspended", "closed"),
    (AWAITING, "active"),
    (AWAITING, "suspended"),
    (AWAITING, "closed"),
}
"""From which state to which; what is closed stays closed. Who was suspended while it awaited its first sign-in awaits
it again when it is released."""


def text_fault(name: str, text: str) -> str:
    """Why a text cannot be kept; empty where it can.

    The switch does not look at blanks around an identifier, so two that differ by them would be one to it; and a line
    that begins with # is a comment.
    """
    if not text.isprintable():
        return "holds a character that cannot be printed"
    if name == "id" and (text != text.strip() or text.startswith("#")):
        return f"{text!r} begins or ends with a blank, or begins with #"
    return ""


def refuse_texts(values: Mapping[str, Any]) -> None:
    """See that texts can be kept.

    Raises:
        RefusedError: One of them cannot.
    """
    for name, value in values.items():
        fault = text_fault(name, value) if isinstance(value, str) else ""
        if fault:
            raise RefusedError(f"{name}: {fault}")


def is_moved_by(before: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether values make a terminal another machine, or one at another place, than was known before."""
    return any(before[name] and values[name] != before[name] for name in MACHINE_AND_PLACE if name in values)


@dataclass(frozen=True)
class Registrar:
    """Who changes the registry.

    Attributes:
        change: The transaction, with who does it and why.
        compiler: Says whether the switch would take it.
        is_alone: Whether one of several people does this without another's approval.
    """

    change: Change
    compiler: Compiler
    is_alone: bool = False

    def add_merchant(self, values: Mapping[str, Any]) -> None:
        """Take a merchant on.

        Raises:
            RefusedError: It is there already, or the switch would not take it.
        """
        row = {"state": "active", **values}
        refuse_texts(row)
        self._refuse_second(MERCHANTS, row["id"])
        self.compiler.check(row)
        self.change.insert(MERCHANTS, {"since": self.change.at, **row})

    def add_terminal(self, values: Mapping[str, Any]) -> None:
        """Register a terminal of a merchant.

        Raises:
            RefusedError: It, or its serial number, is there already, its merchant is not or is closed, or the switch
                would not take it: it may have no keys yet.
        """
        row = {"state": "active", **values}
        refuse_texts(row)
        self._refuse_second(TERMINALS, row["id"])
        merchant = row_of(self.change.connection, MERCHANTS, row["merchant"])
        if merchant["state"] == "closed":
            raise RefusedError(f"merchant {merchant['id']} is closed")
        self.refuse_second_serial_number(row)
        self.compiler.check(merchant, row)
        self.change.insert(TERMINALS, row)

    def alter(self, table: Table, key: str, values: Mapping[str, Any]) -> bool:
        """Change columns of a merchant or terminal; False where they were so before.

        Raises:
            RefusedError: It is not there or closed, a column stays as it is, two people are needed, or the switch would
                not take it.
        """
        refuse_texts(values)
        before = row_of(self.change.connection, table, key)
        fixed = {name for name in FIXED[table.name] & values.keys() if values[name] != before[name]}
        if fixed:
            raise RefusedError(f"{', '.join(sorted(fixed))} of {key} cannot be changed: close it and register another")
        if before["state"] == "closed":
            raise RefusedError(f"{key} is closed, and stays as it was")
        self._refuse_bound(table, key, {name for name, value in values.items() if value != before[name]})
        if self.is_alone and table is TERMINALS and is_moved_by(before, values):
            raise RefusedError(
                f"{key}: two people are needed for another serial number or place: `terminals change` proposes it"
            )
        self._check(table, {**before, **values})
        return self.change.update(table, key, values)

    def needs_two(self, table: Table, key: str, state: str) -> bool:
        """Whether a state is not for one alone: who takes money again, or never again, or was not as registered.

        One alone activates a terminal that awaits its first sign-in: if it had a case, two have released it since.
        """
        if not self.is_alone or state == "suspended":
            return False
        if table is MERCHANTS:
            return True
        connection = self.change.connection
        if state != "active" or row_of(connection, table, key)["state"] == AWAITING:
            return False
        return bool(cases_about(connection, table.name, key))

    def set_state(self, table: Table, key: str, state: str) -> bool:
        """Suspend, release or close a merchant or terminal; False where it was so before.

        With a merchant its terminals are closed. A terminal that is released before it was ever active awaits its first
        sign-in.

        Raises:
            RefusedError: It is not there, is closed, or its merchant is; or it awaits its first sign-in.
        """
        before = row_of(self.change.connection, table, key)
        if before["state"] == state:
            return False
        if self.needs_two(table, key, state):
            raise RefusedError(f"{key}: two people are needed for {state}: propose it")
        if (before["state"], state) not in STEPS:
            raise RefusedError(f"{key} is {before['state']}: it cannot become {state}")
        if table is MERCHANTS and state == "closed":
            self._close_terminals(key)
        if state == "active":
            self._refuse_open_cases(table, key)
            state = self._state_of_released(table, before)
            self._check(table, {**before, "state": state})
        return self.change.update(table, key, {"state": state})

    def _refuse_open_cases(self, table: Table, key: str) -> None:
        for case in cases_about(self.change.connection, table.name, key):
            if case["state"] == "open":
                raise RefusedError(f"{key}: case {case['id']} is open: somebody must look at it first, and close it")

    def _refuse_bound(self, table: Table, key: str, changed: set[str]) -> None:
        """What a terminal is bound as is changed with its binding."""
        if table is not TERMINALS or not changed & set(MACHINE_AND_PLACE):
            return
        if self.change.connection.execute(select(BINDINGS.c.id).where(BINDINGS.c.id == key)).first():
            raise RefusedError(f"{key} is bound: its serial number and its place are changed by `terminals bind`")

    def _check(self, table: Table, row: Mapping[str, Any]) -> None:
        if table is MERCHANTS:
            self.compiler.check(row)
            return
        merchant = row_of(self.change.connection, MERCHANTS, row["merchant"])
        if row["state"] == "active" and merchant["state"] == "closed":
            raise RefusedError(f"merchant {merchant['id']} is closed")
        self.refuse_second_serial_number(row)
        self.compiler.check(merchant, row)

    def _state_of_released(self, table: Table, before: Mapping[str, Any]) -> str:
        """What it is then: nobody goes past the sign-in, or the code, that a terminal is activated by."""
        key = before["id"]
        waits = (ACTIVATIONS.c.id == key, ACTIVATIONS.c.used_at.is_(None))
        if table is MERCHANTS or not self.change.connection.execute(select(ACTIVATIONS.c.id).where(*waits)).first():
            return "active"
        if before["state"] == AWAITING:
            raise RefusedError(
                f"terminal {key} awaits its first sign-in, or `authswitch terminals activate` with its code"
            )
        return AWAITING

    def _close_terminals(self, merchant: str) -> None:
        query = select(TERMINALS.c.id).where(TERMINALS.c.merchant == merchant, TERMINALS.c.state != "closed")
        for terminal in self.change.connection.execute(query.order_by(TERMINALS.c.id)).scalars().all():
            self.change.update(TERMINALS, terminal, {"state": "closed"})

    def _refuse_second(self, table: Table, key: str) -> None:
        if find_row(self.change.connection, table, key):
            raise RefusedError(f"there is a {table.name.removesuffix('s')} {key} already")

    def refuse_second_serial_number(self, row: Mapping[str, Any]) -> None:
        """See that no other terminal has the serial number of this one.

        Raises:
            RefusedError: Another one has.
        """
        serial = row.get("serial_number")
        if serial is None:
            return
        query = select(TERMINALS.c.id).where(TERMINALS.c.serial_number == serial, TERMINALS.c.id != row["id"])
        other = self.change.connection.execute(query).scalar_one_or_none()
        if other is not None:
            raise RefusedError(f"serial number {serial} is that of terminal {other} already")
