"""What commands say of identity, account, place and who has seen it: secrets come from files, never as arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from switch.applications.looking_after import refuse_account_of_profile
from switch.base.error_words import words_of
from switch.cli.journal_reading import fail
from switch.cli.registry_desk import told, waits, work
from switch.merchants.binding_desk import BINDING_KIND, ELEMENTS_KIND, Binder, Verification, is_bound, wanted_of
from switch.merchants.binding_tables import VERIFICATIONS
from switch.merchants.registering import is_moved_by
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.changing import row_of

SECRET_CHARACTERS_MAX = 64

Verified = Annotated[str | None, typer.Option("--verified", help=f"How it was seen: {' or '.join(VERIFICATIONS)}.")]
VerifiedBy = Annotated[str | None, typer.Option("--verified-by", help="Who has seen it.")]
VerifiedOn = Annotated[datetime | None, typer.Option("--verified-on", formats=["%Y-%m-%d"], help="On which day.")]
Reference = Annotated[str | None, typer.Option("--reference", help="Of the record of that.")]
IdentityFile = Annotated[
    Path | None,
    typer.Option("--identity-file", help="File with the credit code or identity number in its first line; - reads it."),
]
MerchantClass = Annotated[
    str | None, typer.Option("--class", help="What its identity makes it: company, or small for a person's number.")
]
AccountFile = Annotated[
    Path | None, typer.Option("--account-file", help="The same with the number of the settlement account.")
]


def verification(how: str | None, by: str | None, on: datetime | None, reference: str | None) -> Verification | None:
    """Who has seen it; None where nothing is said of that."""
    said = how, by, on, reference
    if all(one is None for one in said):
        return None
    if how is None or by is None or on is None or reference is None:
        raise typer.BadParameter("--verified, --verified-by, --verified-on and --reference belong together")
    return Verification(how, by, on.date(), reference)


def secrets_in(files: Mapping[str, Path | None]) -> dict[str, str]:
    """The first line of each file that was named."""
    return {name: _first_line(file) for name, file in files.items() if file is not None}


def _first_line(file: Path) -> str:
    try:
        if str(file) == "-":
            line = sys.stdin.readline(SECRET_CHARACTERS_MAX + 2)
        else:
            with file.open(encoding="utf-8") as stream:
                line = stream.readline(SECRET_CHARACTERS_MAX + 2)
    except OSError as error:
        fail(words_of(error, file))
    except UnicodeDecodeError:
        fail(f"{file}: is not UTF-8")
    if len(line.strip()) > SECRET_CHARACTERS_MAX:
        fail(f"{file}: its first line has more than {SECRET_CHARACTERS_MAX} characters")
    return line.strip()


def set_elements(
    config_file: Path,
    key: str,
    said: tuple[Mapping[str, str], str | None],
    seen: Verification | None,
    why: str,
    *,
    proposes: bool,
) -> None:
    """Say who a merchant is and where it is settled; or propose it, where two people are needed.

    Args:
        config_file: The configuration.
        key: The merchant's number.
        said: Identity and account in clear, as far as they are said; and its class.
        seen: Who has seen it.
        why: The reason.
        proposes: Whether another person is to approve it, even if nobody needs to.
    """
    secrets, of_class = said
    with work(config_file, why) as one:
        if "account" in secrets:
            refuse_account_of_profile(one.registrar.change.connection, key)
        binder = Binder(one.registrar)
        wanted = wanted_of(binder.hashes_of(key, secrets) | ({} if of_class is None else {"class": of_class}), seen)
        if proposes or one.registrar.is_alone:
            number = one.proposals.propose(ELEMENTS_KIND, key, wanted, one.lasts)
            done, is_changed = waits(number), True
        else:
            done, is_changed = "changed, and its terminals are bound to that", binder.set_elements(key, wanted)
    told(MERCHANTS, key, done, is_changed=is_changed)


def bind(
    config_file: Path, key: str, values: Mapping[str, str], seen: Verification | None, why: str, *, proposes: bool
) -> None:
    """Bind a terminal; or propose it, where two people are needed: it is bound already, or was another machine."""
    with work(config_file, why) as one:
        binder = Binder(one.registrar)
        wanted = wanted_of(values, seen)
        connection = one.registrar.change.connection
        is_known = is_bound(connection, key) or is_moved_by(row_of(connection, TERMINALS, key), values)
        if proposes or (one.registrar.is_alone and is_known):
            number = one.proposals.propose(BINDING_KIND, key, wanted, one.lasts)
            done, is_changed = waits(number), True
        else:
            done, is_changed = "bound", binder.bind(key, wanted)
    told(TERMINALS, key, done, is_changed=is_changed)
