"""Routes: which card goes to which links."""

from switch.routing.loader import load_routes

__all__ = ["load_routes"]
