"""From a contract to machines that work: a merchant and its terminals with numbers and keys, and codes for them.

A terminal is registered as one that awaits its first sign-in: it is known, may sign in, and gets nothing else. That
puts it into service, or its code, shown once, does.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table, exists, func, select

from switch.applications.applying import Clerk, application_of, random_text
from switch.applications.plans import plan_of
from switch.applications.policy import ActivationSection, ApplicantKind
from switch.applications.states import next_state
from switch.applications.tables import APPLICATIONS, MERCHANT_PROFILES
from switch.keys import Key, KeyFile
from switch.keys.key import generate_value
from switch.keys.names import Usage
from switch.merchants.binding_desk import binder_of_new
from switch.merchants.identities import note_identity
from switch.merchants.registering import Registrar
from switch.merchants.tables import ACTIVATIONS, IDENTITIES, MERCHANTS, TERMINALS
from switch.store.changing import Change, find_row, key_column, row_of
from switch.store.problems import RefusedError
from switch.store.sealing import Place, Sealer
from switch.tables.binding import MERCHANT_ELEMENTS
from switch.tables.party_states import AWAITING

KEYS_OF_TERMINAL: Final[tuple[Usage, ...]] = ("tmk", "tak", "tpk")
CODE_CHARACTERS: Final = 12
CLASSES: Final[Mapping[ApplicantKind, str]] = {"company": "company", "person": "small"}
MERCHANT_DIGITS: Final = 15
TERMINAL_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """A device that is to be installed.

    Attributes:
        serial_number: No two have the same.
        model: What it is.
        place: Where; empty: at the place of the application.
    """

    serial_number: str
    model: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """What came of it; the codes are in no other place, and nobody can tell them again.

    Attributes:
        merchant: Its number.
        codes: By the numbers of the terminals.
    """

    merchant: str
    codes: dict[str, str] = field(repr=False)


def assign(clerk: Clerk, registrar: Registrar, keys: KeyFile, reference: str, machines: Sequence[Machine]) -> Assigned:
    """Make a merchant of an application, with terminals and their keys; the key file is not saved.

    Where the key file has a key for it, or the switch demands it, the terminals are bound to what the application says.

    Args:
        clerk: Who does it.
        registrar: In the same transaction, with a compiler that knows the keys of ``keys``.
        keys: The opened key file.
        reference: Of the application.
        machines: At most as many as it asks for.

    Raises:
        RefusedError: The contract was not accepted, there are too many, the registry does not take one, or it cannot
            be bound.
    """
    change, rules = clerk.change, clerk.rules
    row = application_of(change.connection, reference)
    clerk.require_step("assign", row)
    if not 0 < len(machines) <= row["terminal_count"]:
        raise RefusedError(f"application {reference} asks for {row['terminal_count']} terminals, not {len(machines)}")
    numbers = rules.policy.numbers
    prefix = f"{numbers.acquirer}{numbers.region}{row['category']}"
    merchant = _next_number(change, MERCHANTS, prefix, MERCHANT_DIGITS)
    registrar.add_merchant({"id": merchant, "name": row["trading_name"], "category": row["category"]})
    change.insert(MERCHANT_PROFILES, _profile(clerk, row, merchant))
    held = _identity_in(row)
    note_identity(change, merchant, held)
    binder = binder_of_new(registrar)
    if binder is not None:
        secrets = {name: rules.sealer.text(APPLICATIONS.name, name, row, reference) for name in MERCHANT_ELEMENTS}
        binder.set_elements(merchant, {**binder.hashes_of(merchant, secrets), **held})
    codes = {}
    for machine in machines:
        terminal = _next_number(change, TERMINALS, numbers.terminal_prefix, TERMINAL_DIGITS, keys)
        _make_keys(keys, terminal, rules.policy.terminals.key_algorithm)
        registrar.add_terminal(
            {
                "id": terminal,
                "merchant": merchant,
                "state": AWAITING,
                "mac_algorithm": rules.policy.terminals.mac_algorithm,
                "pin_format": rules.policy.terminals.pin_format,
                "serial_number": machine.serial_number,
                "model": machine.model,
                "place": machine.place or row["place"],
            }
        )
        if binder is not None:
            binder.bind(terminal, {})
        codes[terminal] = issue_code(change, rules.sealer, rules.policy.activation, terminal)
    clerk.note_assigned(reference, merchant)
    return Assigned(merchant, codes)


def issue_code(change: Change, sealer: Sealer, limits: ActivationSection, terminal: str) -> str:
    """Give a terminal that awaits its first sign-in a code, in the place of one that it may have had.

    There is new time for both; and nobody can tell the code again.

    Raises:
        RefusedError: It is not there, is closed, or was activated before.
    """
    row = row_of(change.connection, TERMINALS, terminal)
    before = find_row(change.connection, ACTIVATIONS, terminal)
    if row["state"] != AWAITING and (before is None or row["state"] != "suspended"):
        raise RefusedError(f"terminal {terminal} is {row['state']}")
    code = random_text(CODE_CHARACTERS)
    values = {
        "code_hash": _code_hash(sealer, terminal, code),
        "tries_left": limits.tries_max,
        "expires_at": change.at + timedelta(hours=limits.hours),
    }
    if before is None:
        change.insert(ACTIVATIONS, {"id": terminal, **values})
        return code
    if before["used_at"] is not None:
        raise RefusedError(f"terminal {terminal} was activated before: it is suspended for another reason")
    change.update(ACTIVATIONS, terminal, values)
    return code


def activate(clerk: Clerk, registrar: Registrar, terminal: str, code: str) -> str:
    """Put a terminal into service by its code; why not, in words, and empty where it was done.

    A wrong code is counted: the transaction is to be kept, whatever is returned.

    Raises:
        RefusedError: The person may not, there is no such terminal, or the switch would not take it.
    """
    change = clerk.change
    row = row_of(change.connection, TERMINALS, terminal)
    waiting = find_row(change.connection, ACTIVATIONS, terminal)
    if waiting is None or waiting["used_at"] is not None:
        return f"terminal {terminal} does not wait for a code"
    if row["state"] != AWAITING:
        return f"terminal {terminal} is {row['state']}; a code activates one that awaits its first sign-in"
    if change.at >= waiting["expires_at"]:
        return f"the time of the code was over on {waiting['expires_at']:%Y-%m-%d %H:%M} UTC: give it a new one"
    if not waiting["tries_left"]:
        return "too many wrong codes were tried: give it a new one"
    if not hmac.compare_digest(waiting["code_hash"], _code_hash(clerk.rules.sealer, terminal, code)):
        change.update(ACTIVATIONS, terminal, {"tries_left": waiting["tries_left"] - 1})
        return f"the code is wrong; {waiting['tries_left'] - 1} tries are left"
    change.update(ACTIVATIONS, terminal, {"used_at": change.at, "tries_left": 0})
    registrar.set_state(TERMINALS, terminal, "active")
    for reference in _waiting_applications(change, row["merchant"]):
        clerk.note_active(reference)
    return ""


def note_first_sign_in(change: Change, terminal: str, at: datetime) -> bool:
    """A switch serves a terminal that has signed in; false where people have done something else with it meanwhile.

    Args:
        change: The transaction of the switch.
        terminal: Its number.
        at: When it was.
    """
    row = find_row(change.connection, TERMINALS, terminal)
    if row is None or row["state"] != AWAITING:
        return False
    change.update(ACTIVATIONS, terminal, {"used_at": at, "tries_left": 0})
    change.update(TERMINALS, terminal, {"state": "active"})
    for reference in _waiting_applications(change, row["merchant"]):
        state = next_state("activate", application_of(change.connection, reference)["state"])
        change.update(APPLICATIONS, reference, {"state": state, "deadline": None})
    return True


def _waiting_applications(change: Change, merchant: str) -> Sequence[str]:
    """Applications whose first terminal this is."""
    waits = (APPLICATIONS.c.merchant == merchant, APPLICATIONS.c.state == "terminals_assigned")
    return change.connection.execute(select(APPLICATIONS.c.id).where(*waits)).scalars().all()


def _code_hash(sealer: Sealer, terminal: str, code: str) -> bytes:
    """By a key, since a code has not so many bits that nobody could try them all."""
    return sealer.hash(f"activation of {terminal}", code)


def note_identities(change: Change) -> list[str]:
    """Keep who holds merchants that were taken on before anybody asked for it; which."""
    known = exists().where(IDENTITIES.c.id == APPLICATIONS.c.merchant)
    query = select(APPLICATIONS).where(APPLICATIONS.c.merchant.is_not(None), ~known).order_by(APPLICATIONS.c.merchant)
    rows = change.connection.execute(query).mappings().all()
    for row in rows:
        note_identity(change, row["merchant"], _identity_in({**row}))
    return [row["merchant"] for row in rows]


def _identity_in(row: Mapping[str, Any]) -> dict[str, str]:
    """Who holds the merchant of an application: a person without a licence is a small merchant."""
    return {"class": CLASSES[row["kind"]], "same_identity": row["identity_hash"].hex()}


def _profile(clerk: Clerk, row: dict[str, Any], merchant: str) -> dict[str, Any]:
    sealer, policy = clerk.rules.sealer, clerk.rules.policy
    account = sealer.text(APPLICATIONS.name, "account", row, row["id"])
    small = plan_of(clerk.change.connection, row["plan"]).small_merchant
    day = clerk.rules.day_of(clerk.change.at)
    return {
        "id": merchant,
        "application": row["id"],
        "risk": row["risk"],
        "licence_until": row["licence_until"],
        "review_due": day + timedelta(days=policy.reviews.days(row["risk"])),
        "account_holder": row["account_holder"],
        "credit_day_minor": None if small is None else small.credit_day_minor.value,
        "credit_month_minor": None if small is None else small.credit_month_minor.value,
        "limits_since": None if small is None else day,
        **sealer.columns(Place(MERCHANT_PROFILES.name, "account", merchant), "account", account),
    }


def _make_keys(keys: KeyFile, terminal: str, algorithm: str) -> None:
    for usage in KEYS_OF_TERMINAL:
        keys.put(Key(f"terminal/{terminal}/{usage}", usage, algorithm, generate_value(algorithm)))


def _next_number(change: Change, table: Table, prefix: str, digits: int, keys: KeyFile | None = None) -> str:
    """The number behind the highest one that begins so: none ever comes again. One with letters in it is none.

    One that has keys already is passed over: they may be those of a machine that another registry knows, or were left
    by an assignment that did not come to its end.
    """
    key = key_column(table)
    mine = (key.like(f"{prefix}%"), func.length(key) == digits)
    numbers = change.connection.execute(select(key).where(*mine).order_by(key.desc()).execution_options(yield_per=100))
    with numbers:
        running = next((int(rest) for one in numbers.scalars() if (rest := one.removeprefix(prefix)).isdecimal()), 0)
    while True:
        running += 1
        number = f"{prefix}{running:0{digits - len(prefix)}}"
        if len(number) > digits:
            raise RefusedError(f"no number of {digits} digits is left that begins with {prefix}")
        if keys is None or not any(f"terminal/{number}/{usage}" in keys for usage in KEYS_OF_TERMINAL):
            return number
