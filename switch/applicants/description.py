"""The OpenAPI document, without a database or a configuration."""

from __future__ import annotations

from typing import Any, cast

from switch.applicants.application import PROGRAM, described_api
from switch.applicants.desk import Desk
from switch.backoffice.limits import Metrics
from switch.store.opening import Store


def openapi_document() -> dict[str, Any]:
    """The description of all routes; they are only looked at."""
    return described_api(cast("Desk", None), cast("Store", None), Metrics(PROGRAM)).openapi()
