"""``authswitch links``: links held out of service by people, and put into it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile, fail, load
from switch.cli.listing import print_row, print_rows
from switch.cli.registry_desk import Most
from switch.cli.store_opening import WhyOption, changing_store, opened_store
from switch.links.holding import RIGHT, history, hold, link_told, links_told, release

COLUMNS = ("link", "held", "who", "at", "why")

Link = Annotated[str, typer.Argument(metavar="LINK", help="Its name in the configuration.")]
MaybeLink = Annotated[str | None, typer.Argument(metavar="[LINK]", help="Only of this one.")]
Owed = Annotated[bool, typer.Option("--owed", help="What its issuer is owed waits, too: reversals and advices.")]

app = command_group()


@app.callback()
def root() -> None:
    """Links of issuers: which are in service, and which somebody holds out."""


@app.command("list")
def list_(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """List the links: what is kept from each issuer (`nothing`, `requests`, `all`), and who said so when and why.

    Example: authswitch links list switch.toml
    """
    names = _names(config)
    with opened_store(config) as store, store.reading() as connection:
        rows = links_told(connection, names)
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command()
def show(config: ConfigFile, link: Link, *, as_json: AsJson = False) -> None:
    """Show one link.

    Example: authswitch links show switch.toml bank-a
    """
    names = _names(config)
    with opened_store(config) as store, store.reading() as connection:
        row = link_told(connection, names, link)
    print_row(row, as_json=as_json)


@app.command("history")
def history_(config: ConfigFile, link: MaybeLink = None, most: Most = 100, *, as_json: AsJson = False) -> None:
    """List who held out and released which link when and why, the newest first.

    Example: authswitch links history switch.toml bank-a
    """
    with opened_store(config) as store, store.reading() as connection:
        rows = history(connection, link, most)
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command("hold")
def hold_(config: ConfigFile, link: Link, why: WhyOption, *, owed: Owed = False) -> None:
    """Hold a link out: no new request goes to its issuer, on any node, within a second and until it is released.

    A payment goes to the next link of its route, or to stand-in, or is refused (91). What is with the issuer is
    finished, and reversals and advices are delivered; with --owed they wait.

    Example: authswitch links hold switch.toml bank-a --why "bank-a works at its host until six"
    """
    names = _names(config)
    with changing_store(config, why, RIGHT) as (change, _):
        row, is_new = hold(change, names, link, with_owed=owed)
    _tell(link, f"held out ({row['held']})", is_new=is_new)


@app.command("release")
def release_(config: ConfigFile, link: Link, why: WhyOption) -> None:
    """Put a link that was held out into service again.

    Example: authswitch links release switch.toml bank-a --why "bank-a is back"
    """
    names = _names(config)
    with changing_store(config, why, RIGHT) as (change, _):
        _, is_new = release(change, names, link)
    _tell(link, "in service", is_new=is_new)


def _names(config_file: Path) -> list[str]:
    """The links of a configuration whose switch hears of holds."""
    config = load(config_file)
    if config.holds is None:
        fail(f"{config_file}: there is no [holds], so no switch would hear of it")
    return [link.name for link in config.links]


def _tell(link: str, done: str, *, is_new: bool) -> None:
    typer.echo(f"link {link}: {done}" if is_new else f"link {link}: is so already; nothing changed")
