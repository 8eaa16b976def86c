"""``authswitch terminals``: which machines may speak for whom, in the store."""

from __future__ import annotations

from typing import Annotated

import typer

from switch.cli.binding_options import Reference, Verified, VerifiedBy, VerifiedOn, verification
from switch.cli.binding_options import bind as bind_terminal
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.merchant_care import add_terminal_commands
from switch.cli.registry_desk import (
    Key,
    Kinds,
    Most,
    Proposes,
    add_common_commands,
    given,
    list_rows,
    registrar,
    require_state,
    told,
    waits,
    work,
)
from switch.cli.store_opening import WhyOption
from switch.crypto.mac import ALGORITHMS
from switch.merchants.proposing import change_terminal
from switch.merchants.tables import TERMINALS
from switch.tables.party_states import TERMINAL_STATES
from switch.tables.registry import TERMINAL_PIN_FORMATS

COLUMNS = ("id", "merchant", "state", "mac_algorithm", "pin_format", "serial_number", "model", "place")

HELPS = {
    "suspend": """Refuse what it asks for, until it is released.

    Example: authswitch terminals suspend switch.toml 10000009 --why "used elsewhere than registered"
    """,
    "release": """Serve a terminal again that was suspended. One that was never active awaits its first sign-in.

    Example: authswitch terminals release switch.toml 10000009 --why "seen on site"
    """,
    "close": """End it for good; its number never comes again.

    Example: authswitch terminals close switch.toml 10000009 --why "given back"
    """,
    "show": """Show all that is known of one. `authswitch audit list` tells who changed it.

    Example: authswitch terminals show switch.toml 10000009
    """,
    "import": """Take a file of terminals: the columns of terminals.csv, then serial_number, model, place.

    It is taken as a whole, or every wrong row is told and nothing changes. Merchants and keys come first: each row must
    have both.

    Example: authswitch terminals import switch.toml terminals.csv --why "taken over from the files"
    """,
    "export": """Write all terminals as such a file.

    Example: authswitch terminals export switch.toml --output terminals-20261128.csv
    """,
}

app = command_group()

MacAlgorithm = Annotated[str | None, typer.Option("--mac", help=f"How it signs: {', '.join(ALGORITHMS)}.")]
PinFormat = Annotated[
    str | None, typer.Option("--pin", help=f"Format of its PIN blocks: {', '.join(TERMINAL_PIN_FORMATS)}.")
]
Listeners = Annotated[
    list[str] | None, typer.Option("--listener", help="Where it may call; repeat it. Everywhere, when left out.")
]
Certificate = Annotated[
    str | None, typer.Option("--certificate", help="Common name of its certificate, where that is not its number.")
]
SerialNumber = Annotated[str | None, typer.Option("--serial-number", help="Of the machine; no two have the same.")]
Model = Annotated[str | None, typer.Option("--model", help="Of the machine.")]
PlaceOption = Annotated[str | None, typer.Option("--place", help="Where it is installed.")]


@app.callback()
def root() -> None:
    """The terminals in the store. A change is in the running switches within a second where they read the store."""


@app.command()
def add(
    config: ConfigFile,
    key: Key,
    *,
    merchant: Annotated[str, typer.Option("--merchant", help="Whose it is; it never becomes another's.")],
    mac: Annotated[str, typer.Option("--mac", help=f"How it signs: {', '.join(ALGORITHMS)}.")],
    pin: Annotated[str, typer.Option("--pin", help=f"Format of its PIN blocks: {', '.join(TERMINAL_PIN_FORMATS)}.")],
    why: WhyOption,
    listeners: Listeners = None,
    kinds: Kinds = None,
    certificate: Certificate = None,
    serial_number: SerialNumber = None,
    model: Model = None,
    place: PlaceOption = None,
) -> None:
    """Register a terminal. Its keys must be in the key file already, or it is refused.

    Example: authswitch terminals add switch.toml 10000009 --merchant 898000000000001 --mac x9.19 --pin iso-0
    --why "second till"
    """
    values = given(
        merchant=merchant,
        mac_algorithm=mac,
        pin_format=pin,
        listeners=listeners,
        kinds=kinds,
        certificate=certificate,
        serial_number=serial_number,
        model=model,
        place=place,
    )
    with registrar(config, why) as desk:
        desk.add_terminal({"id": key, **values})
    told(TERMINALS, key, "added", is_changed=True)


@app.command()
def change(
    config: ConfigFile,
    key: Key,
    *,
    why: WhyOption,
    mac: MacAlgorithm = None,
    pin: PinFormat = None,
    listeners: Listeners = None,
    kinds: Kinds = None,
    certificate: Certificate = None,
    serial_number: SerialNumber = None,
    model: Model = None,
    place: PlaceOption = None,
    how: Verified = None,
    by: VerifiedBy = None,
    on: VerifiedOn = None,
    reference: Reference = None,
) -> None:
    """Change what is known of a terminal. `--kind ""` allows all kinds, `--listener ""` all listeners.

    Once people are registered, another serial number or place is proposed, with a verification.

    Example: authswitch terminals change switch.toml 10000009 --place "Harbour Road 12" --why "moved within the shop"
    """
    values = given(
        mac_algorithm=mac,
        pin_format=pin,
        listeners=listeners,
        kinds=kinds,
        certificate=certificate,
        serial_number=serial_number,
        model=model,
        place=place,
    )
    seen = verification(how, by, on, reference)
    with work(config, why) as one:
        done = change_terminal(one.registrar, one.proposals, key, values, seen, lasts=one.lasts)
    words = "changed" if done.proposal is None else waits(done.proposal)
    told(TERMINALS, key, words, is_changed=done.is_changed)


@app.command()
def bind(
    config: ConfigFile,
    key: Key,
    *,
    why: WhyOption,
    serial_number: SerialNumber = None,
    place: PlaceOption = None,
    position: Annotated[
        str | None, typer.Option("--position", help="Of its place in degrees, such as +31.2304+121.4737/ (ISO 6709).")
    ] = None,
    how: Verified = None,
    by: VerifiedBy = None,
    on: VerifiedOn = None,
    reference: Reference = None,
    proposes: Proposes = False,
) -> None:
    """Bind a terminal to who its merchant is, its account, and its own serial number and place.

    One that is bound already changes its machine or its place only with a verification, and by two people.

    Example: authswitch terminals bind switch.toml 10000009 --position +31.2304+121.4737/ --why "installed"
    """
    values = given(serial_number=serial_number, place=place, position=position)
    seen = verification(how, by, on, reference)
    bind_terminal(config, key, values, seen, why, proposes=proposes)


add_common_commands(app, TERMINALS, HELPS)
add_terminal_commands(app)


@app.command("list")
def list_(
    config: ConfigFile,
    merchant: Annotated[str | None, typer.Option("--merchant", help="Only this merchant's.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help=f"Only those that are {', '.join(TERMINAL_STATES)}.")
    ] = None,
    most: Most = 100,
    *,
    as_json: AsJson = False,
) -> None:
    """List terminals by their numbers.

    Example: authswitch terminals list switch.toml --merchant 898000000000001
    """
    require_state(state, TERMINAL_STATES)
    list_rows(config, TERMINALS, COLUMNS, {"merchant": merchant, "state": state}, most, as_json=as_json)
