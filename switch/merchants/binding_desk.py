"""Binding terminals to what their merchant is: the one way to change a settlement account, a machine or a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.dialect.terminal_says import position_of
from switch.merchants.binding_tables import BINDINGS, ELEMENTS, VERIFICATIONS
from switch.merchants.identities import is_held_otherwise, note_identity, same_identity_of
from switch.merchants.registering import MACHINE_AND_PLACE, Registrar, is_moved_by, refuse_texts
from switch.merchants.rows import Compiler
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.proposals.deciding import Kind
from switch.store.changing import Change, find_row, row_of
from switch.store.problems import RefusedError
from switch.tables.binding import (
    BINDING_KEY,
    MERCHANT_ELEMENTS,
    TERMINAL_ELEMENTS,
    binding_of,
    elements_of,
    is_bound_as,
    secret_hash,
)

ELEMENTS_KIND = "merchant_elements"
BINDING_KIND = "terminal_binding"
POSITION_CHARACTERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Verification:
    """Somebody saw that it is so.

    Attributes:
        how: On site, or by live video.
        by: Who saw it.
        on: The day.
        reference: Of the record of it.
    """

    how: str
    by: str
    on: date
    reference: str

    def columns(self) -> dict[str, Any]:
        """As both tables have it.

        Raises:
            RefusedError: Something of it is missing.
        """
        if self.how not in VERIFICATIONS or not self.by.strip() or not self.reference.strip():
            raise RefusedError(f"a verification is {' or '.join(VERIFICATIONS)}, with who made it and its reference")
        columns = {"verified": self.how, "verified_by": self.by, "reference": self.reference}
        refuse_texts(columns)
        return {**columns, "verified_on": self.on}


def wanted_of(values: Mapping[str, str], verification: Verification | None) -> dict[str, str]:
    """What is to be, as a proposal keeps it."""
    seen = {} if verification is None else verification.columns() | {"verified_on": verification.on.isoformat()}
    return {**values, **seen}


def verification_in(wanted: Mapping[str, str]) -> Verification | None:
    """Who has seen it, as a proposal keeps it; None where it says nothing of that."""
    if not wanted.get("verified"):
        return None
    on = date.fromisoformat(wanted["verified_on"])
    return Verification(wanted["verified"], wanted["verified_by"], on, wanted["reference"])


class Binder:
    """Binds terminals.

    Args:
        registrar: Who does it.

    Raises:
        RefusedError: The key file has no key for it.
    """

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._change = registrar.change
        self._connection = registrar.change.connection
        key = registrar.compiler.keys.get(BINDING_KEY)
        if key is None:
            raise RefusedError(f"the key file has no {BINDING_KEY}: authswitch keys generate makes it")
        self._key = key
        self._acquirer = registrar.compiler.rule.acquirer

    def hashes_of(self, merchant: str, secrets: Mapping[str, str]) -> dict[str, str]:
        """What stands for identity and account of a merchant: they themselves are kept nowhere here.

        With the identity comes what stands for it at all its merchants, where the key file has the key for that.

        Raises:
            RefusedError: One of them is empty.
        """
        for name, clear in secrets.items():
            if not clear.strip():
                raise RefusedError(f"{name}: is empty")
        hashes = {name: secret_hash(self._key, name, merchant, clear) for name, clear in secrets.items()}
        if "identity" in secrets:
            hashes |= same_identity_of(self._registrar.compiler.keys, secrets["identity"])
        return hashes

    def set_elements(self, merchant: str, wanted: Mapping[str, str]) -> bool:
        """Say who a merchant is and where it is settled, and bind its terminals to that; False where it was so.

        Args:
            merchant: Its number.
            wanted: Hashes of ``MERCHANT_ELEMENTS``, and the verification; with ``class`` and ``same_identity``, too.

        Raises:
            RefusedError: Something is missing, or one of its terminals is not as it was bound.
        """
        if row_of(self._connection, MERCHANTS, merchant)["state"] == "closed":
            raise RefusedError(f"{merchant} is closed, and stays as it was")
        hashes = {name: wanted[name] for name in MERCHANT_ELEMENTS if name in wanted}
        before = find_row(self._connection, ELEMENTS, merchant)
        if before is None:
            if missing := [name for name in MERCHANT_ELEMENTS if name not in hashes]:
                raise RefusedError(f"{merchant}: needed {' and '.join(missing)}, too: nothing is known of it yet")
        elif all(before[name] == value for name, value in hashes.items()) and (
            not is_held_otherwise(self._connection, merchant, wanted)
        ):
            is_noted = note_identity(self._change, merchant, wanted)
            return self._bind_all(merchant) or is_noted
        verification = verification_in(wanted)
        if verification is None:
            if before is not None:
                raise RefusedError(f"{merchant}: the merchant must be verified anew, on site or by live video")
            self._change.insert(ELEMENTS, {"id": merchant, **hashes})
        elif before is None:
            self._change.insert(ELEMENTS, {"id": merchant, **hashes, **verification.columns()})
        else:
            self._change.update(ELEMENTS, merchant, {**hashes, **verification.columns()})
        note_identity(self._change, merchant, wanted)
        self._bind_all(merchant)
        return True

    def bind(self, terminal: str, wanted: Mapping[str, str]) -> bool:
        """Bind one terminal to its merchant's elements; False where it was so.

        Args:
            terminal: Its number.
            wanted: Those of serial number, place and position that are to be otherwise, and the verification.

        Raises:
            RefusedError: Something is missing, or this would change what it is bound to without a verification.
        """
        row = row_of(self._connection, TERMINALS, terminal)
        if row["state"] == "closed":
            raise RefusedError(f"{terminal} is closed, and stays as it was")
        before = find_row(self._connection, BINDINGS, terminal)
        verification = verification_in(wanted)
        known = {**row, "position": "" if before is None else before["position"]}
        now = {**known, **{name: wanted[name] for name in TERMINAL_ELEMENTS if name in wanted}}
        self._refuse_elements(terminal, now)
        if before is None and verification is None and is_moved_by(row, now):
            raise RefusedError(
                f"{terminal} was another machine, or elsewhere: it must be verified, on site or by live video"
            )
        if before is not None and verification is None:
            if any(now[name] != known[name] for name in TERMINAL_ELEMENTS):
                raise RefusedError(f"{terminal} is bound: it must be verified anew, on site or by live video")
            if not is_bound_as(self._key, {**row, **before}):
                raise RefusedError(f"{terminal} is not as it was bound: it must be verified anew")
        self._change.update(TERMINALS, terminal, {name: now[name] for name in MACHINE_AND_PLACE})
        return self._put(now, before, {} if verification is None else verification.columns())

    def _refuse_elements(self, terminal: str, row: Mapping[str, Any]) -> None:
        refuse_texts({name: row[name] or "" for name in TERMINAL_ELEMENTS})
        if not row["serial_number"] or not row["place"]:
            raise RefusedError(f"{terminal}: needed a serial number and a place")
        position = row["position"]
        if position and (position_of(position) is None or len(position) > POSITION_CHARACTERS_MAX):
            raise RefusedError(f"{position!r} is no position: needed one such as +31.2304+121.4737/")
        self._registrar.refuse_second_serial_number(row)

    def _bind_all(self, merchant: str) -> bool:
        """Bind its terminals anew that were bound; those that nobody bound stay so. Whether any was bound otherwise."""
        query = select(BINDINGS.c.id).join(TERMINALS, TERMINALS.c.id == BINDINGS.c.id)
        query = query.where(TERMINALS.c.merchant == merchant, TERMINALS.c.state != "closed").order_by(BINDINGS.c.id)
        changed = [self.bind(terminal, {}) for terminal in self._connection.execute(query).scalars().all()]
        return any(changed)

    def _put(self, row: Mapping[str, Any], before: Mapping[str, Any] | None, seen: Mapping[str, Any]) -> bool:
        elements = find_row(self._connection, ELEMENTS, row["merchant"])
        if elements is None:
            raise RefusedError(f"nothing is known yet of identity and account of merchant {row['merchant']}")
        parts = row["merchant"], elements["identity"], elements["account"]
        bound = {"position": row["position"], "bound_to": elements_of(self._key, self._acquirer, *parts).hex()}
        bound["binding"] = binding_of(self._key, {**row, **bound}).hex()
        if before is None:
            self._change.insert(BINDINGS, {"id": row["id"], **bound, **seen})
            return True
        return self._change.update(BINDINGS, row["id"], {**bound, **seen})


def is_bound(connection: Connection, terminal: str) -> bool:
    """Whether a terminal was bound before: then its binding is not changed by one person alone."""
    return find_row(connection, BINDINGS, terminal) is not None


def is_known(connection: Connection, merchant: str) -> bool:
    """Whether it was said before who a merchant is and where it is settled: its terminals can be bound to that."""
    return find_row(connection, ELEMENTS, merchant) is not None


def binder_of_new(registrar: Registrar) -> Binder | None:
    """Who binds terminals that are new; None where there is no key for it, and nobody demands that they are bound.

    Raises:
        RefusedError: It is demanded, and there is no key.
    """
    compiler = registrar.compiler
    return Binder(registrar) if compiler.rule.is_demanded or compiler.keys.get(BINDING_KEY) is not None else None


def binding_kinds(compiler: Compiler) -> list[Kind]:
    """What two people do to elements and bindings."""

    def set_elements(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if not Binder(Registrar(change, compiler)).set_elements(subject, wanted):
            raise RefusedError(f"{subject} is so already")

    def bind(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        if not Binder(Registrar(change, compiler)).bind(subject, wanted):
            raise RefusedError(f"{subject} is so already")

    rights = "registry.change", "registry.approve"
    return [Kind(ELEMENTS_KIND, *rights, set_elements), Kind(BINDING_KIND, *rights, bind)]
