"""The registry: which merchants and terminals may speak."""

from switch.registrar.loader import load_registry

__all__ = ["load_registry"]
