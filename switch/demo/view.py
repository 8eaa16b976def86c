"""What the demo shows while it runs, and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from switch.demo.daemon_figures import Figures
from switch.simulators.receipts import FleetCounters, duration, quantiles_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switch.demo.injected_faults import Happening
    from switch.demo.reconcile import Reconciliation
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
    rates: Sequence[float] = ()
    """Answers a second at each look so far, the last ones."""
    issuer_us: Sequence[float] = ()
    """How long the issuers took for their last answers, by their own clock, in microseconds."""
    added_us: Sequence[float] = ()
    """What stood between terminal and issuer in the last requests, less the issuer's time, in microseconds."""
    figures: Figures = field(default_factory=Figures)
    """Times by the switch's own statistics."""

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
        f"{moment.elapsed_s:5.1f} s  {moment.rate:7.0f}/s  {_whose_time(moment)}  links {links or '-'}  "
        f"answered {counters.answered}  approved {counters.by_reason['approved']}  "
        f"missing {counters.missing}  wrong {counters.wrong}"
    )


def print_summary(console: Console, moment: Moment, ledgers: Sequence[Ledger], result: Reconciliation) -> None:
    """The end: totals, outcomes, money, and what is wrong."""
    counters = moment.counters
    console.print()
    console.print(
        f"{counters.answered:,} requests answered in {moment.elapsed_s:.1f} s "
        f"({counters.answered / max(moment.elapsed_s, 0.001):,.0f}/s), {_latency(counters)}",
        soft_wrap=not console.is_terminal,
    )
    issuers, added, figures = halfway(moment.issuer_us), halfway(moment.added_us), moment.figures
    console.print(
        f"the simulated issuers took p50 {shown_us(issuers[0])}  p99 {shown_us(issuers[1])} of that; the switch added "
        f"p50 {shown_us(added[0])}  p99 {shown_us(added[1])}: on average two writes to its journal of "
        f"{shown_us(figures.write_us)} each, {shown_us(figures.work_us)} of processor time, and the sockets",
        soft_wrap=not console.is_terminal,
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
            soft_wrap=not console.is_terminal,
        )
    verdict = "every one agrees" if result.agrees else f"{result.difference_count:,} DIFFERENCES"
    console.print(f"reconciled {result.receipts:,} receipts with {result.entries:,} entries of ledgers: {verdict}")
    for words in (*counters.problems, *result.differences):
        console.print(f"  {words}", markup=False, soft_wrap=not console.is_terminal)
    console.print(f"missing answers: {counters.missing:,}  wrong answers: {counters.wrong:,}")
    if result.agrees:
        console.print(
            f"{result.standing:,} payments over {_amount(result.charged_minor)} stand, and all of that money is "
            "accounted for",
            soft_wrap=not console.is_terminal,
        )


def shown_us(microseconds: float | None) -> str:
    """A time, or that there is none."""
    return "-" if microseconds is None else duration(microseconds)


def halfway(times: Sequence[float]) -> tuple[float | None, float | None]:
    """Median and 99th percentile of times; None where there are none."""
    if not times:
        return None, None
    found = sorted(times)
    return found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]


def _latency(counters: FleetCounters) -> str:
    found = quantiles_us(counters.latency_us)
    return f"p50 {shown_us(found.get('p50'))}  p99 {shown_us(found.get('p99'))}"


def _whose_time(moment: Moment) -> str:
    """Latency, and what of it is the issuers' and the switch's."""
    issuers, _ = halfway(moment.issuer_us)
    added, _ = halfway(moment.added_us)
    return f"{_latency(moment.counters)} (issuers p50 {shown_us(issuers)}, switch adds p50 {shown_us(added)})"


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
