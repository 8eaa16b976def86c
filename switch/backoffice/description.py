"""The OpenAPI document, without a database or a configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from switch.backoffice.application import described_api
from switch.backoffice.importing import Imports
from switch.backoffice.limits import Metrics
from switch.backoffice.office import Office


def openapi_document() -> dict[str, Any]:
    """The description of all routes; they are only looked at."""
    return described_api(cast("Office", SimpleNamespace(store=None)), Imports(), Metrics()).openapi()
