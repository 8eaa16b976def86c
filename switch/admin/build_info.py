"""What build this is, as a metric."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from switch import __version__


class BuildCollector(Collector):
    """``authswitch_build_info``: always 1, with the versions as labels."""

    def collect(self) -> Iterator[Metric]:
        """Give the one metric."""
        versions = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("authswitch_build", "Version of this build.", value=versions)
