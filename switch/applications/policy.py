"""The rules of taking merchants on, as data: each limit of the law with its source, which every refusal tells."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from switch.base.error_words import words_of
from switch.files.datafile import read_toml
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, Problem
from switch.files.sections import Section
from switch.keys.names import check_algorithm

Model = TypeVar("Model", bound=Section)
ApplicantKind = Literal["company", "person"]
Source = Annotated[str, Field(min_length=1, max_length=200)]
Days = Annotated[int, Field(ge=1, le=3_650)]


class Limit(Section):
    """A number that somebody outside has set.

    Attributes:
        value: The number; its unit is in the name of the key.
        source: Who has set it, and where.
    """

    value: int = Field(ge=0, le=10**15)
    source: Source


class DeadlinesSection(Section):
    """How long an application may stay in a state; it expires behind that."""

    draft_days: Days = 30
    own_draft_days: Days = 14
    returned_days: Days = 30
    in_review_days: Days = 15
    contract_offered_days: Days = 30


class DocumentsSection(Section):
    """What papers are needed, and what may come."""

    bytes_max: int = Field(5 << 20, ge=1, le=20 << 20)
    count_max: int = Field(20, ge=1, le=100)
    company: tuple[str, ...]
    person: tuple[str, ...]
    source: Source

    def needed(self, kind: ApplicantKind) -> tuple[str, ...]:
        """The papers that one must hand in."""
        return self.company if kind == "company" else self.person


class ListsSection(Section):
    """Files with lists, relative to the file of the rules."""

    categories: str
    blocked: str
    sanctions: str
    banks: str | None = None
    sanctions_score_min: int = Field(88, ge=50, le=100, description="Likeness of two names from which it is told.")
    near_metres: int = Field(50, ge=0, le=10_000, description="So near is the same place.")


class ReviewsSection(Section):
    """How often a merchant is looked at again, by its class of risk."""

    low_days: Days = 1_095
    medium_days: Days = 730
    high: Limit

    def days(self, risk: str) -> int:
        """Days until the next review."""
        return {"low": self.low_days, "medium": self.medium_days, "high": self.high.value}[risk]


class NumbersSection(Section):
    """How merchants and terminals are numbered."""

    acquirer: str = Field(pattern=r"^[0-9]{3}$")
    region: str = Field(pattern=r"^[0-9]{4}$")
    terminal_prefix: str = Field(pattern=r"^[0-9]{1,4}$")


class TerminalsSection(Section):
    """How terminals that are assigned sign, and encipher PINs."""

    mac_algorithm: str = "x9.19"
    pin_format: str = "iso-0"
    key_algorithm: str = "3des-2key"

    @field_validator("key_algorithm")
    @classmethod
    def _known(cls, value: str) -> str:
        check_algorithm(value)
        return value


class ActivationSection(Section):
    """How a terminal is put into service."""

    hours: int = Field(72, ge=1, le=24 * 90)
    tries_max: int = Field(5, ge=1, le=20)


class Policy(Section):
    """All rules of one acquirer."""

    profile: Annotated[str, Field(min_length=1, max_length=60)]
    age_years_min: Limit
    licence_warning_days: Limit
    report_days: Limit
    account_holder_source: Source
    identification_source: Source
    secret_tries_max: int = Field(10, ge=1, le=100)
    deadlines: DeadlinesSection = DeadlinesSection()
    documents: DocumentsSection
    lists: ListsSection
    reviews: ReviewsSection
    numbers: NumbersSection
    terminals: TerminalsSection = TerminalsSection()
    activation: ActivationSection = ActivationSection()


def load_section(file: Path, model: type[Model]) -> Model:
    """A file of TOML as a model.

    Raises:
        ConfigError: All that is wrong with it.
    """
    try:
        tables = read_toml(file)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", words_of(error))]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([Problem(str(file), "", f"is not TOML: {error}")]) from None
    try:
        return model.model_validate(_tuples(tables))
    except ValidationError as error:
        raise ConfigError(problems_of(error, model, file, "")) from None


def load_policy(file: Path) -> Policy:
    """The rules of a file.

    Raises:
        ConfigError: All that is wrong with it.
    """
    return load_section(file, Policy)


def _tuples(value: object) -> object:
    """TOML has arrays, and models that do not change have tuples."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
