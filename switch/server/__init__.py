"""The daemon: a configuration made into a state machine, and that joined to sockets, signals and the admin side."""

from switch.server.daemon import serve

__all__ = ["serve"]
