"""After a merchant was taken on: licences that end, reviews, another account, another place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.applications.applying import Rules
from switch.applications.identifiers import account_fault
from switch.applications.lists import RISK_CLASSES
from switch.applications.policy import Policy
from switch.applications.states import APPROVING, ENTERING
from switch.applications.tables import MERCHANT_PROFILES
from switch.merchants.binding_desk import Binder, Verification, is_bound, is_known, verification_in, wanted_of
from switch.merchants.registering import Registrar
from switch.merchants.rows import Compiler
from switch.merchants.tables import ACTIVATIONS, MERCHANTS, TERMINALS
from switch.proposals.deciding import SEALED, Desk, Kind
from switch.store.changing import Change, find_row, row_of
from switch.store.opening import Store
from switch.store.problems import RefusedError
from switch.store.sealing import CHARACTERS_MAX, Place, Sealer
from switch.tables.party_states import AWAITING

ACCOUNT_KIND: Final = "merchant_account"
PLACE_KIND: Final = "terminal_place"


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is to be done for a merchant.

    Attributes:
        merchant: Its number.
        what: ``licence``, ``review``, or ``first sign-in of`` a terminal.
        day: The last day for it.
        source: Who wants it.
    """

    merchant: str
    what: str
    day: date
    source: str


def due_soon(connection: Connection, policy: Policy, now: datetime) -> list[Due]:
    """Licences that end, and reviews that are due, within the days of the rules or before; the first one first.

    With the terminals that await their first sign-in. The days are those of the zone in which the moment is told.
    """
    until = now.date() + timedelta(days=policy.licence_warning_days.value)
    column = MERCHANT_PROFILES.c
    joined = select(MERCHANT_PROFILES).join_from(MERCHANT_PROFILES, MERCHANTS).where(MERCHANTS.c.state != "closed")
    licences = connection.execute(joined.where(column.licence_until <= until)).mappings().all()
    reviews = connection.execute(joined.where(column.review_due <= until)).mappings().all()
    found = [Due(row["id"], "licence", row["licence_until"], policy.licence_warning_days.source) for row in licences]
    found += [Due(row["id"], "review", row["review_due"], policy.reviews.high.source) for row in reviews]
    awaiting = select(TERMINALS.c.merchant, TERMINALS.c.id, ACTIVATIONS.c.expires_at).join_from(TERMINALS, ACTIVATIONS)
    for row in connection.execute(awaiting.where(TERMINALS.c.state == AWAITING)).mappings():
        what = f"first sign-in of {row['id']}"
        day = row["expires_at"].astimezone(now.tzinfo).date()
        found.append(Due(row["merchant"], what, day, "the acquirer's own rule"))
    return sorted(found, key=lambda one: (one.day, one.merchant, one.what))


def suspend_unlicensed(registrar: Registrar, today: date) -> list[str]:
    """Suspend all merchants whose licence has ended; which."""
    over = (MERCHANT_PROFILES.c.licence_until < today, MERCHANTS.c.state == "active")
    query = select(MERCHANTS.c.id).join_from(MERCHANT_PROFILES, MERCHANTS).where(*over).order_by(MERCHANTS.c.id)
    found = [str(one) for one in registrar.change.connection.execute(query).scalars().all()]
    for merchant in found:
        registrar.set_state(MERCHANTS, merchant, "suspended")
    return found


def renew_licence(change: Change, rules: Rules, merchant: str, until: date) -> bool:
    """Note how long a licence lasts now; False where that was known.

    Raises:
        RefusedError: It has ended, or the merchant is not there or closed.
    """
    _open_profile(change.connection, merchant)
    if until < rules.day_of(change.at):
        raise RefusedError(f"a licence until {until} has ended already")
    return change.update(MERCHANT_PROFILES, merchant, {"licence_until": until})


def note_review(change: Change, rules: Rules, merchant: str, risk: str) -> date:
    """Note that a merchant was looked at again, and is of a class of risk; the day of the next time.

    Raises:
        RefusedError: There is no such class, or the merchant is not there or closed.
    """
    _open_profile(change.connection, merchant)
    if risk not in RISK_CLASSES:
        raise RefusedError(f"needed a class of risk: {', '.join(RISK_CLASSES)}")
    due = rules.day_of(change.at) + timedelta(days=rules.policy.reviews.days(risk))
    change.update(MERCHANT_PROFILES, merchant, {"risk": risk, "review_due": due})
    return due


def propose_account(
    desk: Desk,
    sealer: Sealer,
    merchant: str,
    account: Mapping[str, str],
    verification: Verification | None,
    *,
    lasts: timedelta,
) -> int:
    """Propose another settlement account; the number of the proposal.

    Args:
        desk: Where it is proposed.
        sealer: Seals it.
        merchant: Whose it is.
        account: ``number`` and ``holder``; ``found``, where the holder's name is like one under sanctions: what was
            found about that.
        verification: How the merchant was verified anew.
        lasts: How long the proposal waits.

    Raises:
        RefusedError: It cannot be an account, nobody was verified, its holder is on a list, or it could not be done.
    """
    fault = account_fault(account["number"])
    if fault:
        raise RefusedError(f"the account: {fault}")
    columns = sealer.columns(Place(MERCHANT_PROFILES.name, "account", merchant), "account", account["number"])
    wanted = {
        "account": SEALED + columns["account_sealed"].hex(),
        "account_hash": columns["account_hash"].hex(),
        "account_masked": columns["account_masked"],
        "account_holder": account["holder"],
        "found": account.get("found", ""),
    }
    return desk.propose(ACCOUNT_KIND, merchant, wanted_of(wanted, verification), lasts)


def propose_place(desk: Desk, terminal: str, place: str, verification: Verification | None, lasts: timedelta) -> int:
    """Propose that a terminal stands elsewhere; the number of the proposal.

    The position of a bound one is not known from then on: nobody has measured it there.

    Raises:
        RefusedError: Nobody was verified, or it could not be done.
    """
    return desk.propose(PLACE_KIND, terminal, wanted_of({"place": place, "position": ""}, verification), lasts)


def kinds_of_proposals(opening: Callable[[], Rules], compiler: Compiler) -> list[Kind]:
    """What two people change of a merchant that was taken on.

    Args:
        opening: Gives the rules, before one of these changes is tried or made.
        compiler: Says whether the switch would take it.
    """
    rules_of = cache(opening)

    def prepare(_store: Store, _subject: str, _wanted: Mapping[str, Any]) -> None:
        rules_of()

    def apply_account(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        rules = rules_of()
        _require_verified(wanted, rules.policy.account_holder_source)
        _open_profile(change.connection, subject)
        at = Place(MERCHANT_PROFILES.name, "account", subject)
        number = rules.sealer.open(at, bytes.fromhex(wanted["account"].removeprefix(SEALED))).decode()
        holder = wanted["account_holder"]
        if not holder or len(holder) > CHARACTERS_MAX or not holder.isprintable():
            raise RefusedError(f"needed a holder: 1 to {CHARACTERS_MAX} printable characters")
        _refuse_blocked(rules, ("account", number), ("name", holder))
        _require_found(rules, holder, wanted.get("found", ""))
        change.update(
            MERCHANT_PROFILES, subject, {"account_holder": holder, **rules.sealer.columns(at, "account", number)}
        )
        if is_known(change.connection, subject):
            binder = Binder(Registrar(change, compiler))
            hashes = binder.hashes_of(subject, {"account": number})
            binder.set_elements(subject, {**wanted, **hashes})

    def apply_place(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
        rules = rules_of()
        _require_verified(wanted, rules.policy.account_holder_source)
        _refuse_blocked(rules, ("place", wanted["place"]))
        registrar = Registrar(change, compiler)
        if row_of(change.connection, TERMINALS, subject)["place"] == wanted["place"]:
            raise RefusedError(f"{subject} stands there already")
        if is_bound(change.connection, subject):
            Binder(registrar).bind(subject, wanted)
        else:
            registrar.alter(TERMINALS, subject, {"place": wanted["place"]})

    return [
        Kind(ACCOUNT_KIND, ENTERING, APPROVING, apply_account, frozenset({"account"}), prepare),
        Kind(PLACE_KIND, ENTERING, APPROVING, apply_place, prepare=prepare),
    ]


def profile_of(connection: Connection, merchant: str) -> dict[str, Any]:
    """What is known of a merchant since it was taken on.

    Raises:
        RefusedError: Nothing: it was registered without an application.
    """
    found = find_row(connection, MERCHANT_PROFILES, merchant)
    if found is None:
        raise RefusedError(f"merchant {merchant} was not taken on by an application")
    return found


def refuse_account_of_profile(connection: Connection, merchant: str) -> None:
    """See that an account is not changed beside the one that a merchant is paid on.

    Raises:
        RefusedError: It was taken on by an application, and has it in its profile.
    """
    if is_known(connection, merchant) and find_row(connection, MERCHANT_PROFILES, merchant) is not None:
        raise RefusedError(
            f"merchant {merchant} is paid on the account of its profile: `merchants account` changes both"
        )


def _open_profile(connection: Connection, merchant: str) -> None:
    profile_of(connection, merchant)
    if row_of(connection, MERCHANTS, merchant)["state"] == "closed":
        raise RefusedError(f"merchant {merchant} is closed")


def _refuse_blocked(rules: Rules, *values: tuple[str, str]) -> None:
    for kind, value in values:
        if (why := rules.lists.blocked_for(kind, value)) is not None:
            raise RefusedError(f"this {kind} is on the list of those that are not taken on: {why}")


def _require_found(rules: Rules, name: str, found: str) -> None:
    """See that somebody has looked into a name that is like one under sanctions, and says what was found."""
    if len(found) > CHARACTERS_MAX or not found.isprintable():
        raise RefusedError(f"needed what was found in at most {CHARACTERS_MAX} printable characters")
    if found.strip() or (like := rules.lists.like(name)) is None:
        return
    source = rules.policy.identification_source
    likeness = f"{name} is like {like.name} ({like.score:.0f} of 100): {like.program} ({source})"
    raise RefusedError(f"say what was found about what is doubtful (--found): {likeness}")


def _require_verified(wanted: Mapping[str, Any], source: str) -> None:
    verification = verification_in(wanted)
    if verification is None:
        raise RefusedError(f"needed how the merchant was verified anew, on site or by live video ({source})")
    verification.columns()
