"""What an applicant is told of his own application: nothing of others, of lists, nor of who looks at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from switch.applications.applying import (
    EDITABLE,
    Rules,
    application_of,
    contract_of,
    documents_of,
    results_of,
)
from switch.applications.forms import MILLION, SEALED, Form
from switch.applications.plans import plan_of
from switch.applications.tables import APPLICATIONS, CONTRACT_TEXTS, MERCHANT_PROFILES
from switch.store.audit import AUDIT
from switch.store.changing import find_row, row_of
from switch.store.columns import moment_text, told_row

TOLD_CHECKS: Final = frozenset({"papers", "social_credit_code", "identity_number", "licence", "account", "category"})
"""Of what the applicant himself has told: the others tell of other applicants, or of whom nobody takes on."""

NOT_TOLD: Final = {"what": "other", "reason": "it cannot be taken on as it is: ask the acquirer", "source": ""}
PASSING: Final = ("submitted", "checking")
"""States that nobody sees, since the machine goes on in the same moment."""


def view_of(connection: Connection, rules: Rules, reference: str) -> dict[str, Any]:
    """All that an applicant may see of his application, for a program; sealed values are masked.

    Raises:
        NoSuchError: There is none.
    """
    row = application_of(connection, reference)
    state = row["state"]
    papers = documents_of(connection, reference)
    needed = rules.policy.documents.needed(row["kind"])
    kinds = {one["kind"] for one in papers}
    steps = _steps(connection, reference)
    return {
        "reference": reference,
        "state": state,
        "deadline": None if row["deadline"] is None else moment_text(row["deadline"]),
        "is_editable": state in EDITABLE,
        "form": _form(row),
        "plan": plan_of(connection, row["plan"]).model_dump(mode="json"),
        "papers": {
            "needed": list(needed),
            "missing": [one for one in needed if one not in kinds],
            "kept": [_told(one, ("id", "kind", "content_type", "bytes", "at")) for one in papers],
        },
        "reasons": _reasons(connection, reference, state, steps),
        "history": [{"at": one["at"], "state": one["state"]} for one in steps if one["state"] not in PASSING],
        "contract": _contract(connection, row),
        "merchant": _merchant(connection, row),
    }


def _form(row: Mapping[str, Any]) -> dict[str, Any]:
    told = told_row(row)
    form = {name: told[name] for name in Form.model_fields if name in told}
    form |= {name: row[f"{name}_masked"] for name in SEALED}
    for name in ("latitude", "longitude"):
        degrees = row[f"{name}_e6"]
        form[name] = None if degrees is None else degrees / MILLION
    return {name: form[name] for name in Form.model_fields}


def _told(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    told = told_row(row)
    return {name: told[name] for name in names}


def _steps(connection: Connection, reference: str) -> list[dict[str, Any]]:
    """Each change of the state, the first one first, with the state before it and the reason."""
    column = AUDIT.c
    mine = (column.subject == APPLICATIONS.name, column.row == reference)
    is_step = or_(column.before.is_(None), column.before.contains('"state":'))
    query = select(column.at, column.why, column.before, column.after).where(*mine, is_step).order_by(column.number)
    return [
        {
            "at": moment_text(one.at),
            "why": one.why,
            "before": None if one.before is None else json.loads(one.before).get("state"),
            "state": json.loads(one.after)["state"],
        }
        for one in connection.execute(query)
    ]


def _reasons(connection: Connection, reference: str, state: str, steps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Why it was sent back, or refused."""
    last = steps[-1]
    if state not in ("returned", "refused"):
        return []
    if last["before"] != "checking":
        return [{"what": "review", "reason": last["why"], "source": ""}]
    found = results_of(connection, reference)
    failed = [one for one in found if one["round"] == found[0]["round"] and one["outcome"] == "failed"]
    told = [
        {"what": one["name"], "reason": one["reason"], "source": one["source"]}
        for one in failed
        if one["name"] in TOLD_CHECKS
    ]
    return told if len(told) == len(failed) else [*told, dict(NOT_TOLD)]


def _contract(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The contract that is offered, or was accepted; None where neither is so."""
    if row["contract_text"] is None:
        return None
    text = row_of(connection, CONTRACT_TEXTS, row["contract_text"])
    contract = contract_of(connection, row["id"])
    accepted = {} if contract is None else told_row(contract)
    return {
        "title": text["title"],
        "text": text["text"],
        "text_hash": text["id"],
        "since": moment_text(text["since"]),
        "plan": row["plan"],
        **{name: accepted.get(name) for name in ("plan_hash", "accepted_by", "accepted_at", "how", "hash")},
    }


def _merchant(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What it has become, with the limits of a small merchant; None where it has not."""
    if row["merchant"] is None:
        return None
    profile = find_row(connection, MERCHANT_PROFILES, row["merchant"])
    limits = {} if profile is None else told_row(profile)
    return {
        "id": row["merchant"],
        **{name: limits.get(name) for name in ("credit_day_minor", "credit_month_minor", "limits_since")},
    }
