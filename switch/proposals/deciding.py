"""Proposals from their beginning to a decision: whoever proposes cannot decide, and nothing changes before that.

A kind of proposal has one function, that makes the change. It is tried when something is proposed, and undone; and it
is run in the transaction of the approval. What was right then and is not any more is refused there, in words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.access.token_deeds import names_behind, note_deed
from switch.proposals.tables import PROPOSALS
from switch.store.audit import WHY_CHARACTERS_MAX, text_of
from switch.store.changing import Change, find_row, next_number, row_of
from switch.store.columns import told_row
from switch.store.opening import Store
from switch.store.problems import NotAllowedError, RefusedError

PROPOSED = "proposed"
WANTED_BYTES_MAX = 16_384
SEALED = "sealed:"
"""What the text of a secret begins with: behind it stands what only a key can read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of change that needs two people.

    Attributes:
        name: Such as ``merchant_state``.
        right_to_propose: What one needs to propose it.
        right_to_approve: What another needs to approve or refuse it.
        apply: Makes the change, given the transaction, the subject, and what was wanted; RefusedError where it cannot
            be made.
        secrets: Names in what is wanted whose values are never kept in clear: they come sealed.
        prepare: Does what takes long of that, given the store, the subject and what is wanted, before the transaction
            in which it is made: that holds up all others who write. None: nothing does.
    """

    name: str
    right_to_propose: str
    right_to_approve: str
    apply: Callable[[Change, str, Mapping[str, Any]], object]
    secrets: frozenset[str] = frozenset()
    prepare: Callable[[Store, str, Mapping[str, Any]], object] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a proposal.

    Attributes:
        state: approved, refused, expired or withdrawn.
        reason: Why.
    """

    state: str
    reason: str


def proposal_of(connection: Connection, number: int) -> dict[str, Any]:
    """One proposal.

    Raises:
        NoSuchError: There is none.
    """
    return row_of(connection, PROPOSALS, number)


def state_at(proposal: Mapping[str, Any], at: datetime) -> str:
    """The state of a proposal: one whose time is over is expired, even before that was written down."""
    is_over = proposal["state"] == "proposed" and at >= proposal["expires_at"]
    return "expired" if is_over else str(proposal["state"])


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A proposal as programs read it."""
    return {**told_row(row), "wanted": json.loads(row["wanted"]), "state": state_at(row, datetime.now(UTC))}


def newest_proposals(connection: Connection, state: str | None, most: int) -> list[dict[str, Any]]:
    """Proposals as programs read them, the newest first; all, or those that are now in a state."""
    query = select(PROPOSALS).order_by(PROPOSALS.c.id.desc()).limit(most)
    if state is not None:
        is_over = and_(PROPOSALS.c.state == "proposed", PROPOSALS.c.expires_at <= datetime.now(UTC))
        query = query.where(case((is_over, "expired"), else_=PROPOSALS.c.state) == state)
    return [told_of(dict(row)) for row in connection.execute(query).mappings()]


def prepare(store: Store, kinds: Iterable[Kind], number: int, actor: Actor) -> None:
    """Do what takes long of a proposal that is to be approved; nothing, where there is none that waits.

    Raises:
        NotAllowedError: The person may not approve such.
    """
    with store.reading() as connection:
        proposal = find_row(connection, PROPOSALS, number)
    if proposal is None or state_at(proposal, datetime.now(UTC)) != PROPOSED:
        return
    for kind in kinds:
        if kind.name == proposal["kind"] and kind.prepare is not None:
            actor.require(kind.right_to_approve)
            kind.prepare(store, proposal["subject"], json.loads(proposal["wanted"]))


class Desk:
    """Where somebody proposes or decides.

    Args:
        change: The transaction, with the reason.
        actor: Who it is.
        kinds: All sorts of proposals that there are.
    """

    def __init__(self, change: Change, actor: Actor, kinds: Iterable[Kind]) -> None:
        self._change = change
        self._actor = actor
        self._kinds = {kind.name: kind for kind in kinds}

    def propose(self, kind_name: str, subject: str, wanted: Mapping[str, Any], lasts: timedelta) -> int:
        """Propose a change; its number. It must be one that could be made now.

        Raises:
            RefusedError: It could not, the person may not propose it, or another one waits for the same subject.
        """
        kind = self._kind(kind_name)
        self._actor.require(kind.right_to_propose)
        text = _wanted_text(kind, wanted)
        self._refuse_second(kind_name, subject)
        self._try(kind, self._change, subject, wanted)
        number = next_number(self._change.connection, PROPOSALS)
        self._change.insert(
            PROPOSALS,
            {
                "id": number,
                "kind": kind_name,
                "subject": subject,
                "wanted": text,
                "why": self._change.why,
                "proposed_by": self._actor.name,
                "proposed_at": self._change.at,
                "expires_at": self._change.at + lasts,
            },
        )
        note_deed(self._change, self._actor, PROPOSALS.name, number, PROPOSED)
        return number

    def approve(self, number: int) -> Decision:
        """Make the change that was proposed, as another person; or refuse it, where it cannot be made any more.

        Raises:
            RefusedError: The person may not, or it was decided before. Nothing happened.
        """
        proposal, kind = self._to_decide(number)
        if state_at(proposal, self._change.at) == "expired":
            return self._expire(number)
        why = f"proposal {number} of {proposal['proposed_by']}: {proposal['why']}"[:WHY_CHARACTERS_MAX]
        change = Change(self._change.connection, self._actor.name, why, self._change.at)
        point = change.connection.begin_nested()
        try:
            kind.apply(change, proposal["subject"], json.loads(proposal["wanted"]))
        except RefusedError as error:
            point.rollback()
            return self._decide(number, "refused", f"cannot be done any more: {error}"[:WHY_CHARACTERS_MAX])
        point.commit()
        return self._decide(number, "approved", self._change.why)

    def refuse(self, number: int) -> Decision:
        """Say no, as another person.

        Raises:
            RefusedError: The person may not, or it was decided before.
        """
        proposal, _ = self._to_decide(number)
        if state_at(proposal, self._change.at) == "expired":
            return self._expire(number)
        return self._decide(number, "refused", self._change.why)

    def withdraw(self, number: int) -> Decision:
        """Take back what one has proposed oneself.

        Raises:
            RefusedError: Somebody else did, or it was decided before.
        """
        proposal = self._open(number)
        if not self._actor.has_name(proposal["proposed_by"]):
            raise NotAllowedError(f"proposal {number} is {proposal['proposed_by']}'s, who alone can withdraw it")
        return self._decide(number, "withdrawn", self._change.why)

    def _kind(self, name: str) -> Kind:
        if name not in self._kinds:
            raise RefusedError(f"{name} is nothing that this program can propose")
        return self._kinds[name]

    def _open(self, number: int) -> dict[str, Any]:
        proposal = proposal_of(self._change.connection, number)
        if proposal["state"] != "proposed":
            raise RefusedError(f"proposal {number} is {proposal['state']} already, by {proposal['decided_by']}")
        return proposal

    def _to_decide(self, number: int) -> tuple[dict[str, Any], Kind]:
        """A proposal that waits for this person, who must be another than the one who made it."""
        proposal = self._open(number)
        kind = self._kind(proposal["kind"])
        self._actor.require(kind.right_to_approve)
        if self._actor.may_be(proposal["proposed_by"]):
            raise NotAllowedError(f"proposal {number} is your own: another person decides")
        for name in sorted(names_behind(self._change.connection, PROPOSALS.name, number, PROPOSED)):
            if self._actor.may_be(name):
                raise NotAllowedError(f"{name} stands behind proposal {number} and behind you: another person decides")
        return proposal, kind

    def _try(self, kind: Kind, change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        """See that a change could be made, and leave nothing of it."""
        point = change.connection.begin_nested()
        try:
            kind.apply(change, subject, wanted)
        finally:
            point.rollback()

    def _refuse_second(self, kind: str, subject: str) -> None:
        same = (PROPOSALS.c.kind == kind, PROPOSALS.c.subject == subject, PROPOSALS.c.state == "proposed")
        for row in self._change.connection.execute(select(PROPOSALS).where(*same)).mappings().all():
            other = dict(row)
            if state_at(other, self._change.at) != "expired":
                raise RefusedError(f"proposal {other['id']} of {other['proposed_by']} waits for the same already")
            self._expire(other["id"])

    def _expire(self, number: int) -> Decision:
        return self._decide(number, "expired", "nobody decided in time")

    def _decide(self, number: int, state: str, reason: str) -> Decision:
        decided = {"state": state, "decided_by": self._actor.name, "decided_at": self._change.at, "reason": reason}
        self._change.update(PROPOSALS, number, decided)
        return Decision(state, reason)


def _wanted_text(kind: Kind, wanted: Mapping[str, Any]) -> str:
    for name in kind.secrets & wanted.keys():
        if not str(wanted[name]).startswith(SEALED):
            raise RefusedError(f"{kind.name}: {name} must be sealed before it is kept")
    text = text_of(wanted)
    if len(text.encode()) > WANTED_BYTES_MAX:
        raise RefusedError(f"{kind.name}: what is wanted has more than {WANTED_BYTES_MAX:,} bytes")
    return text
