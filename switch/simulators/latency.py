"""How long a simulated issuer thinks before it answers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import random

_FORM = re.compile(r"(?P<shape>fixed|lognormal|uniform)?:?(?P<numbers>[0-9.]+(,[0-9.]+)?)\Z")


class Latency(BaseModel):
    """A distribution of answer times.

    ``fixed`` is always ``ms``; ``uniform`` lies between 0 and 2 times ``ms``; ``lognormal`` has its median at ``ms``
    and the standard deviation ``sigma`` of its logarithm (0.5: one answer in a hundred takes 3.2 times the median).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Literal["fixed", "uniform", "lognormal"] = "fixed"
    ms: Annotated[float, Field(ge=0, le=600_000)] = 0.0
    sigma: Annotated[float, Field(ge=0, le=5)] = 0.5

    def draw_s(self, generator: random.Random) -> float:
        """One answer time, in seconds."""
        if self.shape == "fixed":
            return self.ms / 1000
        if self.shape == "uniform":
            return generator.uniform(0, 2 * self.ms) / 1000
        if self.ms == 0:
            return 0.0
        return generator.lognormvariate(math.log(self.ms / 1000), self.sigma)


def parse_latency(text: str) -> Latency:
    """Read the command line's form: ``5``, ``fixed:5``, ``uniform:5`` or ``lognormal:5,0.5`` (milliseconds, sigma).

    Raises:
        ValueError: The text has another form, or a number is out of bounds.
    """
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"latency: needed MS, fixed:MS, uniform:MS or lognormal:MS,SIGMA, got {text!r}")
    ms, _, sigma = match["numbers"].partition(",")
    values: dict[str, object] = {"shape": match["shape"] or "fixed", "ms": ms}
    if sigma:
        values["sigma"] = sigma
    return Latency.model_validate(values)
