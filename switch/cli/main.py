"""The one command ``authswitch``: what each subcommand is called, and where it lives.

A subcommand's module is imported when it is called, so that help and mistakes are answered quickly. Every subcommand
exits 0 when well, 1 when the thing asked for failed and 2 when it was asked wrongly.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from switch import __version__
from switch.base.error_words import words_of
from switch.cli.command_groups import HELP_NAMES, plain
from switch.cli.own_token import TokenFile, read_token
from switch.files.problems import ConfigError

if TYPE_CHECKING:
    from switch.admin.client import AdminClient

EXIT_FAILED = 1
EXIT_ASKED_WRONGLY = 2

ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "demo": ("switch.cli.demo:app", "Run the whole system on this machine: switch, simulated issuers and terminals."),
    "simulate": ("switch.cli.simulate:app", "Play one side of the conversation: `issuer` or `terminals`."),
    "decode": ("switch.cli.messages:decode_app", "Show the fields of one message; card numbers are masked."),
    "encode": ("switch.cli.messages:encode_app", "Write one message from its fields."),
    "keys": ("switch.cli.keys:app", "Make and change the sealed key file."),
    "journal": ("switch.cli.journal:app", "Read the journal: `verify` it, or `dump` its records."),
    "partitions": (
        "switch.cli.partitions:app",
        "The partitions of the journals: `show` them, or `change` their number.",
    ),
    "reversals": ("switch.cli.reversals:app", "What issuers are owed: `list` it, `retry` it, or `close` one."),
    "merchants": ("switch.cli.merchants:app", "Who may take cards: `add`, `change`, `suspend`, `import` and more."),
    "terminals": ("switch.cli.terminals:app", "Their machines: `add`, `change`, `suspend`, `import` and more."),
    "backoffice": ("switch.cli.backoffice:app", "The API of the back office: `serve` it, or write its `openapi`."),
    "applicants": ("switch.cli.applicants:app", "What merchants who apply reach: `serve` it, or write its `openapi`."),
    "books": (
        "switch.cli.books:app",
        "What the journals say of money, posted: `serve`, `balances`, `statement`, `verify`.",
    ),
    "people": ("switch.cli.people:app", "Who works at the back office, and what each may do."),
    "cases": ("switch.cli.cases:app", "What was found not to be as registered: `list`, `show`, `close`."),
    "tokens": ("switch.cli.tokens:app", "What proves to a program who asks: `issue`, `list`, `revoke`."),
    "proposals": ("switch.cli.proposals:app", "Changes that need two people: `list`, `approve`, `refuse` and more."),
    "plans": ("switch.cli.plans:app", "What merchants are offered: `import`, `compare`, `withdraw`, `offer`."),
    "contracts": ("switch.cli.contracts:app", "What merchants accept: texts, and what each has accepted."),
    "applications": (
        "switch.cli.applications:app",
        "Merchants that want to be taken on: `enter`, `submit`, `review`, `approve` and more.",
    ),
    "reports": ("switch.cli.reports:app", "What the authority must be told: `due`, `mark`."),
    "store": ("switch.cli.store:app", "The back office's database: `upgrade`, `show`, `backup`, `restore`."),
    "audit": ("switch.cli.audit:app", "Who changed what in the back office: `list` it, or `verify` that it is whole."),
    "risk": ("switch.cli.risk:app", "Risk control: `rehearse` rules, `put` and `propose` them, `hash` cards."),
    "routes": ("switch.cli.routes:app", "BIN tables in the store: `put`, `list`, `show`, and `propose` one."),
    "endpoints": (
        "switch.cli.endpoints:app",
        "Issuers' addresses in the store: `put`, `list`, `show`, and `propose` them.",
    ),
    "links": ("switch.cli.links:app", "Issuers' links in service: `list` them, `hold` one out, `release` it."),
    "trace": ("switch.cli.trace:app", "Tell the life of one transaction, and where the money is now."),
}
"""Subcommands that are applications of their own: where, and what they do in one line."""

app = typer.Typer(
    name="authswitch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would show the values of variables
    context_settings={"help_option_names": HELP_NAMES},
    add_completion=False,
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AdminAddress = Annotated[
    str | None,
    typer.Option("--admin", metavar="ADDRESS", help="HOST:PORT or unix:PATH, instead of CONFIG's."),
]
MaybeConfigFile = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="The configuration file that the daemon was started with.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"authswitch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """High-throughput ISO 8583 authorization switch."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Is made, or is empty.")],
    sample: Annotated[
        str,
        typer.Option(metavar="NAME", help="minimal, loopback, or production, which has every key."),
    ] = "minimal",
) -> None:
    """Make a folder with a configuration that works, and new keys and certificates for it.

    It ends with what to type next. The keys are for trying out: real ones come from a key ceremony (authswitch keys).

    Example: authswitch init trial --sample production
    """
    from switch.cli.init import make
    from switch.samples.copying import sample_names

    if sample not in sample_names():
        raise typer.BadParameter(f"{sample}; known are {', '.join(sample_names())}", param_hint="--sample")
    try:
        make(folder, sample)
    except OSError as error:
        fail(f"cannot write the sample: {words_of(error)}")


@app.command()
def serve(config: ConfigFile) -> None:
    """Run the daemon. SIGTERM drains it; a second one ends it at once.

    Exit status 1 when it cannot serve, or ended with requests or reversals that could not be finished in time.

    Example: authswitch serve /etc/authswitch/switch.toml
    """
    from switch.base.start_signals import NOTHING_DONE, EndedWhileStarting, hear_while_starting

    hear_while_starting()
    gc.disable()  # what a start makes stays, and to walk through it again and again takes a fifth of it
    try:
        finished = _served(config)
    except EndedWhileStarting as ended:
        typer.echo(f"authswitch: {NOTHING_DONE} ({ended.signal})", err=True)
        return
    finally:
        gc.enable()
    if not finished:
        raise typer.Exit(EXIT_FAILED)


def _served(config: Path) -> bool:
    """Run the daemon, whether it finished; ends the command in words when it cannot serve."""
    from switch.cli.report import refuse
    from switch.journal import JournalError
    from switch.server import serve as run

    try:
        return run(config)
    except ConfigError as error:
        refuse(error)
    except (OSError, JournalError) as error:
        fail(f"cannot serve: {words_of(error)}")


@app.command()
def check(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Validate a configuration and all that it names, without starting anything.

    Every problem is listed at once, with file, key and reason. Exit status 2 when one of them is an error.

    Example: authswitch check configs/production.toml
    """
    from switch.check.configuration import check_config
    from switch.cli.report import print_report

    report = check_config(config)
    print_report(report, as_json=as_json)
    if not report.valid:
        raise typer.Exit(EXIT_ASKED_WRONGLY)


@app.command()
def status(config: MaybeConfigFile = None, admin: AdminAddress = None, *, as_json: AsJson = False) -> None:
    """Ask the running daemon what it is doing: links, listeners, what is in flight.

    Exit status 1 when nobody answers or the daemon is not ready.

    Example: authswitch status /etc/authswitch/switch.toml
    """
    from switch.admin.client import AdminError, client_for
    from switch.admin.status_tables import print_status

    try:
        answer = _client(client_for, config, admin).status()
    except AdminError as error:
        fail(str(error))
    print_status(answer, as_json=as_json)
    if not answer.get("ready", False):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def drain(config: MaybeConfigFile = None, admin: AdminAddress = None, token_file: TokenFile = None) -> None:
    """Tell the running daemon to finish what is in flight, sign off and end.

    With CONFIG it must be the one that runs with it: whoever else answers is asked nothing, and the exit status is 1.

    Example: authswitch drain /etc/authswitch/switch.toml
    """
    from switch.admin.client import AdminError, client_for

    client = _client(client_for, config, admin, token_file)
    try:
        client.drain()
    except AdminError as error:
        fail(str(error))
    who = client.address if client.answered is None else f"{client.answered} at {client.address}"
    typer.echo(f"draining: {who} accepts nothing new and ends when nothing is in flight")


def _client(
    find: Callable[[Path | None, str | None, str | None], AdminClient],
    config: Path | None,
    admin: str | None,
    token_file: Path | None = None,
) -> AdminClient:
    """The daemon that is meant by what was asked; a wrong configuration or address is a wrong question."""
    try:
        return find(config, admin, read_token(token_file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except ConfigError as error:
        from switch.cli.report import refuse

        refuse(error)


def fail(reason: str) -> NoReturn:
    """End: what was asked for could not be done."""
    typer.echo(f"authswitch: {reason}", err=True)
    raise typer.Exit(EXIT_FAILED)


def _delegate(name: str, target: str, summary: str) -> None:
    """Register a subcommand that is an application of its own: it gets all arguments, and is imported when called."""

    def run(context: typer.Context) -> None:
        module, attribute = target.split(":")
        command = plain(typer.main.get_command(getattr(importlib.import_module(module), attribute)))
        command.main(args=context.args, prog_name=f"authswitch {name}")

    app.command(
        name,
        help=summary,
        add_help_option=False,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
            "help_option_names": [],
        },
    )(run)


for _name, (_target, _summary) in ELSEWHERE.items():
    _delegate(_name, _target, _summary)


def main() -> None:
    """Entry point of the command."""
    try:
        plain(typer.main.get_command(app)).main(prog_name="authswitch")
    except OSError as error:
        typer.echo(f"authswitch: {words_of(error)}", err=True)
        sys.exit(EXIT_FAILED)
