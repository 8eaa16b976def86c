"""What the demo shows while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from switch.simulators.receipts import FleetCounters, quantiles_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from switch.demo.reconcile import Reconciliation
    from switch.demo.trouble import Happening
    from switch.simulators.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the running demo."""

    elapsed_s: float
    seconds: float
    rate: float
    """Answers a second since the last look."""
    counters: FleetCounters
    """Of all fleets together."""
    fleets: Mapping[str, FleetCounters]
    status: Mapping[str, Any] = field(default_factory=dict)
    """What the switch says of itself."""
    happenings: Sequence[Happening] = ()
    """What went wrong so far, on purpose."""

    @property
    def links(self) -> Sequence[Mapping[str, Any]]:
        """The switch's links."""
        links: Sequence[Mapping[str, Any]] = self.status.get("links", [])
        return links


def line(moment: Moment) -> str:
    """One look as a line of plain text."""
    counters = moment.counters
    links = " ".join(f"{link['name']}={link['state']}/{link['in_flight']}" for link in moment.links)
    return (
        f"{moment.elapsed_s:5.1f} s  {moment.rate:7.0f}/s  {_latency(counters)}  links {links or '-'}  "
        f"answered {counters.answered}  approved {counters.by_reason['approved']}  "
        f"missing {counters.missing}  wrong {counters.wrong}"
    )


def picture(moment: Moment) -> RenderableType:
    """One look for a terminal that can draw."""
    counters = moment.counters
    head = Table.grid(padding=(0, 3))
    head.add_row(
        _fact("time", f"{moment.elapsed_s:.0f} of {moment.seconds:.0f} s"),
        _fact("rate", f"{moment.rate:,.0f}/s"),
        _fact("latency", _latency(counters)),
    )
    counts = Table.grid(padding=(0, 3))
    counts.add_row(
        _fact("answered", f"{counters.answered:,}"),
        _fact("in flight", str(counters.in_flight)),
        _fact("missing", str(counters.missing), bad=counters.missing > 0),
        _fact("wrong", str(counters.wrong), bad=counters.wrong > 0),
    )
    side_by_side = Table.grid(padding=(0, 3))
    sides = Group(_links_table(moment.links), Text(), _fleets_table(moment.fleets))
    side_by_side.add_row(sides, _outcomes_table(counters))
    told = [Text(str(happening), "yellow") for happening in moment.happenings]
    return Panel(Group(head, counts, Text(), side_by_side, *told), title="authswitch demo", title_align="left")


def print_summary(
    console: Console,
    counters: FleetCounters,
    ledgers: Sequence[Ledger],
    result: Reconciliation,
    elapsed_s: float,
) -> None:
    """The end: totals, outcomes, money, and what is wrong."""
    console.print()
    console.print(
        f"{counters.answered:,} requests answered in {elapsed_s:.1f} s "
        f"({counters.answered / max(elapsed_s, 0.001):,.0f}/s), {_latency(counters)}"
    )
    console.print(_outcomes_table(counters))
    money = Table(box=None, padding=(0, 2, 0, 0), title="money", title_justify="left")
    for heading in ("", "charged", "refunded"):
        money.add_column(heading, justify="left" if not heading else "right")
    for ledger in ledgers:
        totals = ledger.totals()
        money.add_row(f"ledger of {ledger.issuer}", _amount(totals.charged_minor), _amount(totals.refunded_minor))
    money.add_row("ledgers together", _amount(result.ledgers_charged_minor), _amount(result.ledgers_refunded_minor))
    money.add_row("terminals' receipts", _amount(result.charged_minor), _amount(result.refunded_minor))
    console.print(money)
    undone = [ledger.totals() for ledger in ledgers]
    console.print(
        f"taken back: {sum(part.voided_count for part in undone):,} by void, "
        f"{sum(part.reversed_count for part in undone):,} by reversal"
    )
    if counters.repeats or counters.given_up:
        console.print(
            f"terminals sent {counters.repeats:,} requests again, and gave {counters.given_up:,} payments up that were "
            "not answered",
            soft_wrap=True,
        )
    verdict = "every one agrees" if result.agrees else f"{result.difference_count:,} DIFFERENCES"
    console.print(f"reconciled {result.receipts:,} receipts with {result.entries:,} entries of ledgers: {verdict}")
    for words in (*counters.problems, *result.differences):
        console.print(f"  {words}", markup=False, soft_wrap=True)
    console.print(f"missing answers: {counters.missing:,}  wrong answers: {counters.wrong:,}")
    if result.agrees:
        console.print(
            f"{result.standing:,} payments over {_amount(result.charged_minor)} stand, and all of that money is "
            "accounted for",
            soft_wrap=True,
        )


def _fact(name: str, value: str, *, bad: bool = False) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold red" if bad else "bold"))


def _latency(counters: FleetCounters) -> str:
    found = quantiles_us(counters.latency_us)
    if not found:
        return "p50 -  p99 -"
    return f"p50 {found['p50'] / 1000:.2f} ms  p99 {found['p99'] / 1000:.2f} ms"


def _links_table(links: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), title="links", title_justify="left")
    for heading in ("link", "dialect", "state", "in flight"):
        table.add_column(heading, header_style="dim", no_wrap=True)
    for link in links:
        state = str(link["state"])
        table.add_row(
            str(link["name"]),
            str(link.get("dialect", "")),
            Text(state, "green" if state == "up" else "red"),
            str(link["in_flight"]),
        )
    return table


def _fleets_table(fleets: Mapping[str, FleetCounters]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), title="terminals", title_justify="left")
    for heading in ("fleet", "connections", "answered"):
        table.add_column(heading, header_style="dim", no_wrap=True)
    for name, counters in fleets.items():
        table.add_row(name, str(counters.connections), f"{counters.answered:,}")
    return table


def _outcomes_table(counters: FleetCounters) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), title="outcomes", title_justify="left")
    table.add_column("code", header_style="dim")
    table.add_column("reason", header_style="dim", no_wrap=True)
    table.add_column("answers", justify="right", header_style="dim")
    for (code, reason), count in counters.by_code.most_common():
        table.add_row(code, reason.replace("_", " "), f"{count:,}")
    return table


def _amount(minor: int) -> str:
    return f"{minor // 100:,}.{minor % 100:02d}"
