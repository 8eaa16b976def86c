"""``authswitch simulate``: one side of the conversation."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop

from switch.base.error_words import words_of
from switch.config import ConfigError
from switch.config.addresses import Address, parse_address
from switch.dialect import load_dialect
from switch.simulators.dialect_profile import Profile
from switch.simulators.end_signals import when_ended
from switch.simulators.faults import FaultRule, parse_fault
from switch.simulators.fleet import Fleet
from switch.simulators.fleet_settings import FleetSettings
from switch.simulators.issuer import Issuer, IssuerSettings
from switch.simulators.latency import Latency, parse_latency
from switch.simulators.receipts import FleetCounters, duration, quantiles_us, write_receipts
from switch.simulators.rules import Rules
from switch.simulators.scenario import PaymentCard, Scenario
from switch.simulators.setup import (
    Keys,
    SetupError,
    issuer_keys,
    read_model,
    registered_terminals,
    spare_collections,
    terminal_tls,
)
from switch.simulators.stans import Numbers, default_file
from switch.simulators.terminals import TerminalIdentity
from switch.simulators.tls import issuer_tls

app = typer.Typer(
    help="Play one side of the conversation: `issuer` or `terminals`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _parsed(parse: Any) -> Any:
    """A parser of ours as one of typer's: what it cannot read is a wrong question."""

    def read(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return read


Dialect = Annotated[str, typer.Option(metavar="NAME|FILE", help="A built-in dialect, or a dialect file.")]
KeyFileOption = Annotated[Path | None, typer.Option("--keys", help="The sealed key file.")]
MasterKeyFile = Annotated[Path | None, typer.Option(help="File with the master key that opens it.")]
MasterKeyEnv = Annotated[str | None, typer.Option(help="Or the environment variable that holds the master key.")]
MacKey = Annotated[str | None, typer.Option(metavar="KEY", help="Name of the MAC key in the key file.")]
MacAlgorithm = Annotated[str, typer.Option(help="x9.9, x9.19, cup-ecb, cup-sm4 or aes-cmac.")]
Seconds = Annotated[float | None, typer.Option(min=0.1, help="End after so long; else with Ctrl-C.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same decisions.")]


@app.command()
def issuer(  # noqa: PLR0917 - options
    listen: Annotated[
        Address | None,
        typer.Option(parser=_parsed(parse_address), metavar="HOST:PORT", help="Wait for the acquirer here."),
    ] = None,
    connect: Annotated[
        list[Address] | None,
        typer.Option(parser=_parsed(parse_address), metavar="HOST:PORT", help="Call the acquirer; may be repeated."),
    ] = None,
    dialect: Dialect = "iso87-ascii",
    name: Annotated[str, typer.Option(help="Name in the ledger.")] = "issuer",
    rules: Annotated[Path | None, typer.Option(help="TOML file: cards, PANs and amounts that are refused.")] = None,
    latency: Annotated[
        Latency | None,
        typer.Option(
            parser=_parsed(parse_latency), metavar="MS|SHAPE:MS[,SIGMA]", help="fixed:5, uniform:5 or lognormal:5,0.5."
        ),
    ] = None,
    fault: Annotated[
        list[FaultRule] | None,
        typer.Option(
            parser=_parsed(parse_fault),
            metavar="NAME=P%|NAME=Nx[@AFTER]",
            help="ignore, close, drop-answer, late-answer, duplicate-answer, wrong-stan, wrong-mac, garbage, "
            "close-after-receive, unsolicited, slow-write; may be repeated.",
        ),
    ] = None,
    late_ms: Annotated[float, typer.Option(min=0, help="How late a late answer is.")] = 1000.0,
    require_sign_on: Annotated[bool, typer.Option(help="Refuse all before sign-on.")] = False,
    echo_seconds: Annotated[float | None, typer.Option(min=0.1, help="Send echo tests of our own.")] = None,
    keys: KeyFileOption = None,
    master_key_file: MasterKeyFile = None,
    master_key_env: MasterKeyEnv = None,
    mac_key: MacKey = None,
    mac_algorithm: MacAlgorithm = "x9.19",
    zmk: Annotated[str | None, typer.Option(help="Give new keys when asked, under the key of this name.")] = None,
    pin_key: Annotated[str | None, typer.Option(help="Name of the PIN key, to be exchanged, too.")] = None,
    new_key_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="With --zmk: send a new MAC key, then a PIN key, so often.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file: speak TLS with this certificate.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the acquirer's authorities.")] = None,
    ledger: Annotated[Path | None, typer.Option(help="Write the ledger here at the end, as JSON.")] = None,
    keep_ledger: Annotated[bool, typer.Option(help="Without it nothing is remembered: for load tests.")] = True,
    charge_after_reversal: Annotated[
        bool, typer.Option(help="Charge a request that comes after its reversal.")
    ] = False,
    seconds: Seconds = None,
    seed: Seed = 1,
) -> None:
    """Be an issuer: approve and decline by rules, keep a ledger, and go wrong on request.

    Example: authswitch simulate issuer --listen 127.0.0.1:7001 --latency lognormal:5,0.5 --fault drop-answer=1%
    --ledger bank-a.json
    """
    if (listen is None) == (not connect):
        raise typer.BadParameter("needed exactly one of --listen and --connect")
    try:
        settings = IssuerSettings(
            name,
            read_model(rules, Rules) if rules else Rules(),
            latency or Latency(),
            tuple(fault or ()),
            late_ms,
            require_sign_on,
            keep_ledger,
            seed,
            charge_after_reversal,
        )
        opened = Keys(keys, master_key_file, master_key_env)
        mac = opened.mac(mac_key, mac_algorithm)
        profile = Profile(load_dialect(dialect))
        own_keys = issuer_keys(profile, opened, zmk, pin_key, mac)
        server, client = issuer_tls(certificate, private_key, ca, listens=listen is not None)
    except (ValueError, OSError, ConfigError) as error:
        _wrong(error)

    spare_collections()

    async def play() -> None:
        simulated = Issuer(profile, settings, mac)
        simulated.keys = own_keys
        ended = _end_of_run(seconds)
        offering = asyncio.create_task(simulated.keep_offering(new_key_seconds))
        if listen is not None:
            port = await simulated.listen(listen.host, listen.port, server)
            typer.echo(f"{name}: listening on {listen.host}:{port}, {dialect}")
        for address in connect or ():
            simulated.call(address.host, address.port, client, address.host)
        while echo_seconds is not None and not ended.is_set():
            try:
                await asyncio.wait_for(ended.wait(), echo_seconds)
            except TimeoutError:
                simulated.echo()
        await ended.wait()
        offering.cancel()
        await simulated.stop()
        counters = simulated.counters
        totals = simulated.ledger.totals()
        typer.echo(
            f"{name}: {counters.requests} requests, {counters.answers} answers, {counters.reversals} reversals, "
            f"{counters.mac_failures} wrong MACs, {counters.unreadable} unreadable; "
            f"charged {totals.charged_minor}, refunded {totals.refunded_minor} minor units"
        )
        if ledger is not None:
            simulated.ledger.write(ledger)

    try:
        uvloop.run(play())
    except OSError as error:
        _failed(error, "" if listen is None else f"{listen.host}:{listen.port}")


@app.command()
def terminals(  # noqa: PLR0917 - options
    address: Annotated[Address, typer.Argument(parser=_parsed(parse_address), metavar="HOST:PORT", help="The switch.")],
    dialect: Dialect = "iso87-ascii",
    count: Annotated[int, typer.Option("--terminals", min=1, max=100_000, help="How many terminals.")] = 10,
    registry: Annotated[Path | None, typer.Option(help="terminals.csv: be terminals of this registry.")] = None,
    listener: Annotated[str | None, typer.Option(help="Only those of the registry that may call it.")] = None,
    first_id: Annotated[
        int, typer.Option(min=1, max=99_999_999, help="Without a registry: the first id.")
    ] = 10_000_001,
    merchant: Annotated[str, typer.Option(help="Without a registry: field 42.")] = "898000000000001",
    scenario: Annotated[Path | None, typer.Option(help="TOML file: shares of kinds, cards, amounts.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Requests a second, open loop; else closed loop, as fast as answered.")
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="End after so many requests.")] = None,
    seconds: Seconds = None,
    pipelining: Annotated[int, typer.Option(min=1, max=1000, help="Requests in flight of one terminal.")] = 1,
    one_shot: Annotated[bool, typer.Option(help="A connection for every request.")] = False,
    sign_in: Annotated[bool, typer.Option(help="Sign in first, and take working keys from the answer.")] = False,
    think_ms: Annotated[float, typer.Option(min=0, help="Closed loop: pause after each answer.")] = 0.0,
    timeout_ms: Annotated[float, typer.Option(min=1, help="Wait for an answer.")] = 20_000.0,
    keys: KeyFileOption = None,
    master_key_file: MasterKeyFile = None,
    master_key_env: MasterKeyEnv = None,
    mac_key: MacKey = None,
    mac_algorithm: MacAlgorithm = "x9.19",
    ca: Annotated[Path | None, typer.Option(help="PEM file of the switch's authorities: speak TLS.")] = None,
    server_name: Annotated[str | None, typer.Option(help="Name in the switch's certificate.")] = None,
    certificates: Annotated[Path | None, typer.Option(help="Folder with ID.pem and ID.key of each terminal.")] = None,
    receipts: Annotated[Path | None, typer.Option(help="Write the receipts here at the end, as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    seed: Seed = 1,
    stan_file: Annotated[
        Path | None, typer.Option(help="Where the last numbers are kept, for the next run to go on.")
    ] = None,
) -> None:
    """Be terminals: make requests by a scenario, check every answer, keep receipts.

    Exit status 1 when an answer was missing or wrong. The numbers of requests (STAN) go on where the run before ended.

    Example: authswitch simulate terminals 127.0.0.1:5830 --dialect cup --terminals 200 --rate 500 --seconds 30
    --sign-in --registry terminals.csv --keys keys.sealed --master-key-file master.key
    """
    if requests is None and seconds is None:
        raise typer.BadParameter("needed --seconds or --requests, or both")
    try:
        key_source = Keys(keys, master_key_file, master_key_env)
        tls_of = terminal_tls(ca, certificates, server_name)
        if registry is not None:
            identities = registered_terminals(registry, key_source, listener, count, tls_of)
        else:
            mac = key_source.mac(mac_key, mac_algorithm)
            names = [f"{first_id + number:08d}" for number in range(count)]
            identities = [TerminalIdentity(name, merchant, mac, None, tls_of(name)) for name in names]
        numbers = Numbers(stan_file or default_file(), f"{address.host}:{address.port}")
        settings = FleetSettings(
            read_model(scenario, Scenario) if scenario else Scenario(cards=(PaymentCard(pan="6225000000000014"),)),
            rate=rate,
            pipelining=pipelining,
            one_shot=one_shot,
            sign_in=sign_in,
            think_ms=think_ms,
            timeout_ms=timeout_ms,
            keep_receipts=receipts is not None,
            server_name=server_name,
            seed=seed,
            first_stan=numbers.first,
        )
        profile = Profile(load_dialect(dialect))
    except (ValueError, OSError, ConfigError) as error:
        _wrong(error)

    spare_collections()

    async def play() -> FleetCounters:
        fleet = Fleet(profile, settings, identities, host=address.host, port=address.port)
        when_ended(fleet.finish)
        try:
            counters = await fleet.run(seconds, requests)
        finally:
            numbers.used(fleet.numbers_used)
        if receipts is not None:
            write_receipts(receipts, fleet.receipts)
        return counters

    try:
        counters = uvloop.run(play())
    except (OSError, TimeoutError) as error:
        _failed(error, f"{address.host}:{address.port}")
    _print_counters(counters, as_json=as_json)
    if counters.missing or counters.wrong or not counters.answered:
        raise typer.Exit(1)


def _end_of_run(seconds: float | None) -> asyncio.Event:
    """An event that is set by a signal that ends a run, or after a time."""
    ended = asyncio.Event()
    when_ended(ended.set)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, ended.set)
    return ended


def _print_counters(counters: FleetCounters, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(counters.document(), indent=2))
        return
    latency = ", ".join(f"{name} {duration(value)}" for name, value in quantiles_us(counters.latency_us).items())
    typer.echo(
        f"sent {counters.sent}, answered {counters.answered}, missing {counters.missing}, wrong {counters.wrong}"
    )
    typer.echo(f"latency: {latency or '-'}")
    for (code, reason), number in counters.by_code.most_common():
        typer.echo(f"  {code}  {reason.replace('_', ' '):<32} {number:>10}")
    for problem in counters.problems:
        typer.echo(f"  {problem}")


def _wrong(error: Exception) -> NoReturn:
    """End: it was asked wrongly."""
    typer.echo(f"authswitch: {words_of(error)}", err=True)
    raise typer.Exit(2) from (None if isinstance(error, SetupError) else error)


def _failed(error: Exception, about: str) -> NoReturn:
    """End: what was asked for could not be done with a file or an address."""
    typer.echo(f"authswitch: {words_of(error, about)}", err=True)
    raise typer.Exit(1) from error
