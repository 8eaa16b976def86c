"""``authswitch risk``: how the table of blocked cards writes a card, whose number stands on no command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import EXIT_ASKED_WRONGLY, ConfigFile, fail, load
from switch.cli.report import refuse, status_of
from switch.config.key_file import open_key_file
from switch.files.problems import ConfigError, ProblemList, raise_if_any
from switch.keys import KeyFileError
from switch.tables.risk import card_hash
from switch.tables.risk_files import read_rules, secret_of

if TYPE_CHECKING:
    from switch.config import Config

PAN = re.compile(r"[0-9]{12,19}")
LINE_CHARACTERS_MAX = 64

app = command_group()


@app.callback()
def root() -> None:
    """Risk control: what its files need."""


@app.command("hash")
def hash_(config: ConfigFile) -> None:
    """Print the hash of each card number, as the table of blocked cards (`cards.table`) has it: one a line.

    Card numbers are lines of standard input, with blanks or hyphens where wanted; on a terminal each is asked for
    without showing it, and an empty one ends. They never stand on the command line. The key is that of `cards.key` in
    the file of risk rules.

    Example: authswitch risk hash /etc/authswitch/switch.toml < cards.txt
    """
    secret = _secret(load(config))
    for number, line in enumerate(_given(), 1):
        pan = re.sub(r"[ -]", "", line.strip())
        if not pan:
            continue
        if not PAN.fullmatch(pan):
            fail(f"line {number}: needed a card number of 12 to 19 digits")  # what is there may be one: not repeated
        typer.echo(card_hash(secret, pan))


def _secret(config: Config) -> bytes:
    """The key of the card hash; ends the command in words where there is none."""
    if config.risk is None or config.keys is None:
        fail(f"{config.file}: needed [risk] and [keys], whose files say how cards are hashed", EXIT_ASKED_WRONGLY)
    path = config.risk.file
    problems = ProblemList(str(path))
    try:
        rules = read_rules(path)
        if rules.cards is None:
            fail(f"{path}: needed a table [cards], whose key hashes cards", EXIT_ASKED_WRONGLY)
        with open_key_file(config.keys) as keys:
            secret = secret_of(rules, keys.source(), problems)
        raise_if_any(problems)
    except ConfigError as error:
        refuse(error)
    except KeyFileError as error:
        fail(str(error), status_of(error))
    return secret or b""


def _given() -> Iterator[str]:
    """Lines of standard input, or what a person types."""
    if not sys.stdin.isatty():
        while line := sys.stdin.readline(LINE_CHARACTERS_MAX):
            yield line
        return
    while line := str(typer.prompt("card number", default="", show_default=False, hide_input=True)):
        yield line
