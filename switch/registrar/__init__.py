"""The registry: which merchants and terminals may speak."""

from switch.registrar.keysource import KeySource
from switch.registrar.loader import load_registry

__all__ = ["KeySource", "load_registry"]
