"""The store of an installation, as an operator works with it while the switch runs."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from switch.store.opening import Store, parse_url
from tests.backoffice.registry import call


class StoreDesk:
    """Commands that change the store, and the store itself."""

    def __init__(self, installation):
        self.installation = installation
        self.folder = installation.folder
        self.config = self.folder / "switch.toml"

    async def does(self, group, command, *arguments):
        """A command that must succeed."""
        status, output = await asyncio.to_thread(call, group, command, self.config, *arguments)
        assert status == 0, output
        return output

    @contextmanager
    def opened(self):
        """The store itself."""
        store = Store.open(parse_url(self.installation.store_url, self.folder))
        try:
            yield store
        finally:
            store.close()
