"""``authswitch keys exchange``: have the running daemon ask an issuer for new keys."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from switch.admin.client import AdminError, client_for
from switch.cli.journal_reading import fail
from switch.cli.own_token import TokenFile, read_token
from switch.cli.report import refuse
from switch.config import ConfigError


class Exchanged(StrEnum):
    """Which key."""

    ZPK = "zpk"
    ZAK = "zak"


def exchange(
    context: typer.Context,
    link: Annotated[str, typer.Argument(metavar="LINK", help="Name of the link, such as bank-a.")],
    key: Annotated[
        list[Exchanged] | None, typer.Option("--key", help="Only this one; both that the link has when left out.")
    ] = None,
    admin: Annotated[
        str | None, typer.Option("--admin", metavar="ADDRESS", help="HOST:PORT or unix:PATH, instead of the one there.")
    ] = None,
    token_file: TokenFile = None,
) -> None:
    """Have the daemon ask a link's issuer for new keys, and take them up; the link needs a `key_exchange`.

    Example: authswitch keys --config switch.toml exchange bank-a --key zak
    """
    config: Path | None = None if context.parent is None else context.parent.params.get("config")
    try:
        client = client_for(config, admin, read_token(token_file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except ConfigError as error:
        refuse(error)
    try:
        came = client.exchange_keys(link, [each.value for each in key or ()])
    except AdminError as error:
        fail(str(error))
    for usage, check in came.items():
        typer.echo(f"{link}: new {usage}, kcv {check}")
