"""``python -m tests.torture``: kills a real switch until it has suffered enough, then compares all books."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from switch.simulators.setup import spare_collections

from .course import FIRST_LIVES, LIVES, Settings, Torture
from .disk import enter_namespace, mount_small, unmount
from .summary import summary

ROOM_BYTES = 96 << 20
ROOM_BYTES_A_KILL = 8 << 20


def main() -> int:
    """Run what the command line asks for; 0 when all books agree, 1 when they do not."""
    arguments = _parser().parse_args()
    if arguments.mount:
        enter_namespace([sys.executable, "-m", "tests.torture", *sys.argv[1:]])
    settings = Settings(
        kills=arguments.kills,
        seed=arguments.seed,
        seconds=arguments.seconds,
        terminals=arguments.terminals,
        rate=arguments.rate,
        slowness=arguments.slowness,
        lives=tuple(arguments.lives.split(",")),
        lying=arguments.lie,
        defect=arguments.defect,
        partitions=arguments.partitions,
        workers=arguments.workers,
    )
    spare_collections()
    folder = Path(tempfile.mkdtemp(prefix="authswitch-torture-"))
    disk = folder / "disk"
    disk.mkdir()
    mounted = mount_small(disk, ROOM_BYTES + settings.kills * ROOM_BYTES_A_KILL) if arguments.mount else ""
    print(f"seed {settings.seed}; the journal is on a small disk of its own: {mounted or 'no, said to be full'}")
    torture = Torture(settings, folder, disk / "journal", lambda text: print(text, flush=True))
    try:
        well = uvloop.run(torture.run())
        for line in summary(torture):
            print(line)
        if not well:
            _tell_failure(torture, settings)
    finally:
        torture.disk.close()
        if mounted:
            shutil.copytree(disk / "journal", folder / "journal")
            unmount(disk)
            disk.with_suffix(".image").unlink(missing_ok=True)
    if well and not arguments.keep:
        shutil.rmtree(folder)
    elif arguments.keep:
        print(f"kept: {folder}")
    return 0 if well else 1


def _tell_failure(torture: Torture, settings: Settings) -> None:
    print(f"\nseed {settings.seed} FAILED; everything is in {torture.folder}")
    for difference in torture.differences[:50]:
        print(f"  {difference}")
    print(f"  again: make torture KILLS={settings.kills} SEED={settings.seed}")
    print("  (the seed decides what is done when; what the machine does in between, nobody does)")


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser("torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=defaults.kills, help="how often the switch is killed")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="decides every choice, but not the timing")
    parser.add_argument("--seconds", type=float, default=0, help="begin no new life after this time; 0 for no limit")
    parser.add_argument("--terminals", type=int, default=defaults.terminals, help="a third in each fleet")
    parser.add_argument("--rate", type=float, default=defaults.rate, help="payments a second that they begin")
    parser.add_argument("--slowness", type=float, default=defaults.slowness, help="factor on every wait")
    parser.add_argument("--lives", default=",".join(FIRST_LIVES), help=f"kinds of lives: {', '.join(LIVES)}")
    parser.add_argument("--mount", action=argparse.BooleanOptionalAction, default=True, help="on a file system apart")
    parser.add_argument("--lie", action="store_true", help="let the disk lie: a run that must find differences")
    parser.add_argument("--defect", default="", help="give the switch a deliberate defect: it should find differences")
    parser.add_argument("--partitions", type=int, default=0, help="of the switch; 0: the seed decides")
    parser.add_argument("--workers", type=int, default=0, help="of the switch, no more than partitions; 0: the same")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that went well")
    return parser


sys.exit(main())
