"""A million terminals that come into the store by the command that operators have, on PostgreSQL or SQLite.

``python -m bench.importing`` makes a database with the store's tables, imports a file of terminals with
``authswitch terminals import``, as a process of its own, and prints how long that took: each row is read by the
switch's own reader, compared with what is there, written, and written into the audit. PostgreSQL is durable as its
package has it. ``--keys`` gives every terminal a MAC key, which the import looks up in the sealed key file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.workload import KEY_ALGORITHMS, MERCHANT, mac_keys, seal_keys, terminal_id
from switch.samples.copying import write_sample
from tests.backoffice.postgresql import Server

MAC = "aes-cmac"
HEADING = "id,merchant,state,listeners,kinds,mac_algorithm,pin_format,certificate,serial_number,model,place"


def main() -> None:
    """Measure, and print a line for each database."""
    parser = argparse.ArgumentParser(prog="bench.importing", description="Import terminals into the store.")
    parser.add_argument("--count", type=int, default=1_000_000, help="terminals")
    parser.add_argument("--databases", nargs="+", choices=("postgresql", "sqlite"), default=["postgresql", "sqlite"])
    parser.add_argument("--keys", action="store_true", help="every terminal has a MAC key in the key file")
    options = parser.parse_args()
    for database in options.databases:
        with tempfile.TemporaryDirectory(prefix="authswitch-import-") as name:
            print(f"{database}: {options.count:,} terminals in {measure(Path(name), database, options):.1f} s")


def measure(folder: Path, database: str, options: argparse.Namespace) -> float:
    """Seconds of one import."""
    folder.chmod(0o755)  # the server runs as somebody else
    config = write_sample(folder, "minimal")
    server = None
    url = f"sqlite:{folder}/store.db"
    if database == "postgresql":
        (folder / "server").mkdir()
        server = Server(folder / "server", settings=())
        url = server.database()
    try:
        config.write_text(f'{config.read_text()}\n[store]\nurl = "{url}"\n')
        write_files(config.parent, options.count, with_keys=options.keys)
        run("store", "upgrade", config)
        run("merchants", "import", config, config.parent / "own-merchants.csv", "--why", "measured")
        begun_s = time.perf_counter()
        run("terminals", "import", config, config.parent / "own-terminals.csv", "--why", "measured")
        return time.perf_counter() - begun_s
    finally:
        if server is not None:
            server.stop()


def write_files(folder: Path, count: int, *, with_keys: bool) -> None:
    """A merchant, its terminals, and their keys."""
    (folder / "own-merchants.csv").write_text(
        f"id,name,state,category,kinds\n{MERCHANT},Harbour Bookshop,active,5942,\n"
    )
    mac = MAC if with_keys else "none"
    rows = (
        f"{terminal_id(number)},{MERCHANT},active,,,{mac},none,,SN{number:010d},P2000,Harbour Road {number}"
        for number in range(count)
    )
    (folder / "own-terminals.csv").write_text("\n".join([HEADING, *rows, ""]))
    if with_keys:
        values = {number: (number + 1).to_bytes(16) for number in range(count)}
        secrets = folder / "secrets"
        shutil.rmtree(secrets)
        secrets.mkdir(mode=0o700)
        seal_keys(secrets, mac_keys(KEY_ALGORITHMS[MAC], values, bytes(range(16))))


def run(*words: object) -> None:
    """A command of the switch, which must succeed."""
    subprocess.run([sys.executable, "-m", "switch", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
