"""An application from its first line to the contract: each step by somebody who may, for a reason that is kept."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.access.token_deeds import names_behind, note_deed
from switch.applications.checks import Result, Subject, run_checks
from switch.applications.contracts import accept, text_named
from switch.applications.documents import Paper, add_document, forget_contents
from switch.applications.forms import Form, form_of
from switch.applications.lists import RISK_CLASSES, Lists
from switch.applications.plans import offered_plan
from switch.applications.policy import Policy
from switch.applications.states import ENTERING, OPEN, STEPS, next_state, words
from switch.applications.tables import (
    APPLICANT,
    APPLICATIONS,
    CHECK_RESULTS,
    CONTRACTS,
    DOCUMENTS,
    GIVEN_UP,
    REASON_CHARACTERS_MAX,
    REFERENCE_CHARACTERS,
    SOURCE_CHARACTERS_MAX,
)
from switch.applications.twins import twins_of
from switch.store.audit import AUDIT
from switch.store.changing import Change, find_row, row_of
from switch.store.problems import RefusedError
from switch.store.sealing import Sealer

READABLE: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without what people mistake for each other."""

SECRET_BYTES = 20
REVIEWER: Final = "reviewer"
"""What a result is called that a person has found."""

EDITABLE: Final = ("draft", "returned")
TOLD: Final = "told"
REVIEWED: Final = "reviewed"
COULD_SPEAK: Final = "may speak"
"""What is kept of the tokens by which these were done."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By which an acquirer takes merchants on.

    Attributes:
        policy: Limits, deadlines and papers.
        lists: What applications are held against.
        sealer: Seals and finds what nobody may read.
        zone: Whose days they are.
    """

    policy: Policy
    lists: Lists
    sealer: Sealer
    zone: ZoneInfo

    def day_of(self, moment: datetime) -> date:
        """The day that it is there."""
        return moment.astimezone(self.zone).date()


def application_of(connection: Connection, reference: str) -> dict[str, Any]:
    """One application, with its sealed values closed.

    Raises:
        NoSuchError: There is none.
    """
    return row_of(connection, APPLICATIONS, reference)


def results_of(connection: Connection, reference: str) -> list[dict[str, Any]]:
    """All that checks have ever found, the newest round first."""
    query = select(CHECK_RESULTS).where(CHECK_RESULTS.c.application == reference)
    order = (CHECK_RESULTS.c.round.desc(), CHECK_RESULTS.c.name)
    return [dict(row) for row in connection.execute(query.order_by(*order)).mappings()]


def documents_of(connection: Connection, reference: str) -> list[dict[str, Any]]:
    """What is known of the papers of an application, the first one first."""
    query = select(DOCUMENTS).where(DOCUMENTS.c.application == reference).order_by(DOCUMENTS.c.at, DOCUMENTS.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def steps_of(connection: Connection, reference: str) -> list[dict[str, Any]]:
    """Who did what with an application when and why, and its state behind that, the first step first."""
    mine = (AUDIT.c.subject == APPLICATIONS.name, AUDIT.c.row == reference)
    query = select(AUDIT.c.number, AUDIT.c.at, AUDIT.c.who, AUDIT.c.why, AUDIT.c.after).where(*mine)
    rows = [dict(row) for row in connection.execute(query.order_by(AUDIT.c.number)).mappings()]
    return [{**row, "state": json.loads(row.pop("after"))["state"]} for row in rows]


def tellers_of(connection: Connection, reference: str) -> list[str]:
    """Who has told something of an application: written the form, added a paper, or handed it in; by token, too."""
    column = AUDIT.c
    is_new = column.before.is_(None)
    has_submitted = and_(column.before.contains('"state":'), column.after.contains('"state":"submitted"'))
    has_written = or_(is_new, column.before.contains('"identity_sealed"', autoescape=True), has_submitted)
    papers = select(DOCUMENTS.c.id).where(DOCUMENTS.c.application == reference)
    told = or_(
        and_(column.subject == APPLICATIONS.name, column.row == reference, has_written),
        and_(column.subject == DOCUMENTS.name, column.row.in_(papers), is_new),
    )
    found = connection.execute(select(column.who).distinct().where(told)).scalars()
    return sorted({*found, *names_behind(connection, APPLICATIONS.name, reference, TOLD)})


def reviewers_of(connection: Connection, reference: str) -> list[str]:
    """Who has ever reviewed an application, also before it was reopened; by token, too."""
    column = AUDIT.c
    has_reviewed = and_(column.before.contains('"state":'), column.after.contains('"state":"reviewed"'))
    return _involved(connection, reference, has_reviewed, REVIEWED)


def secret_givers_of(connection: Connection, reference: str) -> list[str]:
    """Who has given the applicant another secret, and so could speak for him; by token, too."""
    has_given = AUDIT.c.before.contains('"secret_hash"', autoescape=True)
    return _involved(connection, reference, has_given, COULD_SPEAK)


def random_text(characters: int) -> str:
    """Letters and digits that nobody can guess, and that people can read to each other."""
    return "".join(secrets.choice(READABLE) for _ in range(characters))


def new_reference() -> str:
    """What an application is called, also by its applicant."""
    return random_text(REFERENCE_CHARACTERS)


def applicant(reference: str) -> Actor:
    """The applicant of an application, who is nobody of the staff: no person's name has a blank."""
    name = f"{APPLICANT}{reference}"
    return Actor(name, rights=frozenset({name}))


def is_own(actor: Actor, reference: str) -> bool:
    """Whether somebody is the applicant of an application."""
    return actor == applicant(reference)


class Clerk:
    """Somebody at work on applications, of the staff or the applicant.

    Args:
        change: The transaction, with the reason.
        actor: Who it is.
        rules: By which it is done.
    """

    def __init__(self, change: Change, actor: Actor, rules: Rules) -> None:
        self.change = change
        self.actor = actor
        self.rules = rules

    def enter(self, form: Form, reference: str | None = None) -> tuple[str, str]:
        """Begin an application; its reference, and the applicant's secret, which nobody can tell again.

        Args:
            form: What the applicant tells.
            reference: As `new_reference` has drawn it for the applicant who does this himself.

        Raises:
            RefusedError: The plan is not on offer to such an applicant.
        """
        reference = reference or new_reference()
        self._require_teller(reference)
        offered_plan(self.change.connection, form.plan, form.kind)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = {
            "id": reference,
            "deadline": self._deadline("own_draft" if is_own(self.actor, reference) else "draft"),
            "entered_by": self.actor.name,
            "entered_at": self.change.at,
            "secret_hash": secret_hash(secret),
            **form.columns(self.rules.sealer, reference),
        }
        self.change.insert(APPLICATIONS, row)
        self._note(TOLD, reference)
        return reference, secret

    def renew_secret(self, reference: str) -> str:
        """Give the applicant another secret, for one that was lost or tried too often; nobody can tell it again.

        Whoever does could speak for the applicant from then on, and so decides on nothing of it.

        Raises:
            RefusedError: There is no such application.
        """
        self.actor.require(ENTERING)
        application_of(self.change.connection, reference)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self.change.update(APPLICATIONS, reference, {"secret_hash": secret_hash(secret), "secret_tries": 0})
        self._note(COULD_SPEAK, reference)
        return secret

    def amend(self, reference: str, form: Form) -> None:
        """Write a form anew, as long as it is a draft or was sent back.

        Raises:
            RefusedError: It is not, or another sort of applicant.
        """
        self._require_teller(reference)
        row = self._editable(reference)
        if form.kind != row["kind"]:
            raise RefusedError(f"it is that of a {row['kind']}: another kind is another application")
        offered_plan(self.change.connection, form.plan, form.kind)
        self.change.update(APPLICATIONS, reference, form.columns(self.rules.sealer, reference))
        self._note(TOLD, reference)

    def add_document(self, reference: str, kind: str, content: bytes) -> str:
        """Keep a paper; its number.

        Raises:
            RefusedError: It is not taken, or the application is past that.
        """
        self._require_teller(reference)
        self._editable(reference)
        self._note(TOLD, reference)
        return add_document(
            self.change, self.rules.sealer, self.rules.policy.documents, Paper(reference, kind, content)
        )

    def submit(self, reference: str) -> dict[str, Result]:
        """Hand an application in, and look at it by machine: it is in review then, or sent back with reasons.

        Raises:
            RefusedError: It was handed in before.
        """
        self._step("submit", reference)
        self._note(TOLD, reference)
        self._step("begin_checks", reference)
        found = self._run_checks(reference)
        self._step(
            "fail_checks" if any(one.outcome == "failed" for one in found.values()) else "pass_checks", reference
        )
        return found

    def send_back(self, reference: str) -> None:
        """Give an application back to who told it, with the reason.

        Raises:
            RefusedError: It is not in review.
        """
        self._step("return", reference)

    def review(self, reference: str, risk: str, found: str = "") -> None:
        """Say, as another person than those who entered it, added papers or handed it in, that it can be approved.

        Args:
            reference: Of the application.
            risk: Class of risk.
            found: What the person has found about all that is doubtful, such as how an account was verified.

        Raises:
            RefusedError: It is not in review, or one's own; or something is doubtful, and nothing was found about it.
        """
        self._refuse_own(reference)
        if risk not in RISK_CLASSES:
            raise RefusedError(f"needed a class of risk: {', '.join(RISK_CLASSES)}")
        self._step("review", reference, reviewed_by=self.actor.name, risk=risk)
        self._note(REVIEWED, reference)
        self._answer_doubts(reference, found.strip())

    def reopen(self, reference: str) -> None:
        """Let it be reviewed once more.

        Raises:
            RefusedError: It was not reviewed.
        """
        self._step("reopen", reference)

    def approve(self, reference: str) -> None:
        """Approve it, as a third person.

        Raises:
            RefusedError: It was not reviewed, or one has entered or reviewed it oneself.
        """
        self._refuse_own(reference, is_approval=True)
        self._step("approve", reference, approved_by=self.actor.name)

    def refuse(self, reference: str) -> None:
        """Say no, as another person than the one who entered it.

        Raises:
            RefusedError: It is not in review, or one's own.
        """
        self._refuse_own(reference)
        self._step("refuse", reference)

    def offer(self, reference: str, text: str) -> None:
        """Offer a contract: a text, by its hash or the beginning of that, with the plan of the application.

        Raises:
            RefusedError: It was not approved, or there is no such text.
        """
        self._step("offer", reference, contract_text=text_named(self.change.connection, text))

    def accept(self, reference: str, text: str, accepted_by: str, how: str) -> str:
        """Note that the applicant has accepted; the contract's hash.

        Raises:
            RefusedError: It was not offered, or another text.
        """
        row = application_of(self.change.connection, reference)
        self._step("accept", reference)
        return accept(self.change, row, text, accepted_by, how)

    def note_assigned(self, reference: str, merchant: str) -> None:
        """Note that it has become a merchant with terminals.

        Raises:
            RefusedError: The contract was not accepted.
        """
        self._step("assign", reference, merchant=merchant)

    def note_active(self, reference: str) -> None:
        """Note that a terminal of it works.

        Raises:
            RefusedError: It has no terminals.
        """
        self._step("activate", reference)

    def note_opened(self, document: str) -> None:
        """Note who has looked at a paper.

        Raises:
            NoSuchError: There is none of this number.
        """
        self.change.update(DOCUMENTS, document, {"opened_by": self.actor.name, "opened_at": self.change.at})

    def withdraw(self, reference: str) -> None:
        """Give it up, as the applicant wishes.

        Raises:
            RefusedError: It is over already.
        """
        self._step("withdraw", reference)

    def expire_overdue(self, *, are_own_drafts: bool = False) -> list[str]:
        """Give up all whose time is over, or only those that applicants have not handed in; their references.

        Raises:
            RefusedError: The person may not.
        """
        self.actor.require(ENTERING)
        column = APPLICATIONS.c
        query = select(column.id).where(column.state.in_(OPEN), column.deadline <= self.change.at)
        if are_own_drafts:
            query = query.where(column.state.in_(EDITABLE), column.entered_by.startswith(APPLICANT))
        overdue = [str(one) for one in self.change.connection.execute(query.order_by(column.id)).scalars().all()]
        for reference in overdue:
            self._step("expire", reference)
        return overdue

    def require_step(self, name: str, row: Mapping[str, Any]) -> str:
        """The state that a step of an application leads to, as the person may take it.

        Raises:
            RefusedError: It cannot be taken in this state, or not by this person.
        """
        if not (STEPS[name].is_applicants and is_own(self.actor, row["id"])):
            self.actor.require(STEPS[name].right)
        try:
            return next_state(name, row["state"])
        except RefusedError as error:
            raise RefusedError(f"application {row['id']}: {error}") from None

    def _require_teller(self, reference: str) -> None:
        """See that it is the applicant, or somebody who may tell what applicants have told him."""
        if not is_own(self.actor, reference):
            self.actor.require(ENTERING)

    def _note(self, deed: str, reference: str) -> None:
        note_deed(self.change, self.actor, APPLICATIONS.name, reference, deed)

    def _step(self, name: str, reference: str, **also: Any) -> None:
        row = application_of(self.change.connection, reference)
        after = self.require_step(name, row)
        if after not in GIVEN_UP:
            self._refuse_overdue(row)
        elif row["entered_by"].startswith(APPLICANT):
            forget_contents(self.change, reference)
        self.change.update(APPLICATIONS, reference, {"state": after, "deadline": self._deadline(after), **also})

    def _refuse_overdue(self, row: Mapping[str, Any]) -> None:
        if row["deadline"] is not None and row["deadline"] <= self.change.at:
            raise RefusedError(f"application {row['id']}: its time was over on {row['deadline']:%Y-%m-%d %H:%M} UTC")

    def _deadline(self, state: str) -> datetime | None:
        days: int | None = getattr(self.rules.policy.deadlines, f"{state}_days", None)
        return None if days is None else self.change.at + timedelta(days=days)

    def _editable(self, reference: str) -> dict[str, Any]:
        row = application_of(self.change.connection, reference)
        if row["state"] not in EDITABLE:
            raise RefusedError(f"application {reference} is {words(row['state'])}: what it tells stays as it is")
        self._refuse_overdue(row)
        return row

    def _refuse_own(self, reference: str, *, is_approval: bool = False) -> None:
        """See that nobody decides on what he has told, or could have, nor approves what he has reviewed, himself."""
        connection = self.change.connection
        involved = [("entered", one) for one in tellers_of(connection, reference)]
        involved += [("given the secret of", one) for one in secret_givers_of(connection, reference)]
        if is_approval:
            involved += [("reviewed", one) for one in reviewers_of(connection, reference)]
        for done, name in involved:
            if self.actor.may_be(name):
                raise RefusedError(f"you have {done} application {reference} yourself: another person decides")

    def _answer_doubts(self, reference: str, found: str) -> None:
        """Keep what the reviewer has found about what is doubtful, beside it; it must not be left open."""
        results = results_of(self.change.connection, reference)
        number = results[0]["round"]
        doubtful = [one for one in results if one["round"] == number and one["outcome"] == "doubtful"]
        if not found:
            if doubtful:
                doubts = "; ".join(f"{one['name']}: {one['reason']} ({one['source']})" for one in doubtful)
                raise RefusedError(f"application {reference}: say what was found about what is doubtful: {doubts}")
            return
        if len(found) > REASON_CHARACTERS_MAX or not found.isprintable():
            raise RefusedError(f"needed what was found in 1 to {REASON_CHARACTERS_MAX} printable characters")
        names = ", ".join(one["name"] for one in doubtful) or "nothing that was doubtful"
        count = sum(one["name"].startswith(REVIEWER) for one in results)
        result = Result("passed", found, f"{self.actor.name}, about {names}")
        rows = _result_rows(reference, number, {f"{REVIEWER}-{count + 1}": result}, self.change.at)
        self.change.insert_all(CHECK_RESULTS, rows)

    def _run_checks(self, reference: str) -> dict[str, Result]:
        connection, rules = self.change.connection, self.rules
        row = application_of(connection, reference)
        papers = frozenset(one["kind"] for one in documents_of(connection, reference))
        twins = twins_of(connection, row, rules.policy.lists.near_metres)
        form = form_of(row, rules.sealer)
        found = run_checks(Subject(form, papers, twins, rules.policy, rules.lists, rules.day_of(self.change.at)))
        newest = select(func.coalesce(func.max(CHECK_RESULTS.c.round), 0)).where(
            CHECK_RESULTS.c.application == reference
        )
        number = int(connection.execute(newest).scalar_one()) + 1
        self.change.insert_all(CHECK_RESULTS, _result_rows(reference, number, found, self.change.at))
        return found


def _involved(connection: Connection, reference: str, has_done: ColumnElement[bool], deed: str) -> list[str]:
    """Who has done something with an application, as its entries in the audit tell; by token, too."""
    mine = (AUDIT.c.subject == APPLICATIONS.name, AUDIT.c.row == reference, has_done)
    found = connection.execute(select(AUDIT.c.who).distinct().where(*mine)).scalars()
    return sorted({*found, *names_behind(connection, APPLICATIONS.name, reference, deed)})


def _result_rows(reference: str, number: int, found: Mapping[str, Result], at: datetime) -> Sequence[dict[str, Any]]:
    return [
        {
            "id": f"{reference}-{number}-{name}",
            "application": reference,
            "round": number,
            "name": name,
            "outcome": one.outcome,
            "reason": one.reason[:REASON_CHARACTERS_MAX],
            "source": one.source[:SOURCE_CHARACTERS_MAX],
            "at": at,
        }
        for name, one in found.items()
    ]


def secret_hash(secret: str) -> bytes:
    """What is kept of an applicant's secret, which has so many random bits that nobody can try them all."""
    return sha256(secret.encode()).digest()


def contract_of(connection: Connection, reference: str) -> dict[str, Any] | None:
    """The contract of an application; None where there is none yet."""
    return find_row(connection, CONTRACTS, reference)
