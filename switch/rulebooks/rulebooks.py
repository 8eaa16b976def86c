"""A rulebook: a text with the tables that it names, as one whole with one hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from switch.files.problems import ConfigError, Problem

RISK = "risk"
ROUTES = "routes"
ENDPOINTS = "endpoints"
TITLES: Mapping[str, str] = {RISK: "risk rules", ROUTES: "BIN table", ENDPOINTS: "endpoints"}
"""All that there is a rulebook in force of, and what people call it."""

BODY_BYTES_MAX = 64 << 20
TABLES_MAX = 16
NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A rulebook; it is read as ``switch.files.texts.Texts`` are.

    Attributes:
        place: What it is called where something is wrong with it.
        text: The text itself.
        tables: What the text names, by these names.
    """

    place: str
    text: str
    tables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_body(cls, place: str, body: str) -> Rulebook:
        """As it was kept."""
        said = json.loads(body)
        return cls(place, said["text"], said["tables"])

    @property
    def body(self) -> str:
        """As it is kept; its hash is that of these bytes."""
        said = {"text": self.text, "tables": dict(self.tables)}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def main(self) -> bytes:
        """The text."""
        return self.text.encode()

    def table(self, name: str) -> bytes:
        """A table.

        Raises:
            ConfigError: It did not come with the text.
        """
        if name not in self.tables:
            raise ConfigError([Problem(self.place_of(name), "", "is named, and did not come with the text")])
        return self.tables[name].encode()

    def place_of(self, name: str) -> str:
        """What a table is called where something is wrong with it."""
        return f"{self.place}: {name}"


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force of one kind.

    Attributes:
        kind: Of ``TITLES``, or what else the store has in force.
        version: Of the rulebook; 0: none was put in force yet.
        turn: How often one was put in force so far, this time included.
        hash: Of the rulebook's body, in hex.
        body: The rulebook.
    """

    kind: str
    version: int
    turn: int
    hash: str
    body: str

    @property
    def rulebook(self) -> Rulebook:
        """It, to be read."""
        return Rulebook.of_body(f"{TITLES[self.kind]}, version {self.version}", self.body)


def nothing(kind: str) -> InForce:
    """As long as nothing was put in force."""
    body = Rulebook("", EMPTY[kind]).body
    return InForce(kind, 0, 0, hash_of(body), body)


EMPTY: Mapping[str, str] = {RISK: "", ROUTES: "low,high,kinds,currencies,amount_min,amount_max,links\n", ENDPOINTS: ""}


def hash_of(body: str) -> str:
    """By which a rulebook is known: SHA-256, in hex."""
    return sha256(body.encode()).hexdigest()


def text_of(place: str, data: bytes) -> str:
    """The text of a file that is to be part of a rulebook.

    Raises:
        ConfigError: It is none.
    """
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise ConfigError([Problem(place, "", "is not UTF-8")]) from None
    if "\0" in text:
        raise ConfigError([Problem(place, "", "has a NUL character in it")])
    return text
