"""``authswitch applications``: merchants that want to be taken on, from the form to terminals that work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select

from switch.applications.applying import Clerk, application_of, documents_of, results_of, steps_of
from switch.applications.contracts import text_named
from switch.applications.documents import read_document
from switch.applications.forms import read_form
from switch.applications.looking_after import suspend_unlicensed
from switch.applications.states import words
from switch.applications.tables import APPLICATION_STATES, APPLICATIONS
from switch.applications.taking_on import Machine, assign, note_identities
from switch.base.error_words import words_of
from switch.cli.acquiring_desk import Reference, acquiring
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, fail
from switch.cli.listing import print_row, print_rows
from switch.cli.registry_desk import Most, require_state
from switch.cli.report import refuse
from switch.cli.store_opening import WhyOption, opened_store
from switch.files.datafile import read_regular
from switch.files.private import write_private
from switch.files.problems import ConfigError
from switch.store.columns import told_row

COLUMNS = ("id", "kind", "state", "legal_name", "identity_masked", "category", "plan", "deadline")
FILE_BYTES_MAX = 64 << 20

app = command_group()

FormFile = Annotated[Path, typer.Argument(metavar="FORM", help="TOML with what the applicant tells.")]


@app.callback()
def root() -> None:
    """Applications of merchants. Nobody decides on what he has entered or reviewed himself."""


@app.command()
def enter(config: ConfigFile, form: FormFile, why: WhyOption, *, as_json: AsJson = False) -> None:
    """Begin an application. The applicant's secret is shown this once.

    Example: authswitch applications enter switch.toml company.toml --why "came to the counter"
    """
    told = _form(form)
    with acquiring(config, why) as work:
        reference, secret = work.clerk.enter(told)
    if as_json:
        typer.echo(json.dumps({"reference": reference, "secret": secret}))
        return
    typer.echo(f"reference {reference}\nsecret    {secret}  (for the applicant; it is shown this once)")


@app.command("new-secret")
def new_secret(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Give the applicant another secret, which is shown this once; wrong ones are counted anew.

    Whoever does neither reviews nor approves nor refuses that application: he could speak for the applicant.

    Example: authswitch applications new-secret switch.toml K7Q2M9XW4T --why "lost it, came with the identity card"
    """
    with acquiring(config, why) as work:
        secret = work.clerk.renew_secret(reference)
    typer.echo(f"secret    {secret}  (for the applicant; it is shown this once)")


@app.command()
def amend(config: ConfigFile, reference: Reference, form: FormFile, why: WhyOption) -> None:
    """Write the form anew, while it is a draft or was sent back.

    Example: authswitch applications amend switch.toml K7Q2M9XW4T company.toml --why "place was wrong"
    """
    told = _form(form)
    with acquiring(config, why) as work:
        work.clerk.amend(reference, told)
    typer.echo(f"application {reference}: written anew")


@app.command("add-document")
def add_document(
    config: ConfigFile,
    reference: Reference,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PDF, JPEG or PNG.")],
    *,
    kind: Annotated[str, typer.Option("--kind", help="What it is, such as licence.")],
    why: WhyOption,
) -> None:
    """Keep a paper of an application, sealed. What sort of file it is say its bytes.

    Example: authswitch applications add-document switch.toml K7Q2M9XW4T licence.pdf --kind licence --why "by mail"
    """
    try:
        content = read_regular(file, FILE_BYTES_MAX)
    except OSError as error:
        fail(words_of(error, file))
    with acquiring(config, why) as work:
        number = work.clerk.add_document(reference, kind, content)
    typer.echo(f"document {number}: kept")


@app.command("save-document")
def save_document(
    config: ConfigFile,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Of the document.")],
    *,
    output: Annotated[Path, typer.Option("--output", help="A new file, for its owner alone.")],
    why: WhyOption,
) -> None:
    """Open a paper into a file, to look at it. Only a reviewer can, and the audit keeps that.

    Example: authswitch applications save-document switch.toml K7Q2M9XW4T-1 --output licence.pdf --why "review"
    """
    with acquiring(config, why, "applications.review") as work:
        content = read_document(work.clerk.change.connection, work.clerk.rules.sealer, number)
        work.clerk.note_opened(number)
    try:
        write_private(output, content)
    except OSError as error:
        fail(words_of(error, output))
    typer.echo(f"{output}: {len(content):,} bytes")


@app.command()
def submit(config: ConfigFile, reference: Reference, why: WhyOption, *, as_json: AsJson = False) -> None:
    """Hand an application in; a machine looks at it. It is in review then, or sent back with reasons.

    Example: authswitch applications submit switch.toml K7Q2M9XW4T --why "all papers are there"
    """
    with acquiring(config, why) as work:
        found = work.clerk.submit(reference)
        state = application_of(work.clerk.change.connection, reference)["state"]
    print_rows(
        (
            {"name": name, "outcome": one.outcome, "reason": one.reason, "source": one.source}
            for name, one in found.items()
        ),
        ("name", "outcome", "reason", "source"),
        as_json=as_json,
    )
    if not as_json:
        typer.echo(f"application {reference}: {words(state)}")


@app.command("return")
def return_(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Give an application back to the applicant; the reason is what he is told.

    Example: authswitch applications return switch.toml K7Q2M9XW4T --why "the photo shows another shop"
    """
    _does(config, Clerk.send_back, reference, why, "returned")


@app.command()
def review(
    config: ConfigFile,
    reference: Reference,
    *,
    risk: Annotated[str, typer.Option("--risk", help="Class of risk: low, medium or high.")],
    why: WhyOption,
    found: Annotated[str, typer.Option("--found", help="About what is doubtful: needed where something is.")] = "",
) -> None:
    """Say that an application can be approved, as another person than the one who entered it.

    Example: authswitch applications review switch.toml K7Q2M9XW4T --risk low --why "papers seen, shop visited"
    --found "account: the bank has confirmed the holder by letter"
    """
    _does(config, Clerk.review, reference, why, "reviewed", risk, found)


@app.command()
def reopen(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Let an application be reviewed once more.

    Example: authswitch applications reopen switch.toml K7Q2M9XW4T --why "who is the owner?"
    """
    _does(config, Clerk.reopen, reference, why, "in review")


@app.command()
def approve(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Approve an application, as a third person.

    Example: authswitch applications approve switch.toml K7Q2M9XW4T --why "as reviewed"
    """
    _does(config, Clerk.approve, reference, why, "approved")


@app.command("refuse")
def refuse_(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Say no, for a reason that the applicant is told.

    Example: authswitch applications refuse switch.toml K7Q2M9XW4T --why "no shop at this place"
    """
    _does(config, Clerk.refuse, reference, why, "refused")


@app.command()
def withdraw(config: ConfigFile, reference: Reference, why: WhyOption) -> None:
    """Give an application up, as the applicant wishes.

    Example: authswitch applications withdraw switch.toml K7Q2M9XW4T --why "has found another acquirer"
    """
    _does(config, Clerk.withdraw, reference, why, "withdrawn")


@app.command()
def offer(
    config: ConfigFile,
    reference: Reference,
    *,
    text: Annotated[
        str, typer.Option("--text", help="Hash of the contract's text, of `contracts import`; its first digits do.")
    ],
    why: WhyOption,
) -> None:
    """Offer a contract: a text, with the plan that was asked for.

    Example: authswitch applications offer switch.toml K7Q2M9XW4T --text 1f3a… --why "approved"
    """
    _does(config, Clerk.offer, reference, why, "contract offered", text)


@app.command()
def accept(
    config: ConfigFile,
    reference: Reference,
    *,
    text: Annotated[str, typer.Option("--text", help="Hash of the text that was accepted; its first digits do.")],
    by: Annotated[str, typer.Option("--by", help="Who has accepted.")],
    how: Annotated[str, typer.Option("--how", help="Such as: signed on paper.")],
    why: WhyOption,
) -> None:
    """Note that the applicant has accepted the contract; it never changes from then on.

    Example: authswitch applications accept switch.toml K7Q2M9XW4T --text 1f3a… --by "Zhang San" --how "signed on paper"
    --why "came by mail"
    """
    with acquiring(config, why) as work:
        accepted = text_named(work.clerk.change.connection, text)
        key = work.clerk.accept(reference, accepted, by, how)
    typer.echo(f"application {reference}: accepted; the contract's hash is {key}")


@app.command("assign")
def assign_(
    config: ConfigFile,
    reference: Reference,
    *,
    machines: Annotated[
        list[str], typer.Option("--machine", help="SERIAL, SERIAL:MODEL or SERIAL:MODEL:PLACE; repeat it.")
    ],
    why: WhyOption,
    as_json: AsJson = False,
) -> None:
    """Make a merchant and terminals of it, with numbers and keys. The codes to activate them are shown this once.

    Example: authswitch applications assign switch.toml K7Q2M9XW4T --machine SN-0001:A920 --why "contract is signed"
    """
    wanted = [Machine(*[part.strip() for part in one.split(":", 2)]) for one in machines]
    with acquiring(config, why) as work:
        done = assign(work.clerk, work.registrar, work.keys, reference, wanted)
        work.keys.save()
    if as_json:
        typer.echo(json.dumps({"merchant": done.merchant, "codes": done.codes}))
        return
    typer.echo(f"merchant {done.merchant}")
    for terminal, code in done.codes.items():
        typer.echo(f"terminal {terminal}  code {code}  (it is shown this once)")


@app.command()
def show(config: ConfigFile, reference: Reference, *, as_json: AsJson = False) -> None:
    """Show what is known of an application; what is sealed is masked.

    Example: authswitch applications show switch.toml K7Q2M9XW4T
    """
    with opened_store(config) as store, store.reading() as connection:
        row = application_of(connection, reference)
    print_row(told_row(row), as_json=as_json)


@app.command("list")
def list_(
    config: ConfigFile,
    state: Annotated[
        str | None, typer.Option("--state", help=f"Only those that are {', '.join(APPLICATION_STATES)}.")
    ] = None,
    most: Most = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """List applications, the oldest first.

    Example: authswitch applications list switch.toml --state in_review
    """
    require_state(state, APPLICATION_STATES)
    query = select(APPLICATIONS).order_by(APPLICATIONS.c.entered_at).limit(most)
    if state is not None:
        query = query.where(APPLICATIONS.c.state == state)
    with opened_store(config) as store, store.reading() as connection:
        rows = [told_row(dict(row)) for row in connection.execute(query).mappings()]
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command()
def checks(config: ConfigFile, reference: Reference, *, as_json: AsJson = False) -> None:
    """Show all that was ever found by machine, the newest round first.

    Example: authswitch applications checks switch.toml K7Q2M9XW4T
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = results_of(connection, reference)
    print_rows(map(told_row, rows), ("round", "name", "outcome", "reason", "source"), as_json=as_json)


@app.command()
def documents(config: ConfigFile, reference: Reference, *, as_json: AsJson = False) -> None:
    """List the papers of an application.

    Example: authswitch applications documents switch.toml K7Q2M9XW4T
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = documents_of(connection, reference)
    print_rows(map(told_row, rows), ("id", "kind", "content_type", "bytes", "at"), as_json=as_json)


@app.command()
def steps(config: ConfigFile, reference: Reference, *, as_json: AsJson = False) -> None:
    """Show who did what with an application, when and why.

    Example: authswitch applications steps switch.toml K7Q2M9XW4T
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = steps_of(connection, reference)
    print_rows(map(told_row, rows), ("number", "at", "who", "state", "why"), as_json=as_json)


@app.command()
def daily(config: ConfigFile, why: WhyOption, *, as_json: AsJson = False) -> None:
    """Do what each day asks for: applications whose time is over expire, merchants without a licence are suspended.

    Of merchants that an earlier version has taken on it is noted who holds them, for limits over one identity.

    Example: authswitch applications daily switch.toml --why "nightly"
    """
    with acquiring(config, why, "registry.change") as work:
        expired = work.clerk.expire_overdue()
        suspended = suspend_unlicensed(work.registrar, work.clerk.rules.day_of(work.clerk.change.at))
        identified = note_identities(work.clerk.change)
    if as_json:
        typer.echo(json.dumps({"expired": expired, "suspended": suspended, "identified": identified}))
        return
    typer.echo(f"applications expired: {', '.join(expired) or 'none'}")
    typer.echo(f"merchants suspended, since their licence has ended: {', '.join(suspended) or 'none'}")
    typer.echo(f"merchants of which it is known now who holds them: {', '.join(identified) or 'none'}")


def _form(file: Path) -> Any:
    try:
        return read_form(file)
    except ConfigError as error:
        refuse(error)


def _does(config: Path, step: Callable[..., object], reference: str, why: str, done: str, *arguments: str) -> None:
    with acquiring(config, why) as work:
        step(work.clerk, reference, *arguments)
    typer.echo(f"application {reference}: {done}")
