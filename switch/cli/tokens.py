"""``authswitch tokens``: what proves to a program who asks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from switch.access.roles import ROLES, roles_text
from switch.access.token_file import FileToken, TokenFileError, read_tokens, write_tokens
from switch.access.token_proof import DAYS_MAX, expiry, new_token
from switch.access.tokens import issue, revoke, tokens_in_force, tokens_of, told_of
from switch.base.error_words import words_of
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, fail
from switch.cli.listing import WIDTH_OF_WIDE, print_rows
from switch.cli.people import Key
from switch.cli.store_opening import WhyOption, changing_store, opened_store
from switch.files.private import write_private
from switch.store.problems import RefusedError

COLUMNS = ("id", "person", "label", "issued_by", "issued_at", "expires_at", "used_at", "state")

Days = Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX, help="How long it is in force.")]

Output = Annotated[
    Path | None, typer.Option("--output", help="A new file, for its owner alone; standard output, when left out.")
]

TokensFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file that admin.tokens_file names.")]

app = command_group()


@app.callback()
def root() -> None:
    """Tokens of people, for the back office's API and for daemons. Only a hash of each is kept."""


@app.command("issue")
def issue_(
    config: ConfigFile,
    key: Key,
    *,
    label: Annotated[str, typer.Option("--label", help="What it is for.")],
    days: Days,
    why: WhyOption,
    output: Output = None,
) -> None:
    """Give a person a token. It is shown this once: only its hash is kept.

    Everybody gives tokens to himself, an administrator to others, too.

    Example: authswitch tokens issue switch.toml jo.tan --label "night import" --days 90 --why "the batch needs it"
    """
    _require_new(output)
    with changing_store(config, why, right=None) as (change, actor):
        text = issue(change, actor, key, label, days)
        if output is not None:
            _write_secret(output, text)
    typer.echo(text if output is None else f"{output}: a token of {key} for {days} days")


def _require_new(output: Path | None) -> None:
    if output is not None and output.exists():
        fail(f"{output}: is there already")


def _write_secret(file: Path, text: str) -> None:
    """Write a secret into a new file, for its owner alone; ends the command where that is not possible."""
    try:
        write_private(file, f"{text}\n".encode("ascii"))
    except OSError as error:
        fail(words_of(error, file))


@app.command()
def make(
    file: TokensFile,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose it is; the daemon's log and journal name it.")],
    *,
    days: Days,
    roles: Annotated[list[str], typer.Option("--role", help=f"Repeat it: {', '.join(ROLES)}.")],
    output: Output = None,
) -> None:
    """Put the hash of a new token into a file for a daemon (admin.tokens_file), where there is no store.

    The token is shown this once. To take it out of force, take its line out: the daemon reads the file at each request.

    Example: authswitch tokens make tokens.csv mei.lin --role operator --days 90 --output mei.token
    """
    _require_new(output)
    key, text, token_hash = new_token()
    try:
        roles_text(roles)
        token = FileToken(key, person, tuple(dict.fromkeys(roles)), expiry(days, datetime.now(UTC)), token_hash)
        before = read_tokens(file).values() if file.exists() else ()
        write_tokens(file, [*before, token])
    except (RefusedError, TokenFileError) as error:
        fail(str(error))
    except OSError as error:
        fail(words_of(error, file))
    if output is None:
        typer.echo(text)
    else:
        _write_secret(output, text)


@app.command()
def export(config: ConfigFile, file: TokensFile) -> None:
    """Write the hashes of all tokens in force whose people may operate daemons into a file (admin.tokens_file).

    Call it again whenever people or tokens were changed; the daemon looks at each request.

    Example: authswitch tokens export switch.toml tokens.csv
    """
    with opened_store(config) as store, store.reading() as connection:
        tokens = tokens_in_force(connection, "daemon.operate", datetime.now(UTC))
    try:
        write_tokens(file, tokens)
    except TokenFileError as error:
        fail(str(error))
    except OSError as error:
        fail(words_of(error, file))
    typer.echo(f"{file}: {len(tokens):,} tokens")


@app.command("list")
def list_(
    config: ConfigFile,
    person: Annotated[str | None, typer.Option("--person", help="Only this person's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List tokens: whose, for what, until when, and when they were used last.

    Example: authswitch tokens list switch.toml --person jo.tan
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = [told_of(row) for row in tokens_of(connection, person)]
    print_rows(rows, COLUMNS, as_json=as_json, width_of_files=WIDTH_OF_WIDE)


@app.command("revoke")
def revoke_(
    config: ConfigFile,
    token: Annotated[str, typer.Argument(metavar="ID", help="Of the token: `tokens list` has it.")],
    *,
    why: WhyOption,
) -> None:
    """Put a token out of force at once.

    Example: authswitch tokens revoke switch.toml 0a1b2c3d4e5f --why "was in a log"
    """
    with changing_store(config, why, right=None) as (change, actor):
        is_changed = revoke(change, actor, token)
    typer.echo(f"token {token}: {'revoked' if is_changed else 'is so already; nothing changed'}")
