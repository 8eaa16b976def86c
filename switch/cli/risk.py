"""``authswitch risk``: hashes of cards, whose numbers stand on no command line, and rules rehearsed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from switch.base.error_words import words_of
from switch.check.parts import load_parts
from switch.check.rulebooks import load_config_risk, risk_texts
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import (
    EXIT_ASKED_WRONGLY,
    AsJson,
    ConfigFile,
    DirectoriesOption,
    fail,
    load,
    not_here,
    reading,
)
from switch.cli.rehearsal_report import Report
from switch.cli.report import refuse, status_of
from switch.cli.rulebooks import add_rulebook_commands
from switch.config.key_file import open_key_file
from switch.files.problems import ConfigError, ProblemList, raise_if_any
from switch.journal.rehearsing import rehearsed
from switch.keys import KeyFileError
from switch.rulebooks.rulebooks import RISK
from switch.tables.card_hashes import card_hash
from switch.tables.risk import PAST_MS
from switch.tables.risk_files import load_risk, read_rules, secret_of
from switch.tracing.finding import present

if TYPE_CHECKING:
    from switch.config import Config

PAN = re.compile(r"[0-9]{12,19}")
LINE_CHARACTERS_MAX = 64
DAYS_MAX = 3_660

app = command_group()


@app.callback()
def root() -> None:
    """Risk control: rules rehearsed on what has happened, what their files need, and their versions in the store."""


add_rulebook_commands(app, RISK)


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


@app.command("rehearse")
def rehearse(
    config: ConfigFile,
    rules: Annotated[Path, typer.Argument(metavar="RULES", help="The file of risk rules to rehearse.")],
    directory: DirectoriesOption = None,
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX, help="So many last days are looked at.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Say what a file of rules would have refused in the last days, whom and how much, by the journals.

    The rules decide as they would on the path. What they let through ends as it did. Rules in shadow are told, too.
    Last comes what would have been otherwise than with the rules in force, those of CONFIG. It runs beside the daemon
    or without one. Of several nodes, give the journal of each by --directory: their requests are taken in the order of
    time, and counted together.

    Example: authswitch risk rehearse /etc/authswitch/switch.toml new-risk.toml --days 7
    """
    configured = load(config)
    try:
        parts = load_parts(configured)
        tried = load_risk(rules, parts.keys, parts.registry, clock_offset_ms=-PAST_MS)
        loaded = load_config_risk(configured, parts.keys, parts.registry, clock_offset_ms=-PAST_MS)
        in_force = None if loaded is None else loaded.value
    except (ConfigError, OSError) as error:
        refuse(error) if isinstance(error, ConfigError) else fail(words_of(error, rules))
    with reading(configured, directory, as_json=as_json) as partitions:
        since = present(partitions) - timedelta(days=days)
        found = rehearsed(partitions, tried, in_force, parts.registry, int(since.timestamp() * 1_000_000))
        absent = not_here(partitions)
    report = Report(found, ZoneInfo(configured.switch.timezone), absent)
    if as_json:
        typer.echo(json.dumps(report.document()))
    else:
        for line in report.lines():
            typer.echo(line)


def _secret(config: Config) -> bytes:
    """The key of the card hash; ends the command in words where there is none."""
    try:
        texts = risk_texts(config)
        if texts is None or config.keys is None:
            fail(f"{config.file}: needed [risk] and [keys], whose files say how cards are hashed", EXIT_ASKED_WRONGLY)
        rules = read_rules(texts)
        problems = ProblemList(texts.place)
        if rules.cards is None:
            fail(f"{texts.place}: needed a table [cards], whose key hashes cards", EXIT_ASKED_WRONGLY)
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
