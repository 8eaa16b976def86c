"""The demo's screen: rate, latency, links, outcomes and what happens, in panels that fit the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.layout import Layout
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from switch.demo.view import halfway
from switch.simulators.receipts import quantiles_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from switch.demo.view import Moment

WIDTH_MIN = 70
HEIGHT_MIN = 20
"""Below these a picture shows too little: lines are printed then."""

_WIDE = 110
_BARS = "▁▂▃▄▅▆▇█"
_LEFT_SHARE = 0.52
_WHAT_IS_ADDED = "adds: switch, disk, net, this demo"
_WHAT_IS_ADDED_WIDE = "what is added: by switch, disk, network and this demo"
_FRAME = 4
"""Columns that the border of a panel and its padding take."""


def picture(moment: Moment, width: int, height: int) -> Layout:
    """One look at the running demo, for a terminal of this size.

    From the top: where it stands; rate and latency; links and terminals, and outcomes; what happened.
    """
    top, middle = (6, 9) if height < 32 else (8, 14)
    left = int(width * _LEFT_SHARE)
    screen = Layout()
    screen.split_column(
        Layout(_head(moment, width), name="head", size=1),
        Layout(name="top", size=top),
        Layout(name="middle", size=middle),
        Layout(_happenings(moment, height - 1 - top - middle - 2), name="events"),
    )
    screen["top"].split_row(
        Layout(_rate(moment, left - _FRAME, top - 2), name="rate", size=left),
        Layout(_latency(moment, tall=top > 6, wide=width >= _WIDE), name="latency"),
    )
    screen["middle"].split_row(
        Layout(_parties(moment, wide=width >= _WIDE), name="links", size=left),
        Layout(_outcomes(moment, middle - 2), name="outcomes"),
    )
    return screen


def _panel(content: RenderableType, title: str, *, style: str = "dim") -> Panel:
    return Panel(content, title=Text(title, "bold"), title_align="left", border_style=style)


def _head(moment: Moment, width: int) -> RenderableType:
    share = min(1.0, moment.elapsed_s / moment.seconds) if moment.seconds else 1.0
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Text("authswitch demo", "bold"),
        ProgressBar(total=1.0, completed=share, width=max(8, width - 56)),
        Text(f"{moment.elapsed_s:.0f} of {moment.seconds:.0f} s", "bold"),
        Text("· Ctrl-C ends it", "dim"),
    )
    return grid


def _rate(moment: Moment, columns: int, rows: int) -> Panel:
    """Answers a second, now and as a line of bars."""
    counters = moment.counters
    line = Text.assemble(
        (f"{moment.rate:,.0f}/s", "bold cyan"), (f"   {counters.answered:,}", "bold"), (" answered so far", "dim")
    )
    line.no_wrap = True
    bars = [Text(row, "cyan", no_wrap=True) for row in sparkline(moment.rates[-columns:], max(1, rows - 1))]
    return _panel(Group(line, *bars), "answers a second")


def sparkline(values: Sequence[float], rows: int) -> list[str]:
    """Values as bars, from the top row to the lowest; the highest value fills all rows."""
    highest = max(values, default=0.0)
    eighths = [round(value / highest * rows * 8) if highest else 0 for value in values]
    return ["".join(_bar(level - 8 * row, lowest=row == 0) for level in eighths) for row in reversed(range(rows))]


def _bar(eighths: int, *, lowest: bool) -> str:
    """One cell of a bar; where nothing is, the lowest row shows that there was a look."""
    if eighths <= 0:
        return _BARS[0] if lowest else " "
    return _BARS[min(eighths, 8) - 1]


def _latency(moment: Moment, *, tall: bool, wide: bool) -> Panel:
    """What terminals wait for, and whose time it is."""
    seen = quantiles_us(moment.counters.latency_us)
    median, most = halfway(moment.issuer_us)
    added, added_most = halfway(moment.added_us)
    figures = moment.figures
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, min_width=13)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, words, style in (
        ("terminals see", f"{_brief(seen.get('p50'))}   p99 {_brief(seen.get('p99'))}", "bold"),
        ("issuers take", f"{_brief(median)}   p99 {_brief(most)}", "yellow"),
        ("switch adds", f"{_brief(added)}   p99 {_brief(added_most)}", "bold green"),
        ("its journal", f"2 writes of {_brief(figures.write_us)}", "green"),
        *((("its work", f"{_brief(figures.work_us)} of processor time", "green"),) if tall else ()),
    ):
        table.add_row(Text(name, "dim"), Text(words, style))
    panel = _panel(table, "latency", style="green")
    panel.subtitle = Text(_WHAT_IS_ADDED_WIDE if wide else _WHAT_IS_ADDED, "dim")
    return panel


def _brief(microseconds: float | None) -> str:
    """A time in few characters."""
    if microseconds is None:
        return "-"
    for limit, unit, digits in ((1e3, 1.0, 0), (1e4, 1e3, 1), (1e6, 1e3, 0)):
        if microseconds < limit:
            return f"{microseconds / unit:.{digits}f} {'µs' if unit == 1.0 else 'ms'}"
    return f"{microseconds / 1e6:.1f} s"


def _parties(moment: Moment, *, wide: bool) -> Panel:
    """Links to issuers, and the fleets of terminals."""
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False)
    table.add_column("link", header_style="dim", no_wrap=True)
    table.add_column("state", header_style="dim", no_wrap=True)
    table.add_column("in flight", header_style="dim", justify="right", no_wrap=True)
    table.add_column("owed", header_style="dim", justify="right", no_wrap=True)
    if wide:
        table.add_column("dialect", header_style="dim", no_wrap=True)
    for link in moment.links:
        state = str(link["state"])
        cells: list[str | Text] = [
            str(link["name"]),
            Text(f"● {state}", "green" if state == "up" else "bold red"),
            str(link["in_flight"]),
            str(link.get("reversals_waiting", 0)),
        ]
        table.add_row(*cells, *([str(link.get("dialect", ""))] if wide else []))
    fleets = Table(box=None, padding=(0, 1, 0, 0))
    fleets.add_column("terminals", header_style="dim", no_wrap=True)
    fleets.add_column("answered", header_style="dim", justify="right", no_wrap=True)
    fleets.add_column("dialled", header_style="dim", justify="right", no_wrap=True)
    for name, counters in moment.fleets.items():
        fleets.add_row(name, f"{counters.answered:,}", f"{counters.connections:,}")
    links = table if moment.links else Text("the switch is not there\n\n", "bold red")
    return _panel(Group(links, *([Text()] if wide else []), fleets), "links and terminals")


def _outcomes(moment: Moment, rows: int) -> Panel:
    """How requests ended, by response code."""
    counts = moment.counters.by_code.most_common()
    whole = sum(count for _, count in counts) or 1
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    shown = counts if len(counts) <= rows else counts[: rows - 1]
    for (code, reason), count in shown:
        style = "green" if reason == "approved" else ""
        table.add_row(Text(code, "bold"), Text(reason.replace("_", " "), style), f"{count:,}", f"{count / whole:.0%}")
    left = sum(count for _, count in counts[len(shown) :])
    if left:
        table.add_row("", Text(f"and {len(counts) - len(shown)} more", "dim"), f"{left:,}", f"{left / whole:.0%}")
    missing, wrong = moment.counters.missing, moment.counters.wrong
    return _panel(table, f"outcomes: {missing:,} missing, {wrong:,} wrong", style="red" if missing + wrong else "dim")


def _happenings(moment: Moment, rows: int) -> Panel:
    """What goes wrong, on purpose, and how it is mended: the last of it."""
    if not moment.happenings:
        words = "terminals pay, void and refund; at the end every receipt is compared with the issuers' ledgers"
        return _panel(Text(words, "dim"), "what happens")
    told: list[RenderableType] = []
    for happening in moment.happenings:
        style = {"bad": "bold red", "good": "green"}.get(happening.sort, "yellow")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(f"{happening.at_s:5.1f} s", "dim"), Text(happening.words, style))
        told.append(grid)
    return _panel(Group(*told[-max(1, rows // 2) :]), "what happens", style="yellow")
