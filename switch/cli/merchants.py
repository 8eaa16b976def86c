"""``authswitch merchants``: who may take cards, in the store."""

from __future__ import annotations

from typing import Annotated

import typer

from switch.cli.binding_options import (
    AccountFile,
    IdentityFile,
    MerchantClass,
    Reference,
    Verified,
    VerifiedBy,
    VerifiedOn,
    secrets_in,
    set_elements,
    verification,
)
from switch.cli.command_groups import command_group
from switch.cli.journal_reading import AsJson, ConfigFile
from switch.cli.merchant_care import add_merchant_commands
from switch.cli.registry_desk import (
    Key,
    Kinds,
    Most,
    Proposes,
    StateOption,
    add_common_commands,
    given,
    list_rows,
    registrar,
    require_state,
    told,
)
from switch.cli.store_opening import WhyOption
from switch.merchants.tables import MERCHANTS
from switch.tables.party_states import MERCHANT_CLASSES, STATES

COLUMNS = ("id", "name", "state", "category", "kinds", "since")

HELPS = {
    "suspend": """Refuse what its terminals ask for, until it is released.

    Example: authswitch merchants suspend switch.toml 898000000000001 --why "case 4711"
    """,
    "release": """Serve a merchant again that was suspended.

    Example: authswitch merchants release switch.toml 898000000000001 --why "case 4711 closed"
    """,
    "close": """End it for good, with all its terminals.

    Example: authswitch merchants close switch.toml 898000000000001 --why "gave notice"
    """,
    "show": """Show all that is known of one. `authswitch audit list` tells who changed it.

    Example: authswitch merchants show switch.toml 898000000000001
    """,
    "import": """Take a file of merchants: columns id, name, state, category, kinds, as in merchants.csv.

    It is taken as a whole, or every wrong row is told and nothing changes.

    Example: authswitch merchants import switch.toml merchants.csv --why "taken over from the files"
    """,
    "export": """Write all merchants as such a file.

    Example: authswitch merchants export switch.toml --output merchants-20261128.csv
    """,
}

app = command_group()

Category = Annotated[str | None, typer.Option("--category", help="Merchant category code (ISO 18245), 4 digits.")]


@app.callback()
def root() -> None:
    """The merchants in the store. A change is in the running switches within a second where they read the store."""


@app.command()
def add(
    config: ConfigFile,
    key: Key,
    *,
    name: Annotated[str, typer.Option("--name", help="What it is called.")],
    category: Annotated[str, typer.Option("--category", help="Merchant category code (ISO 18245), 4 digits.")],
    why: WhyOption,
    kinds: Kinds = None,
) -> None:
    """Take a merchant on.

    Example: authswitch merchants add switch.toml 898000000000001 --name Harbour --category 5942 --why "contract 17"
    """
    with registrar(config, why) as desk:
        desk.add_merchant({"id": key, **given(name=name, category=category, kinds=kinds)})
    told(MERCHANTS, key, "added", is_changed=True)


@app.command()
def change(
    config: ConfigFile,
    key: Key,
    *,
    why: WhyOption,
    name: Annotated[str | None, typer.Option("--name", help="What it is called.")] = None,
    category: Category = None,
    kinds: Kinds = None,
    identity_file: IdentityFile = None,
    account_file: AccountFile = None,
    of_class: MerchantClass = None,
    how: Verified = None,
    by: VerifiedBy = None,
    on: VerifiedOn = None,
    reference: Reference = None,
    proposes: Proposes = False,
) -> None:
    """Change what is known of a merchant. `--kind ""` allows all kinds.

    Who it is and its settlement account are changed by themselves, with a verification, and by two people: its
    terminals are bound to that in the same step. With its identity belongs its class, by which limits of small
    merchants hold.

    Example: authswitch merchants change switch.toml 898000000000001 --category 5943 --why "sells paper now"
    """
    values = given(name=name, category=category, kinds=kinds)
    secrets = secrets_in({"identity": identity_file, "account": account_file})
    seen = verification(how, by, on, reference)
    if secrets and values:
        raise typer.BadParameter("identity and account are changed by themselves")
    if of_class not in (None, *MERCHANT_CLASSES) or (of_class is not None and "identity" not in secrets):
        raise typer.BadParameter(f"--class is {' or '.join(MERCHANT_CLASSES)}, and needs --identity-file")
    if secrets:
        set_elements(config, key, (secrets, of_class), seen, why, proposes=proposes)
        return
    if proposes or seen is not None:
        raise typer.BadParameter("only identity and account are proposed, and verified")
    with registrar(config, why) as desk:
        is_changed = desk.alter(MERCHANTS, key, values)
    told(MERCHANTS, key, "changed", is_changed=is_changed)


add_common_commands(app, MERCHANTS, HELPS)
add_merchant_commands(app)


@app.command("list")
def list_(config: ConfigFile, state: StateOption = None, most: Most = 100, *, as_json: AsJson = False) -> None:
    """List merchants by their numbers.

    Example: authswitch merchants list switch.toml --state suspended
    """
    require_state(state, STATES)
    list_rows(config, MERCHANTS, COLUMNS, {"state": state}, most, as_json=as_json)
