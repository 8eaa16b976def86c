"""``authswitch demo``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0.5, max=86_400, help="How long terminals make requests.")] = 30.0,
    rate: Annotated[float, typer.Option(min=1, max=100_000, help="Requests a second, all terminals together.")] = 300.0,
    terminals: Annotated[int, typer.Option(min=3, max=5_000, help="Terminals, a third of each fleet.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same requests.")] = 1,
    *,
    faults: Annotated[
        bool, typer.Option("--faults", help="Break a line, then kill the switch and start it again, on the way.")
    ] = False,
) -> None:
    """Run the whole system on this machine: the switch, two issuers, three fleets of terminals, over loopback sockets.

    CUP terminals over plain TCP and TLS sign in and take their keys from the answer; ISO terminals show certificates of
    their own. They make purchases, balance inquiries, voids, refunds and pre-authorizations, some with a wrong MAC, an
    unknown card or an unknown terminal. At the end every receipt is compared with the issuers' ledgers.

    With --faults terminals repeat what is not answered, or take it back, as terminals at a counter do, and the journal
    is checked at the end as well.

    Exit status 1 when an answer was missing, wrong or at the wrong terminal, or when a ledger disagrees.

    Example: authswitch demo --seconds 20 --rate 1000 --terminals 300

    Example: authswitch demo --seconds 20 --faults
    """
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(f"starting two issuers, the switch and {terminals:,} terminals, with new keys ...", style="dim")

    from switch.demo.daemon import DaemonError
    from switch.demo.run import DemoSettings, run_demo

    try:
        well = run_demo(DemoSettings(seconds, rate, terminals, seed, trouble=faults), console)
    except DaemonError as error:
        typer.echo(f"authswitch: {error}", err=True)
        raise typer.Exit(1) from error
    if not well:
        raise typer.Exit(1)
