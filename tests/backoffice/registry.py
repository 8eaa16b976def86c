"""A switch whose registry is in the store: its configuration, keys, and commands as an operator calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from switch.cli.main import app
from switch.samples.copying import write_sample

MERCHANT = "898000000000009"
MINE = "10000001"
"""A terminal of the sample: its keys are in the key file."""

WHY = ("--why", "a test")


def call(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


class Office:
    """A folder with the sample, whose configuration names a database that has the tables and nothing in them."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder = folder
        self.config = write_sample(folder, "minimal")
        text = self.config.read_text()
        self.config.write_text(f'{text}\n[store]\nurl = "{store_url}"\n')
        self.does("store", "upgrade")

    def calls(self, group, command, *arguments):
        """Status and output of a command."""
        return call(group, command, self.config, *arguments)

    def does(self, group, command, *arguments):
        """What a command says that must succeed."""
        status, output = self.calls(group, command, *arguments)
        assert status == 0, output
        return output

    def refuses(self, group, command, *arguments):
        """What a command says that must fail, in one line."""
        status, output = self.calls(group, command, *arguments)
        assert status in (1, 2), output
        return re.sub(r"\s+", " ", output)

    def shown(self, group, key):
        """A row, as `show` has it."""
        return json.loads(self.does(group, "show", key, "--json"))

    def heads(self):
        """Number of changes that the audit has."""
        return json.loads(self.does("store", "show", "--json"))["rows"]["audit"]

    def table(self, name):
        """A table of the sample's files."""
        return self.folder / "sample" / name

    def imports(self, group, text, *options):
        """Status and output of an import of a file with this text."""
        file = self.folder / "import.csv"
        file.write_text(text)
        return self.calls(group, "import", file, *WHY, *options)

    def takes_over(self):
        """Take the sample's files into the store."""
        for group in ("merchants", "terminals"):
            self.does(group, "import", self.table(f"{group}.csv"), *WHY)
