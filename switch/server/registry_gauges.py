"""What is told of the registry, wherever it is from."""

from __future__ import annotations

from switch.base.stats import Stats


class RegistryGauges:
    """The registry's gauges: of a switch that reads files all of them are 0."""

    def __init__(self, stats: Stats) -> None:
        self.change = stats.gauge(
            "authswitch_registry_change", "Number of the store's change that is in force.", rule="min"
        )
        self.away = stats.gauge("authswitch_registry_store_away", "1 while the store cannot be asked.", rule="max")
        self.suspects = stats.counter(
            "authswitch_registry_suspects_total", "Terminals suspended here since they are not as registered."
        )
        self.silent = stats.gauge(
            "authswitch_registry_silent_seconds", "Since the store was heard of last.", rule="max"
        )
        self.left_out = stats.gauge(
            "authswitch_registry_terminals_left_out",
            "Terminals of the store that are not served since their rows cannot be taken.",
            rule="max",
        )
        self.refused = stats.gauge("authswitch_registry_refused", "1 while changes are not taken.", rule="max")
