"""What applicants do themselves: proved by a reference and a secret, and with room for so much alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.applications.applying import (
    EDITABLE,
    Clerk,
    Rules,
    applicant,
    application_of,
    new_reference,
)
from switch.applications.forms import SEALED, Form, form_of, parse_form
from switch.applications.states import ENTERING, UNDECIDED
from switch.applications.tables import APPLICANT, APPLICATIONS, DOCUMENTS
from switch.store.audit import AUDIT
from switch.store.changing import Change, changing
from switch.store.opening import Store
from switch.store.problems import RefusedError, TooManyError

DAY: Final = timedelta(days=1)
FORM: Final = Path("form")
"""What problems of a form that came are said to be in."""

SERVICE: Final = Actor("authswitch applicants", rights=frozenset({ENTERING}))
"""Who ends drafts whose time is over: the program."""


@dataclass(frozen=True, slots=True)
class Space:
    """How much applicants may take up, whom nobody knows.

    Attributes:
        drafts_per_day: Applications that are begun, by all of them together.
        changes_per_day: Of one application.
        papers_bytes_max: Of one application.
        drafts_bytes_max: Papers of all that nobody has decided, together.
    """

    drafts_per_day: int
    changes_per_day: int
    papers_bytes_max: int
    drafts_bytes_max: int


def secret_of(connection: Connection, reference: str) -> bytes | None:
    """The hash of an application's secret; None where there is no such application."""
    query = select(APPLICATIONS.c.secret_hash).where(APPLICATIONS.c.id == reference)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


class Applicants:
    """What applicants may do: each with his own application alone, and within the space that there is.

    Args:
        store: Where it is kept.
        opening: Gives the rules as they are now.
        space: How much of it there is for them.
    """

    def __init__(self, store: Store, opening: Callable[[], Rules], space: Space) -> None:
        self.store = store
        self.opening = opening
        self.space = space

    def begin(self, form: Form) -> tuple[str, str]:
        """Begin an application; its reference, and the secret, which nobody can tell again.

        Raises:
            RefusedError: The plan is not on offer to such an applicant, or too many have begun one today.
            StoreError: It cannot be kept.
        """
        reference = new_reference()
        self.expire()
        with self._clerk(reference, "began it online") as clerk:
            self._refuse_many_drafts(clerk.change)
            return clerk.enter(form, reference)

    def expire(self) -> list[str]:
        """Give up what applicants have begun and did not hand in within its time; their references.

        Raises:
            StoreError: It cannot be kept.
        """
        with self.store.reading() as connection:
            column = APPLICATIONS.c
            are_drafts = (column.state.in_(EDITABLE), column.entered_by.startswith(APPLICANT))
            overdue = (*are_drafts, column.deadline <= datetime.now(UTC))
            if connection.execute(select(column.id).where(*overdue).limit(1)).first() is None:
                return []
        rules = self.opening()
        with changing(self.store, SERVICE.name, "its time was over") as change:
            return Clerk(change, SERVICE, rules).expire_overdue(are_own_drafts=True)

    def amend(self, reference: str, changes: Mapping[str, Any]) -> None:
        """Write parts of the form anew; what is not named stays, and so does a sealed value that comes as it is shown.

        Raises:
            ConfigError: A field is wrong.
            RefusedError: It is handed in, or its time is over.
            StoreError: It cannot be kept.
        """
        with self._changing(reference, "altered the form online") as clerk:
            sealer = clerk.rules.sealer
            row = application_of(clerk.change.connection, reference)
            now = form_of(row, sealer)
            values = {name: getattr(now, name) for name in Form.model_fields}
            # A program may send back what it was shown, and that is not what the applicant has told.
            shown = {name for name in SEALED if name in changes and changes[name] == row[f"{name}_masked"]}
            altered = {name: value for name, value in changes.items() if name not in shown}
            clerk.amend(reference, parse_form({**values, **altered}, FORM))

    def add_paper(self, reference: str, kind: str, content: bytes) -> str:
        """Keep a paper; its number.

        Raises:
            RefusedError: It is not taken, there is no room, the application is handed in, or its time is over.
            StoreError: It cannot be kept.
        """
        with self._changing(reference, "handed in a paper online") as clerk:
            self._refuse_many_bytes(clerk.change.connection, reference, len(content))
            return clerk.add_document(reference, kind, content)

    def submit(self, reference: str) -> None:
        """Hand it in; the state says what became of that.

        Raises:
            RefusedError: It is handed in already, or its time is over.
            StoreError: It cannot be kept.
        """
        with self._changing(reference, "handed it in online") as clerk:
            clerk.submit(reference)

    def accept(self, reference: str, text: str, accepted_by: str, address: str) -> str:
        """Accept the contract that is offered, by the hash of its text; the contract's hash.

        Raises:
            RefusedError: None is offered, or another; nobody is named; or its time is over.
            StoreError: It cannot be kept.
        """
        with self._changing(reference, "accepted the contract online") as clerk:
            return clerk.accept(reference, text, accepted_by, f"online, with reference and secret, from {address}")

    def withdraw(self, reference: str) -> None:
        """Give it up.

        Raises:
            RefusedError: It is over already.
            StoreError: It cannot be kept.
        """
        with self._changing(reference, "withdrew it online") as clerk:
            clerk.withdraw(reference)

    @contextmanager
    def _changing(self, reference: str, why: str) -> Iterator[Clerk]:
        """The applicant at work, who has not changed too much today."""
        with self._clerk(reference, why) as clerk:
            mine = (AUDIT.c.subject == APPLICATIONS.name, AUDIT.c.row == reference)
            today = (AUDIT.c.who == clerk.actor.name, AUDIT.c.at > clerk.change.at - DAY)
            query = select(func.count()).select_from(AUDIT).where(*mine, *today)
            if clerk.change.connection.execute(query).scalar_one() >= self.space.changes_per_day:
                raise TooManyError("too much of it was changed within a day: go on tomorrow")
            yield clerk

    @contextmanager
    def _clerk(self, reference: str, why: str) -> Iterator[Clerk]:
        rules = self.opening()
        actor = applicant(reference)
        with changing(self.store, actor.name, why) as change:
            yield Clerk(change, actor, rules)

    def _refuse_many_drafts(self, change: Change) -> None:
        column = APPLICATIONS.c
        begun = (column.entered_by.startswith(APPLICANT), column.entered_at > change.at - DAY)
        count = change.connection.execute(select(func.count()).select_from(APPLICATIONS).where(*begun)).scalar_one()
        if count >= self.space.drafts_per_day:
            raise TooManyError("too many applications were begun within a day: try again tomorrow")

    def _refuse_many_bytes(self, connection: Connection, reference: str, added: int) -> None:
        total = select(func.coalesce(func.sum(DOCUMENTS.c.bytes), 0))
        mine = int(connection.execute(total.where(DOCUMENTS.c.application == reference)).scalar_one())
        if mine + added > self.space.papers_bytes_max:
            most = self.space.papers_bytes_max
            raise RefusedError(
                f"the papers have {mine:,} bytes so far, and at most {most:,} are taken of them together"
            )
        column = APPLICATIONS.c
        undecided = (column.state.in_(UNDECIDED), column.entered_by.startswith(APPLICANT))
        of_all = total.join_from(DOCUMENTS, APPLICATIONS).where(*undecided)
        if int(connection.execute(of_all).scalar_one()) + added > self.space.drafts_bytes_max:
            raise TooManyError("there is no room for papers at present: try again later")
