"""Runs migrations on the connection that is handed over, inside its transaction."""

from __future__ import annotations

from switch.store.migrating import run_migrations

run_migrations()
