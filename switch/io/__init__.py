"""Sockets, TLS and connections: what joins the state machine to the operating system."""
