"""What is told of risk rules, BIN table and links, wherever they are from."""

from __future__ import annotations

from switch.base.stats import Stats

KINDS = ("risk", "routes", "holds", "endpoints")


class RulebookGauges:
    """Gauges of what is in force: of a switch that reads files all of them are 0."""

    def __init__(self, stats: Stats) -> None:
        self.version = {
            kind: stats.gauge(
                "authswitch_rulebook_version",
                "Version of the store's rules, BIN table or endpoints in force, or its last step about held links.",
                {"rulebook": kind},
                "min",
            )
            for kind in KINDS
        }
        self.refused = {
            kind: stats.gauge(
                "authswitch_rulebook_refused",
                "1 while the version that is in force in the store is not taken.",
                {"rulebook": kind},
                "max",
            )
            for kind in KINDS
        }
        self.away = stats.gauge(
            "authswitch_rulebooks_store_away",
            "1 while the store cannot be asked for risk rules, BIN tables and links.",
            rule="max",
        )
