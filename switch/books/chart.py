"""The chart of accounts and the posting rules, as data: which accounts there are, and what is posted when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from switch.books.tables import KIND_CHARACTERS
from switch.dialect.kinds import TRAITS, Money
from switch.files.datafile import read_toml
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, Problem
from switch.files.sections import Section
from switch.journal.payment_events import ADVICE_DECLINED, ADVICE_GIVEN_UP, APPROVED

STANDARD = Path(__file__).with_name("chart.toml")
"""That which comes with the program."""

EVENTS = (APPROVED, ADVICE_DECLINED, ADVICE_GIVEN_UP)
"""What rules may be for; each is needed for every kind that moves money."""

AccountName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=KIND_CHARACTERS)]
Owner = Literal["merchant", "link", "acquirer"]
Amount = Literal["amount"]
"""What a posting moves: the approved amount."""


class AccountKind(Section):
    """One kind of account; there is one of it for each owner and currency."""

    title: str = Field(min_length=1, max_length=200)
    owner: Owner
    normal: Literal["debit", "credit"]


class Transfer(Section):
    """One posting of an entry: an amount goes from the account that is credited to the one that is debited."""

    debit: AccountName
    credit: AccountName
    amount: Amount


class Rule(Section):
    """What is posted when something happens to a payment of one of some kinds."""

    event: Literal["approved", "advice declined", "advice given up"]
    kinds: tuple[str, ...] = Field(strict=False, min_length=1)
    postings: tuple[Transfer, ...] = Field(strict=False, min_length=1, max_length=20)


class Chart(Section):
    """A whole chart, valid in itself: each event of each kind that moves money has exactly one rule."""

    accounts: dict[AccountName, AccountKind] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(strict=False, min_length=1)


def load_chart(file: Path | None = None) -> Chart:
    """Read a chart; that of the program where no file is named.

    Raises:
        ConfigError: It cannot be read, or something is wrong with it; every fault is told.
    """
    place = STANDARD if file is None else file
    try:
        chart = Chart.model_validate(read_toml(place))
    except ValidationError as error:
        raise ConfigError(problems_of(error, Chart, place, "")) from None
    problems = [Problem(str(place), key, reason) for key, reason in _faults(chart)]
    if problems:
        raise ConfigError(problems)
    return chart


def _faults(chart: Chart) -> Iterator[tuple[str, str]]:
    money = {kind.label for kind, traits in TRAITS.items() if traits.money != Money.NONE}
    said: dict[tuple[str, str], int] = {}
    for number, rule in enumerate(chart.rules, 1):
        for kind in rule.kinds:
            if kind not in money:
                yield f"rules.{number}.kinds", f"{kind} moves no money; known are {', '.join(sorted(money))}"
            elif (first := said.setdefault((rule.event, kind), number)) != number:
                yield f"rules.{number}.kinds", f"{rule.event} of {kind} has a rule already, number {first}"
        yield from ((f"rules.{number}.postings", reason) for reason in _wrong_postings(chart, rule))
    for event in EVENTS:
        missing = sorted(kind for kind in money if (event, kind) not in said)
        if missing:
            yield "rules", f"{event} has no rule for {', '.join(missing)}"


def _wrong_postings(chart: Chart, rule: Rule) -> Iterator[str]:
    for transfer in rule.postings:
        if transfer.debit == transfer.credit:
            yield f"{transfer.debit} is debited and credited"
        for name in (transfer.debit, transfer.credit):
            if name not in chart.accounts:
                yield f"there is no account {name}"
