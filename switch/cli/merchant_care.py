"""What ``authswitch merchants`` and ``terminals`` do with those that came of an application."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from getpass import getpass
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from switch.applications.looking_after import (
    due_soon,
    note_review,
    profile_of,
    propose_account,
    propose_place,
    renew_licence,
)
from switch.applications.states import ENTERING, REVIEWING
from switch.applications.taking_on import activate, issue_code
from switch.cli.acquiring_desk import acquiring, looking
from switch.cli.binding_options import Reference, Verified, VerifiedBy, VerifiedOn, verification
from switch.cli.journal_reading import AsJson, ConfigFile, fail, load
from switch.cli.listing import print_row, print_rows
from switch.cli.registry_desk import Key, waits
from switch.cli.store_opening import WhyOption, opened_store
from switch.store.columns import told_row

DUE_COLUMNS = ("merchant", "what", "day", "source")


def add_merchant_commands(app: typer.Typer) -> None:
    """Give ``authswitch merchants`` its commands about those that were taken on."""
    app.command("profile")(profile)
    app.command("account")(account)
    app.command("renew-licence")(renew)
    app.command("reviewed")(reviewed)
    app.command("due")(due)


def add_terminal_commands(app: typer.Typer) -> None:
    """Give ``authswitch terminals`` its commands about those that wait, or move."""
    app.command("activate")(activate_)
    app.command("new-code")(new_code)
    app.command("move")(move)


def profile(config: ConfigFile, key: Key, *, as_json: AsJson = False) -> None:
    """Show what is known of a merchant since it was taken on; what is sealed is masked.

    Example: authswitch merchants profile switch.toml 898110059420001
    """
    with opened_store(config) as store, store.reading() as connection:
        row = profile_of(connection, key)
    print_row(told_row(row), as_json=as_json)


def account(
    config: ConfigFile,
    key: Key,
    *,
    holder: Annotated[str, typer.Option("--holder", help="Whose account it is.")],
    why: WhyOption,
    found: Annotated[
        str, typer.Option("--found", help="What was found about a holder whose name is like one under sanctions.")
    ] = "",
    how: Verified = None,
    by: VerifiedBy = None,
    on: VerifiedOn = None,
    reference: Reference = None,
) -> None:
    """Propose another settlement account, which is asked for and not shown. Another person approves it.

    The terminals that are bound to the one before are bound to this one in the same step. A holder whose name is like
    one under sanctions needs --found, which who approves it sees.

    Example: authswitch merchants account switch.toml 898110059420001 --holder "Harbour Books Limited"
    --verified "on site" --verified-by "Jo Tan" --verified-on 2026-11-28 --reference V-17 --why "has changed its bank"
    """
    seen = verification(how, by, on, reference)
    told = {"number": _asked("account"), "holder": holder, "found": found}
    with acquiring(config, why) as work:
        number = propose_account(work.proposals, work.clerk.rules.sealer, key, told, seen, lasts=work.lasts)
    typer.echo(f"merchant {key}: {waits(number)}")


def renew(
    config: ConfigFile,
    key: Key,
    *,
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Its last day.")],
    why: WhyOption,
) -> None:
    """Note how long a merchant's licence lasts now. One that was suspended for it is released by two people.

    Example: authswitch merchants renew-licence switch.toml 898110059420001 --until 2036-06-30 --why "licence seen"
    """
    with acquiring(config, why, ENTERING) as work:
        is_changed = renew_licence(work.clerk.change, work.clerk.rules, key, until.date())
    typer.echo(f"merchant {key}: " + ("licence renewed" if is_changed else "is so already; nothing changed"))


def reviewed(
    config: ConfigFile,
    key: Key,
    *,
    risk: Annotated[str, typer.Option("--risk", help="Class of risk: low, medium or high.")],
    why: WhyOption,
) -> None:
    """Note that a merchant was looked at again.

    Example: authswitch merchants reviewed switch.toml 898110059420001 --risk medium --why "turnover has doubled"
    """
    with acquiring(config, why, REVIEWING) as work:
        day = note_review(work.clerk.change, work.clerk.rules, key, risk)
    typer.echo(f"merchant {key}: reviewed; the next time is {day} at the latest")


def due(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """List licences that end soon or have ended, reviews that are due, and terminals that await their first sign-in.

    Example: authswitch merchants due switch.toml
    """
    now = datetime.now(ZoneInfo(load(config).switch.timezone))
    with looking(config) as (store, policy), store.reading() as connection:
        found = [told_row(asdict(one)) for one in due_soon(connection, policy, now)]
    print_rows(found, DUE_COLUMNS, as_json=as_json)


def activate_(config: ConfigFile, key: Key, *, why: WhyOption) -> None:
    """Put a terminal into service by its code, without its first sign-in; it is asked for, or read from standard input.

    Example: authswitch terminals activate switch.toml 30000001 --why "installed"
    """
    code = _asked("code")
    with acquiring(config, why, ENTERING) as work:
        fault = activate(work.clerk, work.registrar, key, code)
    if fault:
        fail(fault)
    typer.echo(f"terminal {key}: active")


def new_code(config: ConfigFile, key: Key, *, why: WhyOption) -> None:
    """Give a terminal that awaits its first sign-in more time for it, and another code, which is shown this once.

    Example: authswitch terminals new-code switch.toml 30000001 --why "the old one was lost"
    """
    with acquiring(config, why, ENTERING) as work:
        code = issue_code(work.clerk.change, work.clerk.rules.sealer, work.clerk.rules.policy.activation, key)
    typer.echo(f"terminal {key}  code {code}  (it is shown this once)")


def move(
    config: ConfigFile,
    key: Key,
    *,
    place: Annotated[str, typer.Option("--place", help="Where it is to stand.")],
    why: WhyOption,
    how: Verified = None,
    by: VerifiedBy = None,
    on: VerifiedOn = None,
    reference: Reference = None,
) -> None:
    """Propose that a terminal stands elsewhere. Another person approves it.

    One that is bound is bound to that place in the same step; `terminals bind` says its position there.

    Example: authswitch terminals move switch.toml 30000001 --place "Harbour Road 14" --verified "live video"
    --verified-by "Jo Tan" --verified-on 2026-11-28 --reference V-17 --why "moved"
    """
    seen = verification(how, by, on, reference)
    with acquiring(config, why) as work:
        number = propose_place(work.proposals, key, place, seen, work.lasts)
    typer.echo(f"terminal {key}: {waits(number)}")


def _asked(what: str) -> str:
    """A line that is not shown; from standard input where nobody sits at a terminal."""
    return (getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
