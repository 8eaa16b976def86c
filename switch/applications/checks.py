"""What a machine can look at: each check is one small function, and what it found is kept with reason and source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from switch.applications.forms import Form
from switch.applications.identifiers import account_fault, code_fault, identity_fault
from switch.applications.lists import Lists
from switch.applications.policy import Policy
from switch.store.sealing import plain

Outcome = Literal["passed", "doubtful", "failed", "not_checked"]
OURS: Final = "the acquirer's own rule"
GB_CODE: Final = "GB 32100-2015"
GB_IDENTITY: Final = "GB 11643-1999"


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found.

    Attributes:
        outcome: ``failed`` sends an application back; ``doubtful`` is for the reviewer to look at.
        reason: In words; no sealed value is in them.
        source: Who wants it.
    """

    outcome: Outcome
    reason: str
    source: str = OURS


@dataclass(frozen=True, slots=True)
class Twin:
    """Another application with something the same.

    Attributes:
        reference: Its own.
        state: It is in.
        what: identity, account or place.
    """

    reference: str
    state: str
    what: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at.

    Attributes:
        form: In clear.
        papers: Kinds of the documents that came.
        twins: Other applications, those that were given up apart.
        today: The day of it.
    """

    form: Form
    papers: frozenset[str]
    twins: Sequence[Twin]
    policy: Policy
    lists: Lists
    today: date

    @property
    def identity(self) -> str:
        """Of the company or person."""
        return self.form.identity.get_secret_value()

    @property
    def account(self) -> str:
        """To which money is paid out."""
        return self.form.account.get_secret_value()

    @property
    def representative(self) -> str | None:
        """Identity number of who speaks for a company."""
        secret = self.form.representative
        return None if secret is None else secret.get_secret_value()


def _result(fault: str, source: str, well: str, outcome: Outcome = "failed") -> Result:
    return Result(outcome, fault, source) if fault else Result("passed", well, source)


def _papers(subject: Subject) -> Result:
    missing = [one for one in subject.policy.documents.needed(subject.form.kind) if one not in subject.papers]
    fault = f"missing: {', '.join(missing)}" if missing else ""
    return _result(fault, subject.policy.documents.source, "all papers are there")


def _code(subject: Subject) -> Result:
    if subject.form.kind != "company":
        return Result("not_checked", "a person has none", GB_CODE)
    return _result(code_fault(subject.identity), GB_CODE, "its check character fits")


def _identity(subject: Subject) -> Result:
    number = subject.identity if subject.form.kind == "person" else subject.representative
    if number is None:
        return Result("failed", "there is none", GB_IDENTITY)
    limit = subject.policy.age_years_min
    return _result(
        identity_fault(number, subject.today, limit.value), f"{GB_IDENTITY}; {limit.source}", "its check character fits"
    )


def _licence(subject: Subject) -> Result:
    limit, until = subject.policy.licence_warning_days, subject.form.licence_until
    if until is None:
        return Result("passed" if subject.form.kind == "company" else "not_checked", "has no last day", limit.source)
    left = (until - subject.today).days
    if left < 0:
        return Result("failed", f"ended on {until}", limit.source)
    fault = f"ends on {until}, in {left} days" if left < limit.value else ""
    return _result(fault, limit.source, f"lasts until {until}", "doubtful")


def _account(subject: Subject) -> Result:
    fault = account_fault(subject.account)
    if fault:
        return Result("failed", fault, "ISO/IEC 7812-1, annex B")
    bank = subject.lists.bank_of(subject.account)
    return Result("passed", f"is one of {bank}" if bank else "may be one; no list tells whose", "ISO/IEC 7812-1")


def _holder(subject: Subject) -> Result:
    form = subject.form
    fault = (
        "" if plain(form.account_holder) == plain(form.legal_name) else "another name than the applicant's: verify it"
    )
    return _result(fault, subject.policy.account_holder_source, "is the applicant", "doubtful")


def _twin(subject: Subject, what: str, outcome: Outcome) -> Result:
    found = [f"{one.reference} ({one.state})" for one in subject.twins if one.what == what][:5]
    fault = f"the same stands in {', '.join(found)}" if found else ""
    return _result(fault, OURS, "nobody else has told the same", outcome)


def _blocked(subject: Subject) -> Result:
    form = subject.form
    values = (
        ("identity", subject.identity),
        ("identity", subject.representative or ""),
        ("account", subject.account),
        ("name", form.legal_name),
        ("name", form.trading_name),
        ("name", form.representative_name),
        ("name", form.account_holder),
        ("place", form.place),
    )
    found = {f"{kind}: {why}" for kind, value in values if (why := subject.lists.blocked_for(kind, value)) is not None}
    return _result("; ".join(sorted(found)), "the list of those that are not taken on", "is not on the list")


def _sanctions(subject: Subject) -> Result:
    form = subject.form
    names = dict.fromkeys((form.legal_name, form.trading_name, form.representative_name, form.account_holder))
    for name in filter(None, names):
        found = subject.lists.like(name)
        if found is not None:
            reason = f"{name} is like {found.name} ({found.score:.0f} of 100): {found.program}"
            return Result("doubtful", reason, subject.policy.identification_source)
    return Result("passed", "no name is like one on the list", subject.policy.identification_source)


def _category(subject: Subject) -> Result:
    found = subject.lists.categories.get(subject.form.category)
    if found is None:
        return Result("failed", f"{subject.form.category} is no category of the list", "ISO 18245")
    return Result("passed", f"{found.name}; expected risk is {found.risk}", "ISO 18245")


CHECKS: Final[Mapping[str, Callable[[Subject], Result]]] = {
    "papers": _papers,
    "social_credit_code": _code,
    "identity_number": _identity,
    "licence": _licence,
    "account": _account,
    "account_holder": _holder,
    "same_identity": lambda subject: _twin(subject, "identity", "doubtful"),
    "same_account": lambda subject: _twin(subject, "account", "doubtful"),
    "same_place": lambda subject: _twin(subject, "place", "doubtful"),
    "blocked": _blocked,
    "sanctions": _sanctions,
    "category": _category,
}
"""All there are, by their names."""


def run_checks(subject: Subject) -> dict[str, Result]:
    """What each check found."""
    return {name: check(subject) for name, check in CHECKS.items()}
