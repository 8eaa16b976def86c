"""What every table of the configuration is made of; and tables that stand by themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

HOUR_MS = 3_600_000


def milliseconds(default: int, description: str, *, least: int = 1, most: int = 24 * HOUR_MS) -> int:
    """A duration in milliseconds, with its limits."""
    return Field(default, ge=least, le=most, description=description)


def count(default: int, description: str, *, least: int = 1, most: int) -> int:
    """A number of things or bytes, with its limits."""
    return Field(default, ge=least, le=most, description=description)


class Section(BaseModel):
    """A table of the configuration: no type is guessed, no unknown key is passed over, nothing changes afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class OriginalsSection(Section):
    """What voids, refunds and completions refer to: how long it is looked for, and what follows."""

    timeout_ms: int = milliseconds(5_000, "A request waits for its original no longer.", most=60_000)
    waiting_max: int = count(1_000, "Requests that wait at one time; above it terminals are told 96.", most=100_000)
    not_found: Literal["forward", "refuse"] = Field("forward", description="Send it as it is said, or answer 25.")
    excess: Literal["refuse", "forward"] = Field(
        "refuse",
        description="Tell the terminal 12, 13 or 25 of what goes beyond its original, or let the issuer decide.",
    )
    completion_percent_max: int = count(115, "Of a hold, that completions may come to.", least=100, most=1_000)
