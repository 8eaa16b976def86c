"""``authswitch init``: a folder with a configuration that works, and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

from switch.samples.copying import SECRETS, write_sample

TRIAL = (
    "authswitch check {config}",
    "authswitch simulate issuer --listen 127.0.0.1:7001 {keys} --mac-key link/bank-a/zak",
    "authswitch serve {config}",
    "authswitch simulate terminals 127.0.0.1:5830 --dialect cup {registry} --terminals 5 --requests 20 {keys}",
)
"""For the samples with one issuer: the last three run side by side, each in a window of its own."""

START = ("authswitch check {config}", "authswitch serve {config}")

NEXT = {"minimal": TRIAL, "loopback": TRIAL}
"""What to type next, by sample; ``START`` for all others."""


def make(folder: Path, sample: str) -> None:
    """Write the folder and say what is in it and how to go on.

    Raises:
        OSError: The folder cannot be written, or has something in it.
    """
    config = write_sample(folder, sample)
    secrets = folder / SECRETS
    words = {
        "config": shlex.quote(str(config)),
        "registry": f"--registry {shlex.quote(str(folder / 'sample' / 'terminals.csv'))} --listener pos",
        "keys": f"--keys {shlex.quote(str(secrets / 'keys.sealed'))} "
        f"--master-key-file {shlex.quote(str(secrets / 'master.key'))}",
    }
    print(f"{config}: the sample {sample}, on loopback, for trying out on this machine.")
    print(f"{secrets}: new keys and certificates; real ones come from a key ceremony and from your own authority.")
    print(f"{folder / 'sample'}: merchants, terminals and routes to be replaced by your own.")
    print(f"{folder / 'nodes'}: two nodes of one switch, behind HAProxy; the head of a.toml says how to try them.")
    print("\nNext:")
    for command in NEXT.get(sample, START):
        print(f"  {command.format(**words)}")
