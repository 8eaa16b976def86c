"""What an applicant tells: read from a file, and never shown again where it is nobody's business."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from switch.applications.policy import ApplicantKind
from switch.base.error_words import words_of
from switch.files.datafile import read_toml
from switch.files.model_errors import problems_of
from switch.files.problems import ConfigError, Problem
from switch.files.sections import AMOUNT_MAX, Section
from switch.store.sealing import CHARACTERS_MAX, MASK, Place, Sealer

Name = Annotated[str, Field(min_length=1, max_length=120)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=CHARACTERS_MAX)]
NAME_BYTES_MAX = 255
"""Of a merchant's name, as the switch reads it: one that is longer could not be taken on."""

MILLION = 1_000_000
SEALED = {"identity": "identity", "representative": "identity", "account": "account", "contact": "contact"}
"""Columns that are sealed, and what each is: the same person is found as an applicant and as a representative."""


class Form(Section):
    """An application as it is told.

    Attributes:
        identity: Unified social credit code of a company, identity number of a person.
        representative: Identity number of who speaks for a company.
        licence_until: Last day of the licence; None where it has no end.
        month_minor: Turnover that is expected in a month, in the currency's minor unit.
    """

    kind: ApplicantKind
    trading_name: Name
    legal_name: Name
    identity: Secret
    representative_name: Annotated[str, Field(max_length=120)] = ""
    representative: Secret | None = None
    licence_until: date | None = Field(None, strict=False)
    account: Secret
    account_holder: Name
    contact: Secret
    category: str = Field(min_length=1, max_length=4)
    place: str = Field(min_length=1, max_length=200)
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)
    month_minor: int = Field(ge=0, le=AMOUNT_MAX)
    terminal_count: int = Field(ge=1, le=10_000)
    plan: str = Field(min_length=1, max_length=36)

    @field_validator("*")
    @classmethod
    def _printable(cls, value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and (not text.isprintable() or text != text.strip()):
            raise ValueError("needed a printable text without blanks around it")
        return value

    @field_validator("trading_name")
    @classmethod
    def _kept_by_the_switch(cls, value: str) -> str:
        if len(value.encode()) > NAME_BYTES_MAX:
            raise ValueError(f"is {len(value.encode())} bytes long in UTF-8; it may be {NAME_BYTES_MAX} bytes")
        return value

    @field_validator("identity", "representative")
    @classmethod
    def _in_capitals(cls, value: SecretStr | None) -> SecretStr | None:
        """As the standards write them, whatever was typed: the check character of a person's number may be an X."""
        return None if value is None else SecretStr(value.get_secret_value().upper())

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together")
        if self.kind == "company" and (self.representative is None or not self.representative_name):
            raise ValueError("a company has a representative, with name and identity number")
        return self

    def columns(self, sealer: Sealer, reference: str) -> dict[str, Any]:
        """The row of an application."""
        open_names = set(type(self).model_fields) - {*SEALED, "latitude", "longitude"}
        row: dict[str, Any] = {name: getattr(self, name) for name in open_names}
        row["latitude_e6"] = None if self.latitude is None else round(self.latitude * MILLION)
        row["longitude_e6"] = None if self.longitude is None else round(self.longitude * MILLION)
        for name, meaning in SEALED.items():
            secret: SecretStr | None = getattr(self, name)
            if secret is None:
                row |= dict.fromkeys((f"{name}_sealed", f"{name}_hash", f"{name}_masked"))
            else:
                place = Place("applications", name, reference)
                row |= sealer.columns(place, meaning, secret.get_secret_value())
        return row


def form_of(row: Mapping[str, Any], sealer: Sealer) -> Form:
    """The form that a row was made of, opened.

    Raises:
        StoreError: A sealed value cannot be opened.
    """
    values = {name: row[name] for name in Form.model_fields if name in row}
    for name in SEALED:
        is_there = row[f"{name}_sealed"] is not None
        values[name] = SecretStr(sealer.text("applications", name, row, row["id"])) if is_there else None
    for name in ("latitude", "longitude"):
        degrees = row[f"{name}_e6"]
        values[name] = None if degrees is None else degrees / MILLION
    return Form.model_validate(values)


def read_form(file: Path) -> Form:
    """A form from a file of TOML.

    Raises:
        ConfigError: All that is wrong with it; no value of it is in the words.
    """
    try:
        tables = read_toml(file)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", words_of(error))]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "", "is not UTF-8")]) from None
    except tomllib.TOMLDecodeError:
        raise ConfigError([Problem(str(file), "", "is not TOML")]) from None
    return parse_form(tables, file)


def parse_form(values: Mapping[str, Any], file: Path) -> Form:
    """A form from its values; the file is for problems.

    Raises:
        ConfigError: All that is wrong with it; no value of it is in the words.
    """
    masked = [name for name in SEALED if _plain(values.get(name)).startswith(MASK)]
    if masked:
        raise ConfigError([Problem(str(file), name, "needed the value itself, not as it is shown") for name in masked])
    try:
        return Form.model_validate(values)
    except ValidationError as error:
        problems = problems_of(error, Form, file, "")
    raise ConfigError([Problem(one.file, one.key, one.reason.partition(", got ")[0]) for one in problems])


def _plain(value: object) -> str:
    """What somebody tells; empty where it is no text."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return text if isinstance(text, str) else ""
