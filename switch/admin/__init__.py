"""The HTTP side for operators."""

from switch.admin.health import Health
from switch.admin.server import AdminServer

__all__ = ["AdminServer", "Health"]
